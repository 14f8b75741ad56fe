"""The reference validator: a task market over HTTP, workers over WebSocket, one SQLite file.

Read them in this order:

    policy.py        what is checked how often, and why no cheat gains by it; arithmetic.py searches
    reputation.py    a score that decays and recovers
    assign.py        which worker gets which task; dispatch.py sends it
    market.py        the state machine: messages and a clock in, actions out
    verdicts.py      from a commitment to a verdict; endings.py is what follows from it
    books.py         what survives a crash: customers, tasks, jobs, workers, rewards, transfers
    inspection.py    checks, in processes of their own
    service.py       carries the actions out; app.py and counter.py are HTTP, socket.py is WebSocket
    server.py        the process around all of it
    payouts.py       transfers to the workers, planned and paid
    client.py        a customer's end of the market
"""
