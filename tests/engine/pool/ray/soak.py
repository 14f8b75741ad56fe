"""A farm of four machines that mines while one of them is lost and another one joins.

    python -m tests.engine.pool.ray.soak --blocks 200 --block-time 0.5

Every block must be answered in full or counted as skipped, nothing twice; prints who did how much.
"""

import argparse
import json
from collections import Counter

from tests.engine.pool.ray.mining import Mining
from tests.engine.pool.ray.raylets import Raylets
from tests.processes import PATIENCE_SECONDS

MACHINES = 4


def soak(blocks, block_time, tasks_per_block, size):
    arguments = ["--blocks", str(blocks), "--block-time", str(block_time)]
    arguments += ["--tasks-per-block", str(tasks_per_block), "--size", str(size)]
    with Raylets() as farm:
        machines = [farm.add() for _ in range(MACHINES)]
        with Mining(farm.address, *arguments) as mining:
            seen = 0
            while seen < blocks // 2:
                mining.wait_for(lambda event: event["event"] == "block")
                seen += 1
            half = len(mining.events)
            farm.kill(machines[0])
            farm.add()
            summary = mining.wait_for(lambda event: event["event"] == "summary")
            assert mining.process.wait(timeout=PATIENCE_SECONDS) == 0
    return judge(mining, summary, half)


def judge(mining, summary, half):
    results = summary["results"]
    tasks = Counter(result["task_id"] for result in results)
    answered = Counter(result["height"] for result in results if result["state"] == "final")
    asked = {event["height"]: event["tasks"] for event in mining.of("block")}
    skipped = {event["height"] for event in mining.of("skipped")}
    return {
        "blocks": summary["blocks_seen"],
        "answered_in_full": sum(answered[height] == count for height, count in asked.items()),
        "skipped_in_part": len(skipped),
        "neither": [h for h, count in asked.items() if answered[h] < count and h not in skipped],
        "twice": sum(count > 1 for count in tasks.values()),
        "not_final": [r["task_id"] for r in results if r["state"] != "final"],
        "before": Counter(
            event["device"] for event in mining.events[:half] if event["event"] == "computed"
        ),
        "after": Counter(
            event["device"] for event in mining.events[half:] if event["event"] == "computed"
        ),
        "events": [
            event
            for name in ("device_joined", "device_left", "child_killed", "out_of_service")
            for event in mining.of(name)
        ],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=200)
    parser.add_argument("--block-time", type=float, default=0.5)
    parser.add_argument("--tasks-per-block", type=int, default=4)
    parser.add_argument("--size", type=int, default=256)
    print(json.dumps(soak(**vars(parser.parse_args())), indent=2))


if __name__ == "__main__":
    main()
