"""Jobs a second of one small model at one device, with jobs run together and each by itself.

    python -m bench.batches                     # digits, one sample a job, 3,000 jobs
    python -m bench.batches --jobs 1000 --check-share 0.1

The pool as `work` has it, with the device `cpu` and one thread: submitted at once, checked by the
parent, the first tenth is warm-up.
"""

import argparse
import time
from dataclasses import dataclass

from engine.jobs.models import digits
from engine.pool.limits import Limits
from engine.pool.messages import Setup
from engine.pool.pool import Pool
from kernels.data import Data
from kernels.work.inference import InferenceWork


@dataclass(frozen=True, slots=True)
class Alone(InferenceWork):
    """The same work, which runs with no other."""

    goes_with = None


def rate(kind, count, share):
    """Jobs a second."""
    model = Data.of_bytes(digits.model_bytes())
    images = [digits.test_image(str(number % 360)).astype("i1") for number in range(count)]
    works = [kind.of(model, Data.of_bytes(image.tobytes()), 1, True) for image in images]
    limits = Limits(check_share=share)
    with Pool(["cpu"], lambda _event: None, setup=Setup(threads=1), limits=limits) as pool:
        for work in works[: count // 10]:
            pool.submit(work).result()
        began = time.perf_counter()
        futures = [pool.submit(work) for work in works]
        for future in futures:
            future.result()
        return count / (time.perf_counter() - began)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=3000)
    parser.add_argument("--check-share", type=float, default=1.0)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    for turn in range(given.turns):
        alone, together = (
            rate(kind, given.jobs, given.check_share) for kind in (Alone, InferenceWork)
        )
        print(
            f"turn {turn}: alone {alone:.0f}/s, together {together:.0f}/s, {together / alone:.2f}x"
        )


if __name__ == "__main__":
    main()
