"""Run it from the command line: see `python -m tests.engine.poc_worker.soak --help`."""

import argparse
import tempfile

from tests.engine.poc_worker.soak.run import soak


def main():
    parser = argparse.ArgumentParser(description="A market whose workers are killed and cut off.")
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--every", type=float, default=4.0, help="seconds between two faults")
    parser.add_argument("--device", action="append", help="of the workers, in turn")
    parser.add_argument("--patience", type=float, default=3600.0, help="seconds for all of it")
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(delete=False) as directory:
        print("logs and books:", directory, flush=True)
        judge = soak(
            directory,
            tasks=asked.tasks,
            workers=asked.workers,
            seed=asked.seed,
            every=asked.every,
            devices=tuple(asked.device or ("reference", "cpu")),
            patience=asked.patience,
        )
    for name, value in judge.figures.items():
        print(f"{name}: {value}")
    for sentence in judge.wrong:
        print("WRONG:", sentence)
    print("every task ended once, right" if not judge.wrong else f"{len(judge.wrong)} things wrong")
    return bool(judge.wrong)


if __name__ == "__main__":
    raise SystemExit(main())
