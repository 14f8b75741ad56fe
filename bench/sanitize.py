"""Small tasks on every tier and tile configuration that the card runs, for compute-sanitizer.

compute-sanitizer --tool memcheck python -m bench.sanitize
compute-sanitizer --tool racecheck python -m bench.sanitize
"""

import sys

import numpy as np

from kernels.cuda.card import Card
from kernels.cuda.device import CudaDevice
from kernels.cuda.product.tiers import TIERS
from kernels.devices import open_device
from kernels.task import Task

TASKS = (Task(bytes(range(32)), 300, 2), Task(bytes(range(32)), 17))


def main():
    card = Card.select(0)
    names = sys.argv[1:] or [tier.name for tier in TIERS if tier.runs_on(card.capability)]
    rng = np.random.default_rng(1)
    A, B = (rng.integers(-128, 128, (rows, 70), dtype=np.int8) for rows in (90, 300))
    with open_device("reference") as host:
        roots = {task: host.compute(task).root for task in TASKS}
    for name in names:
        with CudaDevice(0, tier=name) as device:
            configs = dict.fromkeys(
                config
                for size in (1024, 2048, 4096, 8192)
                for config in device.tier.configs(size, card.capability)
            )
            for config in configs:
                for task in TASKS:
                    graph = device.graph(task, config)
                    for _ in range(2):
                        graph.begin(task.seed)
                        assert graph.finish() == roots[task], (name, config, task)
                    graph.close()
            device.compute(TASKS[0]).proof(4)
            C = A.astype(np.int32) @ B.astype(np.int32).T
            assert np.array_equal(device.multiply(A, B), C), name
        print(f"{name}: right", flush=True)


if __name__ == "__main__":
    main()
