"""What the engine adds to a task: from submit to the checked result, less the device's own time.

    python -m bench.pool                     # n = 64 and 1024 on the CPU, one task after the other
    python -m bench.pool --device cuda:0 --sizes 4096

Milliseconds a task (median), and the parent's CPU time a task. Most of it is the parent's check
of 16 leaves that the proof opens and 4 that it drew itself. Measure with nothing else on the machine.
"""

import argparse
import os
import time
from statistics import median


def tasks(n, count):
    from kernels.task import Task

    return [Task(index.to_bytes(16, "little") + b"\xa5" * 16, n) for index in range(1, count + 1)]


def overhead(device, n, count):
    """Seconds a task beyond the device's (median), and CPU seconds of this process a task."""
    from engine.pool.messages import Setup
    from engine.pool.pool import Pool

    warm_up, *rest = tasks(n, count + 1)
    with Pool([device], lambda _event: None, setup=Setup(1, warm_up)) as pool:
        pool.submit(warm_up, openings=16).result()
        added, cpu = [], time.process_time()
        for task in rest:
            began = time.perf_counter()
            computed = pool.submit(task, openings=16).result()
            added.append(time.perf_counter() - began - computed.seconds)
        return median(added), (time.process_time() - cpu) / count


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 1024])
    parser.add_argument("--tasks", type=int, default=300)
    arguments = parser.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    for n in arguments.sizes:
        added, cpu = overhead(arguments.device, n, arguments.tasks)
        print(f"n = {n}: {1000 * added:.2f} ms a task, {1000 * cpu:.2f} ms of the parent's CPU")


if __name__ == "__main__":
    main()
