"""Sends results and survives everything: the ledger is written ahead of the network.

Read them in this order:

    ledger.py         what was computed, signed, sent, and became final (schema.py)
    chain_record.py   what blocks say of the account: nonces that are spent, results included
    ledger_reader.py  what can be asked of it
    inclusion.py      scans blocks for what our key signed
    nonces.py         which nonce comes next: proof, and how far a node's claim goes
    pricing.py        what a result costs now
    signer.py         makes and signs a transaction
    outbox.py         signs what waits
    delivery.py       sends what is due, and what a refusal means
    watch.py          tells what lasts; alarms.py, all that the sender tells of
    manager.py        the thread: one sender per account, in nonce order
    funding.py        where coins for an account come from
    one_off.py        what a person asked for once, in one transaction or in parts, by the same rules
    options.py        its settings
"""
