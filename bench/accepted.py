"""Jobs accepted a second with everything but the chain: queue, device, proof, check, answer.

    python -m bench.accepted                                    # n = 64 and 256 on the CPU
    python -m bench.accepted --device cuda:0,cuda:1 --size 1024,4096 --tasks 20000 --check-share 0.1

A flood: customers' synthetic jobs (a proof of 16 openings each), so many of them in flight. Printed are
the rate from the first to the last, and the CPU time a job of this process, where the pool's thread,
the futures and this benchmark itself run; of the children; and of the checkers. Measure with nothing
else on the machine.
"""

import argparse
import os
import threading
import time
from statistics import median

import psutil


def jobs(n, count, first):
    from kernels.task import Task
    from kernels.work.synthetic import SyntheticWork

    return [
        SyntheticWork(Task(index.to_bytes(16, "little") + b"\xa5" * 16, n), 16)
        for index in range(first, first + count)
    ]


class Flood:
    """Keeps so many jobs in flight, and counts what was accepted."""

    def __init__(self, pool, in_flight):
        self._pool = pool
        self._room = threading.Semaphore(in_flight)
        self._left = 0
        self._done = threading.Event()
        self.failed = []

    def run(self, works):
        """Seconds until all are accepted."""
        self._left = len(works)
        self._done.clear()
        began = time.perf_counter()
        for work in works:
            self._room.acquire()
            self._pool.submit(work).add_done_callback(self._ended)
        self._done.wait()
        return time.perf_counter() - began

    def _ended(self, future):
        if future.exception() is not None:
            self.failed.append(future.exception())
        self._left -= 1
        self._room.release()
        if not self._left:
            self._done.set()


def cpu_of(pids):
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids if pid is not None)


def wait_ready(pool, devices):
    while [d.state for d in pool.status.devices.values()].count("idle") < len(devices):
        time.sleep(0.05)


def measure(devices, n, arguments):
    from engine.pool.limits import Limits
    from engine.pool.messages import Setup
    from engine.pool.pool import Pool
    from kernels.task import Task

    setup = Setup(arguments.threads, Task(bytes(range(32)), n))
    limits = Limits(check_share=arguments.check_share, cross_check=arguments.cross_check)
    with Pool(devices, lambda _event: None, setup=setup, limits=limits) as pool:
        wait_ready(pool, devices)
        flood = Flood(pool, arguments.in_flight)
        flood.run(jobs(n, min(500, arguments.tasks), 1))
        rates = []
        for round_ in range(arguments.rounds):
            works = jobs(n, arguments.tasks, 10**6 * (round_ + 1))
            children = list(pool.child_pids().values())
            others = [
                child.pid for child in psutil.Process().children() if child.pid not in children
            ]
            before = time.process_time(), cpu_of(children), cpu_of(others)
            seconds = flood.run(works)
            after = time.process_time(), cpu_of(children), cpu_of(others)
            spent = [1e6 * (b - a) / len(works) for a, b in zip(before, after, strict=True)]
            rates.append((len(works) / seconds, *spent))
        assert not flood.failed, flood.failed[0]
        return [median(column) for column in zip(*rates, strict=True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="names, with commas")
    parser.add_argument("--size", default="64,256", help="n, with commas")
    parser.add_argument("--tasks", type=int, default=2000, help="jobs a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--check-share", type=float, default=1.0)
    parser.add_argument("--cross-check", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    for n in map(int, arguments.size.split(",")):
        rate, parent, children, others = measure(arguments.device.split(","), n, arguments)
        print(
            f"n = {n}: {rate:.0f} accepted a second; CPU a job: {parent:.0f} us in the parent,"
            f" {children:.0f} us in the children, {others:.0f} us in checkers",
            flush=True,
        )


if __name__ == "__main__":
    main()
