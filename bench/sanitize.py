"""One small task on every tier that the card runs, for compute-sanitizer.

compute-sanitizer --tool memcheck python -m bench.sanitize
compute-sanitizer --tool racecheck python -m bench.sanitize
"""

import sys

from kernels.cuda.device import CudaDevice
from kernels.cuda.driver import Card
from kernels.cuda.product.tiers import TIERS
from kernels.devices import open_device
from kernels.task import Task


def main():
    card = Card.select(0)
    names = sys.argv[1:] or [tier.name for tier in TIERS if tier.runs_on(card.capability)]
    with open_device("reference") as host:
        for name in names:
            with CudaDevice(0, tier=name) as device:
                for task in (Task(bytes(range(32)), 300, 2), Task(bytes(range(32)), 17)):
                    commitment = device.compute(task)
                    assert commitment.root == host.compute(task).root, (name, task)
                    commitment.proof(4)
            print(f"{name}: right", flush=True)


if __name__ == "__main__":
    main()
