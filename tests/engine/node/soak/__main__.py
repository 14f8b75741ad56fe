"""`python -m tests.engine.node.soak`: prints the figures as JSON; exit code 1 where something broke."""

import argparse
import json
import sys
import tempfile

from tests.engine.node.soak.run import soak


def main():
    parser = argparse.ArgumentParser(description="Shoot at a mine for a while; see what is left.")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--directory", help="keep ledger and log here [a directory that is removed]"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        judge = soak(arguments.directory or scratch, seconds=arguments.seconds, seed=arguments.seed)
    print(json.dumps(judge.figures, indent=2))
    for sentence in judge.broken:
        print(f"BROKEN: {sentence}", file=sys.stderr)
    sys.exit(bool(judge.broken))


if __name__ == "__main__":
    main()
