"""Sends results and survives everything: the ledger is written ahead of the network.

Read them in this order:

    ledger.py         what was computed, signed, sent, and became final (schema.py)
    ledger_reader.py  what can be asked of it
    signer.py         makes and signs a transaction
    manager.py        the thread: one sender per account, in nonce order
    inclusion.py      scans blocks for what is ours
    funding.py        where coins for an account come from
    one_off.py        one transaction that a person asked for, by the same rules
    options.py        its settings
"""
