"""A running engine seen from outside: over HTTP, and over a socket of this machine's user."""
