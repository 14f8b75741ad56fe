"""The reference validator: a task market over HTTP, workers over WebSocket, one SQLite file.

Read them in this order:

    policy.py      what is checked how often, and why no cheat gains by it: arithmetic only
    reputation.py  a score that decays and recovers
    assign.py      which worker gets which task
    desk.py        the state machine: messages and a clock in, actions out; what happens to a task
    store.py       the tables that all of it survives a crash in
    app.py, workers.py, checking.py, server.py   HTTP, WebSocket, checks, and the process around
    payouts.py     transfers to the workers, planned and paid
"""
