"""The engine under test: `mine` as the command line has it, with two children that do as they are told.

A file `lie` or `halve` in the directory CPC_SOAK is an order for the child that finds it first: to
compute another task than it was given, or to end in the middle of its answer.
"""

import os
import sys
from functools import partial
from pathlib import Path

from engine.cli.failure import print_error
from engine.mining.config import MiningConfig
from engine.monitor.reporter import JsonReporter
from engine.node.node import run_node
from engine.node.request import NodeRequest
from engine.pool.codec import encode
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


class Obedient(Wrapped):
    """An honest device, until it is told to lie, or to end in the middle of its answer."""

    def __init__(self, device, pipe):
        super().__init__(device)
        self._pipe = pipe

    def compute(self, task):
        if task.n == SIZE and ordered("halve"):
            whole = encode(Computed(1, bytes(32), "", self.name, 0.1))
            os.write(self._pipe.fileno(), whole[: len(whole) // 2])
            os._exit(3)
        lies = task.n == SIZE and ordered("lie")
        return self.lie(task) if lies else self._device.compute(task)


def child(name, setup, tasks, reports):
    (Path(os.environ["CPC_SOAK"]) / f"pid-{os.getpid()}").write_text(name)
    serve(
        lambda _progress: Obedient(open_device(name, setup.threads), reports), setup, tasks, reports
    )


def main():
    urls, blocks = sys.argv[1:]
    key = Keystore(Path(os.environ["CPC_KEYS"])).load("worker")
    request = NodeRequest(
        urls=urls.split(","),
        mining=MiningConfig(size=SIZE, blocks=int(blocks) or None),
        devices=DEVICES,
        threads=1,
        limits=LIMITS,
    )
    try:
        run_node(request, key, JsonReporter(), launch=partial(LocalProcesses, entry=child))
    except Exception as error:  # noqa: BLE001 - as the command line does
        raise SystemExit(print_error(error)) from None


if __name__ == "__main__":
    main()
