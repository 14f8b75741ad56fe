"""Models: `digits`, which comes with the program, and files of the user (files.py, verification.py)."""
