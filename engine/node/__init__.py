"""The composition root: what a running engine is made of.

Read them in this order:

    node.py          `mine`: checks, ledger, pool, watcher, sender, put together
    preflight.py     what must be right before anything starts
    waiting.py       waits for a node at the start
    devices.py       this machine's devices, or a farm's
    account.py       nodes, ledger and sender of the account
    meter.py         energy, fees, and how long the balance lasts
    agreement.py     whether several nodes say the same
    upkeep.py        what is looked after beside the loop; the service manager
    thread_watch.py  whether every thread makes progress
    sandbox.py       a devnet with a funded key, for a first try
    options.py       settings of the start, and of the sandbox
"""
