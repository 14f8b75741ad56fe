"""`matrix_mult_v1` tasks of a block.

Read them in this order:

    derivation.py    derives seed and task id from a block's hash and an address
    verification.py  checks a result, or every result of a block
    defaults.py      the network's sizes
    options.py       their settings
"""
