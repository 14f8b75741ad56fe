"""What the operator sees of a running engine: one state, shown in several places.

Read them in this order:

    reporter.py    events as lines for people, or JSON for machines
    output.py      the log's stream: outlives its disk and its reader
    troubles.py    conditions that last, told once
    projection.py  folds the events into the state (snapshot.py, history.py, histogram.py)
    device_record.py  the same of one device
    state.py       the state, safe to read from any thread
    update_check.py  asks for a newer version, where the operator wants that
    control.py     what an operator may do: pause, resume, stop
    formatting.py  words and numbers
    terminal/      the live view
    http/          page, metrics, health, control
    options.py     its settings
"""
