"""`cpc-engine compute`: one task, offline, from a block's hash or from a seed."""

from gettext import gettext as _
from typing import Annotated

import typer

from engine.cli.options import (
    Device,
    Iterations,
    Json,
    Openings,
    Size,
    Threads,
    Tier,
    say,
    say_json,
)
from engine.tasks.defaults import DEFAULT_ITERATIONS, DEFAULT_OPENINGS, DEFAULT_SIZE


def compute(
    block_hash: Annotated[str | None, typer.Option(help=_("Block's hash, 64 hex digits."))] = None,
    address: Annotated[str | None, typer.Option(help=_("Worker's address, cpc1..."))] = None,
    index: Annotated[int, typer.Option(help=_("Index of the block's task, 0 to 15."))] = 0,
    seed: Annotated[
        str | None, typer.Option(help=_("Seed in place of a block: 64 hex digits."))
    ] = None,
    size: Size = DEFAULT_SIZE,
    iterations: Iterations = DEFAULT_ITERATIONS,
    openings: Openings = DEFAULT_OPENINGS,
    device: Device = "auto",
    threads: Threads = None,
    tier: Tier = None,
    json: Json = False,
) -> None:
    """Compute one task and print its result hash and proof."""
    import time

    from engine.cli.opening import open_device_shown
    from engine.cli.tasks import named_task

    task_id, task = named_task(block_hash, address, index, seed, size, iterations)
    check_openings(openings)
    with open_device_shown(device, threads, tier) as opened:
        started = time.perf_counter()
        commitment = opened.compute(task)
        seconds = time.perf_counter() - started
        result = {
            "task_id": task_id,
            "seed": task.seed.hex(),
            "matrix_size": task.n,
            "iterations": task.iterations,
            "result_hash": commitment.root.hex(),
            "proof": commitment.proof(min(openings, task.leaf_count)),
            "device": opened.name,
            "seconds": round(seconds, 6),
        }
    if json:
        say_json(result)
        return
    for name, value in result.items():
        say(f"{name + ':':<13} {value if value is not None else '-'}")


def check_openings(openings: int) -> None:
    """Raise BadInput for a number of openings that no proof may have."""
    from engine.runtime.errors import BadInput
    from kernels.task import MAX_OPENINGS

    if not 0 <= openings <= MAX_OPENINGS:
        raise BadInput(
            _("{openings} openings: a proof opens 0 to {MAX_OPENINGS} leaves").format(
                openings=openings, MAX_OPENINGS=MAX_OPENINGS
            )
        )
