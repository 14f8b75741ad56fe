"""Work for PoC validators over WebSocket: the worker's end of `engine/poc_protocol`.

Read them in this order:

    worker.py        the thread: a connection and a session for each validator
    connection.py    dials, and dials again
    session.py       what is answered to which frame (replies.py, openings.py, jobs.py)
    standing.py      which validator failed too often
    forecast.py      what a job will take: declined before it is accepted
    context.py       what all sessions share: key, devices, limits, ledger, blobs
    config.py        what the operator asked for, checked
    job_ledger.py    which job was answered with what; survives a crash
    tally.py         what the sessions did, counted
    submission.py    sends a validator's result to the chain, too
    options.py       its settings
"""
