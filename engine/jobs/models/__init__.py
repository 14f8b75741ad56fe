"""Models that come with the program: `digits`, and the script that made it."""
