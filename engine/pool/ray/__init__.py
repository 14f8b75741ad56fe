"""A farm: many machines' devices behind one key, found and reached through Ray.

    hands.py     what runs on each machine: a child process of the ordinary kind, and its pipes
    cluster.py   the one file that knows Ray: which machines there are, actors on them
    gateway.py   a process of this machine, without a key, that talks to the cluster
    events.py    what the gateway tells the engine, as JSON
    launcher.py  the supervisor's launcher: starts the gateway, and starts it again

Ray finds the machines, places the actors and carries the messages. The supervisor's rules, the key,
the ledger and the chain stay where they are without a farm.
"""
