"""The live view in a terminal.

Read them in this order:

    render.py     draws a snapshot
    live_view.py  keeps it on the screen while the engine runs
    keyboard.py   its keys
"""
