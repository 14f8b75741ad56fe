"""`cpc-engine compute`: one task, offline, from a block's hash or from a seed."""

import sys
from gettext import ngettext

from engine.cli.config.groups import with_options
from engine.cli.options import Json, OneDevice, say, say_json
from engine.cli.tasks import TaskChoice
from engine.cli.waiting import sign_of_life
from engine.tasks.options import TaskOptions

LONGEST_SHOWN = 64
"""Letters of a proof on a terminal."""


@with_options
def compute(choice: TaskChoice, kind: TaskOptions, device: OneDevice, json: Json = False) -> None:
    """Compute one task and print its result hash and proof."""
    import time

    from engine.cli.opening import open_device_shown

    task_id, task = choice.task(kind)
    kind.check()
    with open_device_shown(device.device, device.threads, device.tier) as opened:
        started = time.perf_counter()
        with sign_of_life():
            commitment = opened.compute(task)
        seconds = time.perf_counter() - started
        result = {
            "task_id": task_id,
            "seed": task.seed.hex(),
            "matrix_size": task.n,
            "iterations": task.iterations,
            "result_hash": commitment.root.hex(),
            "proof": commitment.proof(min(kind.openings, task.leaf_count)),
            "device": opened.name,
            "seconds": round(seconds, 6),
        }
    if json:
        say_json(result)
        return
    if sys.stdout.isatty():  # a program that reads this wants the whole
        proof = str(result["proof"])
        if len(proof) > LONGEST_SHOWN:
            count = len(proof) // 2
            told = ngettext(
                "{start}... {count} byte; --json shows it all",
                "{start}... {count} bytes; --json shows them all",
                count,
            )
            result["proof"] = told.format(start=proof[:LONGEST_SHOWN], count=count)
    for name, value in result.items():
        say(f"{name + ':':<13} {value if value is not None else '-'}")
