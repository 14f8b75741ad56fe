"""`matrix_mult_v1` tasks of a block.

Read them in this order:

    derivation.py    from a block's hash and an address to seed and task id
    verification.py  checks a result, or every result of a block
    defaults.py      the network's sizes
"""
