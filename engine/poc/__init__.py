"""Work for a PoC validator over WebSocket: the wire protocol, and the worker's end of it.

    rules.py       sizes, counts and codes that both ends hold to
    frames.py      every message, as a frozen value
    decode.py      text from an untrusted peer -> a message, a refusal, or nothing
    digests.py     what is signed, and whether a signature fits

The validator's end, in `engine/validator`, uses the same four files.
"""
