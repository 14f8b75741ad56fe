"""`cpc-engine bench`: each stage of a task timed, beside a straight numpy version."""

from typing import Annotated, Any

import typer

from engine.cli.options import Device, Iterations, Json, Size, Threads, say, say_json
from engine.defaults import DEFAULT_ITERATIONS


def bench(
    size: Size = 4096,
    iterations: Iterations = DEFAULT_ITERATIONS,
    repeat: Annotated[int, typer.Option(min=1, max=1000, help="Runs; the median counts.")] = 5,
    device: Device = "auto",
    threads: Threads = None,
    compare: Annotated[
        bool, typer.Option("--compare/--no-compare", help="Time the numpy version, too.")
    ] = True,
    json: Json = False,
) -> None:
    """Time expansion, product and commitment; GOP/s counts a multiply-add as two operations."""
    from engine.bench import run_bench

    table = run_bench(
        size, iterations, repeat=repeat, device=device, threads=threads, compare=compare
    )
    if json:
        say_json(table.to_json())
        return
    say(f"{table.device}, n = {table.size}, {table.iterations} iteration(s), median of {repeat}")
    say(f"{'stage':<10} {'this':>12} {'numpy':>12} {'ratio':>7}")
    for row in table.rows:
        say(f"{row.stage:<10} {_ms(row.seconds)} {_ms(row.numpy_seconds)} {_ratio(row)}")
    say(f"product: {table.gops:.0f} GOP/s")


def _ms(seconds: float | None) -> str:
    return f"{'-':>12}" if seconds is None else f"{1000 * seconds:>9.2f} ms"


def _ratio(row: Any) -> str:
    return f"{'-':>7}" if row.numpy_seconds is None else f"{row.numpy_seconds / row.seconds:>6.1f}x"
