"""Entries of processes that fail, or do not, as a file tells. Here, where little is imported."""

import time
from pathlib import Path

from engine.pool import worker_main
from engine.pool.codec import encode, write_frame
from engine.pool.launcher import Connected, Unreachable
from kernels.devices import open_device


def child_beside(broken, name, setup, tasks, reports):
    """A pool's child; that of the device `broken` ends at once as long as that file is there."""
    if name == "broken" and Path(broken).exists():
        raise SystemExit(1)
    worker_main.serve(lambda _progress: open_device("reference"), setup, tasks, reports)


def gateway(address, _wanted, _setup, _orders, events):
    """A gateway to a cluster without machines, which is there as long as a file is."""
    up = Path(address)
    if not up.exists():
        write_frame(events.fileno(), encode(Unreachable("there is no such cluster")))
        raise SystemExit(1)
    write_frame(events.fileno(), encode(Connected(address)))
    while up.exists():
        time.sleep(0.02)
    raise SystemExit(1)
