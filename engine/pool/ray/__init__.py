"""A farm: many machines' devices behind one key, found and reached through Ray.

    actor.py     what runs on each machine: a child process of the ordinary kind
    cluster.py   the one file that knows Ray: which machines there are, actors on them
    gateway.py   a process of this machine, without a key, that talks to the cluster
    launcher.py  the pool's launcher: starts the gateway, and starts it again

Ray finds the machines, places the actors and carries the messages. The supervisor's rules, the key,
the ledger and the chain stay where they are without a farm. What the gateway tells the engine is plain
data, as what a child says (`engine/pool/codec.py`).
"""
