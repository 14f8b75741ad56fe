"""A block's way to the mempool while a flood of validators' jobs goes through the same `mine`.

    python -m bench.under_load                                # n = 256 and 1024, jobs of n = 64
    python -m bench.under_load --size 256 --job-size 256 --rounds 3
    python -m bench.under_load --device cuda:0 --size 1024,4096 --job-size 1024

As `bench.to_mempool`, which see; the runs with and without the flood take turns. The flood is 128 jobs
that wait at any time, from a validator in a process of its own, on the same machine (`bench/flood.py`).
"""

import argparse
import time
from collections import defaultdict
from contextlib import nullcontext
from pathlib import Path
from statistics import median

from bench.flood import flood
from bench.to_mempool import ROOT, Sample, line, mine, spans


def run(arguments: argparse.Namespace, size: int, *, jobs: bool, trace: Path | None = None):
    """Return the samples of one run, and the jobs answered a second."""
    started = time.monotonic()
    with flood(arguments.job_size) if jobs else nullcontext(("", int)) as (url, count):
        more = ["--validator", url] if jobs else []
        found = mine(arguments.root, arguments, size, arguments.tasks, trace, more)
        return found, count() / (time.monotonic() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="one, or several with commas")
    parser.add_argument("--size", default="256,1024", help="of a block's tasks, with commas")
    parser.add_argument("--tasks", type=int, default=1, help="tasks a block")
    parser.add_argument("--job-size", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=12, help="in each run, beside two of warm-up")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--block-time", type=float, default=1.0)
    parser.add_argument("--trace", type=Path, help="one more run with the flood, traced to there")
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout")
    arguments = parser.parse_args()
    arguments.root = arguments.root.resolve()
    for size in map(int, arguments.size.split(",")):
        print(f"n = {size}, {arguments.tasks} tasks a block, device {arguments.device}", flush=True)
        found: dict[str, list[Sample]] = defaultdict(list)
        rates = []
        for _round in range(arguments.rounds):
            found["alone"] += run(arguments, size, jobs=False)[0]
            samples, rate = run(arguments, size, jobs=True)
            found["with the flood"] += samples
            rates.append(rate)
        for name, samples in found.items():
            print(line(name, samples, arguments.rounds * arguments.blocks), flush=True)
        alone, flooded = (median(one.taken for one in samples) for samples in found.values())
        print(
            f"  {flooded / alone:.2f} times as long, beside"
            f" {median(rates):.0f} jobs of n = {arguments.job_size} a second",
            flush=True,
        )
        if arguments.trace is not None:
            run(arguments, size, jobs=True, trace=arguments.trace)
            print("\n".join(spans(arguments.trace)), flush=True)


if __name__ == "__main__":
    main()
