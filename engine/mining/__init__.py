"""The mining loop: one page from a block's tip to its results.

Read them in this order:

    loop.py          see a block, derive, compute, write down, send
    head_watcher.py  the thread that asks the node for new tips; grid.py says when
    chain_health.py  whether what a node shows can be, is up to date, and goes on
    config.py        what a run is asked for, and what it did
    options.py       its settings
"""
