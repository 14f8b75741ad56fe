"""The engine under test: `mine` as the command line has it, with two children that do as they are told.

A file `lie` or `halve` in the directory CPC_SOAK is an order for the child that finds it first: to
compute another task than it was given, or to end in the middle of its answer.
"""

import os
import sys
from functools import partial
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

from engine.cli.failure import print_error
from engine.monitor.reporter import JsonReporter
from engine.node.node import MineRequest, mine_on
from engine.pool.limits import Limits
from engine.pool.messages import Computed
from engine.pool.processes import LocalProcesses
from engine.pool.worker_main import serve
from kernels.devices import open_device
from node_client.keystore import Keystore
from tests.engine.pool.villains import Wrapped

SIZE = 64
DEVICES = ("cpu", "reference")
LIMITS = Limits(period=20.0, cooldown=5.0, cooldown_most=10.0)
"""As shipped, but that minutes stand for weeks: a device out of service is tried again soon."""


def ordered(what):
    """Whether this child is to do `what`, now and once."""
    try:
        (Path(os.environ["CPC_SOAK"]) / what).unlink()
    except FileNotFoundError:
        return False
    return True


class Liar(Wrapped):
    """An honest device, until it is told to lie."""

    def compute(self, task):
        lies = task.n == SIZE and ordered("lie")
        return self.lie(task) if lies else self._device.compute(task)


class Halver:
    """An honest pipe, until it is told to end in the middle of a message."""

    def __init__(self, pipe):
        self._pipe = pipe

    def send(self, message):
        if isinstance(message, Computed) and ordered("halve"):
            whole = bytes(ForkingPickler.dumps(message))
            os.write(self._pipe.fileno(), len(whole).to_bytes(4) + whole[: len(whole) // 2])
            os._exit(3)
        self._pipe.send(message)


def child(name, setup, orders, reports):
    (Path(os.environ["CPC_SOAK"]) / f"pid-{os.getpid()}").write_text(name)
    serve(lambda: Liar(open_device(name, setup.threads)), setup, orders, Halver(reports))


def main():
    url, blocks = sys.argv[1:]
    key = Keystore(Path(os.environ["CPC_KEYS"])).load("worker")
    request = MineRequest(
        urls=[url],
        devices=DEVICES,
        threads=1,
        size=SIZE,
        blocks=int(blocks) or None,
        limits=LIMITS,
    )
    try:
        mine_on(request, key, JsonReporter(), launch=partial(LocalProcesses, entry=child))
    except Exception as error:  # noqa: BLE001 - as the command line does
        raise SystemExit(print_error(error)) from None


if __name__ == "__main__":
    main()
