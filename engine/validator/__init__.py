"""The reference validator: a task market over HTTP, workers over WebSocket, one SQLite file.

Read them in this order:

    policy/            what is checked how often, and why no cheat gains by it
    store/             the database: customers, tasks, jobs, workers, rewards, transfers
    market/            the state machine: messages and a clock in, actions out
    result_checker.py  checks results in other processes
    job_kinds.py       the installed kinds of jobs, as the market needs them
    service.py         performs the market's actions
    worker_socket.py   WebSocket; http/ is HTTP
    server.py          the process around all of it
    payouts.py         transfers to the workers, planned and paid
    options.py         its settings
"""
