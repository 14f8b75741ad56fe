"""The market's state machine: messages and a clock in, actions out.

Read them in this order:

    market.py       the whole of it
    matching.py     which worker gets which task; dispatch.py sends it
    commitment.py   whose result it is, and what is drawn for its check
    verdicts.py     from a commitment to a verdict
    settlement.py   what follows from a verdict
    connections.py  which worker is there
    actions.py      what it wants done
"""
