"""`cpc-engine verify`: a result given by its parts, or every result of a block."""

from gettext import gettext as _
from gettext import ngettext
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.failure import EXIT_WRONG
from engine.cli.options import (
    Device,
    Iterations,
    Json,
    Nodes,
    Size,
    Threads,
    Tier,
    connect,
    say,
    say_json,
)
from engine.tasks.defaults import DEFAULT_ITERATIONS, DEFAULT_OPENINGS, DEFAULT_SIZE

if TYPE_CHECKING:
    from engine.tasks.verification import Verdict


def verify(
    context: typer.Context,
    height: Annotated[
        int | None, typer.Option(min=0, help=_("Check every result of the block at this height."))
    ] = None,
    block_hash: Annotated[str | None, typer.Option(help=_("Hash of the task's block."))] = None,
    address: Annotated[str | None, typer.Option(help=_("Worker's address, cpc1..."))] = None,
    index: Annotated[int, typer.Option(help=_("Index of the block's task, 0 to 15."))] = 0,
    seed: Annotated[
        str | None, typer.Option(help=_("Seed in place of a block: 64 hex digits."))
    ] = None,
    result_hash: Annotated[
        str | None, typer.Option(help=_("Claimed result, 64 hex digits."))
    ] = None,
    proof: Annotated[str, typer.Option(help=_("Its proof, in hex."))] = "",
    size: Size = DEFAULT_SIZE,
    iterations: Iterations = DEFAULT_ITERATIONS,
    full: Annotated[
        bool, typer.Option("--full", help=_("Compute the whole result again."))
    ] = False,
    sample: Annotated[
        int, typer.Option(min=1, max=1024, help=_("Least number of leaves the proof must open."))
    ] = DEFAULT_OPENINGS,
    device: Device = "auto",
    threads: Threads = None,
    tier: Tier = None,
    node: Nodes = None,
    json: Json = False,
) -> None:
    """Check results. Exit code 0: all right; 1: one was found wrong."""
    from contextlib import ExitStack

    from engine.cli.opening import open_device_shown, operations_shown
    from engine.tasks.verification import worth_compiling
    from kernels.operations import REFERENCE

    fast = tier is not None or worth_compiling(size, iterations, sample)
    operations = operations_shown(tier) if fast and not full else REFERENCE
    with ExitStack() as stack:
        opened = None
        if full:
            opened = stack.enter_context(open_device_shown(device, threads, tier))
        if height is not None:
            from engine.tasks.verification import verify_block

            verdicts = verify_block(
                connect(context, node),
                height,
                size=size,
                iterations=iterations,
                least_openings=sample,
                device=opened,
                operations=operations,
            )
            _tell_block(height, verdicts, json)
            return

        from engine.cli.tasks import named_task
        from engine.runtime.errors import BadInput, WrongClaim
        from engine.tasks.derivation import check_hash
        from engine.tasks.verification import verify_result

        if result_hash is None:
            raise BadInput(
                _("say what to check: --height, or --result-hash with its task and proof")
            )
        _task_id, task = named_task(block_hash, address, index, seed, size, iterations)
        check_hash(result_hash, _("result hash"))
        if not proof and not full:
            raise BadInput(_("without --proof there is nothing to sample: give it, or use --full"))
        reason = ""
        try:
            verify_result(
                task,
                result_hash,
                proof,
                least_openings=sample,
                device=opened,
                operations=operations,
            )
        except WrongClaim as error:
            reason = str(error)
        _tell_result(result_hash, reason, json)


def _tell_block(height: int, verdicts: "list[Verdict]", json: bool) -> None:
    wrong = sum(not verdict.right for verdict in verdicts)
    if json:
        results = [verdict.to_json() for verdict in verdicts]
        say_json({"height": height, "results": results, "wrong": wrong})
    else:
        for verdict in verdicts:
            state = (
                _("right") if verdict.right else _("WRONG: {reason}").format(reason=verdict.reason)
            )
            say(f"{verdict.tx_hash} {verdict.worker_address} {state}")
        say(
            ngettext(
                "block {height}: {count} result, {wrong} wrong",
                "block {height}: {count} results, {wrong} wrong",
                len(verdicts),
            ).format(height=height, count=len(verdicts), wrong=wrong)
        )
    if wrong:
        raise typer.Exit(EXIT_WRONG)


def _tell_result(result_hash: str, reason: str, json: bool) -> None:
    if json:
        say_json({"result_hash": result_hash, "right": not reason, "reason": reason})
    else:
        state = _("WRONG: {reason}").format(reason=reason) if reason else _("right")
        say(f"{result_hash} {state}")
    if reason:
        raise typer.Exit(EXIT_WRONG)
