"""The wire protocol between a PoC validator and its workers: both ends use it.

Read them in this order:

    constants.py   sizes, counts and codes that both ends hold to
    frames.py      every message, as a frozen value
    strict_json.py what is bounded before it is parsed, and the form that is digested
    decoder.py     text from an untrusted peer -> a message, a refusal, or nothing
    digests.py     what is signed, and whether a signature fits
    websocket.py   reads frames from a connection
    urls.py        which validators a worker may connect to
    rate_limit.py  how much a peer may send
    outbox.py      what waits to be sent to a peer
"""
