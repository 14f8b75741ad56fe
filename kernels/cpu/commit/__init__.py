"""SHA-256 of many messages at once: `lanes.py` in vectors, `shani.py` with SHA-NI, `messages.py`
around.

Which is taken is `choose.py`'s to say; where neither is faster than hashlib, hashlib it is.
"""
