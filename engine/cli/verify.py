"""`cpc-engine verify`: a result given by its parts, or every result of a block."""

from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from gettext import gettext as _
from gettext import ngettext
from typing import TYPE_CHECKING

import typer

from engine.cli.config.groups import with_options
from engine.cli.failure import EXIT_WRONG
from engine.cli.options import (
    Json,
    NodeOptions,
    OneDevice,
    say,
    say_foreign_json,
    say_json,
    was_set,
)
from engine.cli.tasks import TaskChoice
from engine.runtime.settings import setting
from engine.tasks.defaults import DEFAULT_OPENINGS
from engine.tasks.options import MatrixOptions

if TYPE_CHECKING:
    from engine.tasks.verification import BlockVerdict
    from kernels.operations import Operations
    from kernels.task import Task


@dataclass(frozen=True, kw_only=True)
class ClaimOptions:
    """What is checked, and how thoroughly."""

    height: int | None = setting(
        None, _("Check every result of the block at this height."), least=0
    )
    result_hash: str | None = setting(None, _("Claimed result, 64 hex digits."))
    proof: str = setting("", _("Its proof, in hex."))
    full: bool = setting(False, _("Compute the whole result again."))
    sample: int = setting(
        DEFAULT_OPENINGS, _("Least number of leaves the proof must open."), least=1, most=1024
    )


@with_options
def verify(
    context: typer.Context,
    claim: ClaimOptions,
    choice: TaskChoice,
    matrix: MatrixOptions,
    device: OneDevice,
    nodes: NodeOptions,
    json: Json = False,
) -> None:
    """Check results. Exit code 0: all are right; 1: one is wrong, or its block is not proven."""
    from engine.cli.opening import open_device_shown, operations_shown
    from engine.runtime.errors import BadInput, WrongClaim
    from engine.tasks.derivation import check_result_hash
    from engine.tasks.verification import verify_block, verify_result, worth_compiling
    from kernels.operations import REFERENCE

    result_hash = claim.result_hash and check_result_hash(claim.result_hash)
    compiled = cache(partial(operations_shown, device.tier))

    def operations(task: "Task") -> "Operations":
        worth = worth_compiling(task.n, task.iterations, claim.sample)
        return compiled() if not claim.full and (device.tier or worth) else REFERENCE

    with ExitStack() as stack:
        opened = None
        if claim.full:
            opening = open_device_shown(device.device, device.threads, device.tier)
            opened = stack.enter_context(opening)
        if claim.height is not None:
            client = nodes.connect(context)
            client.status()  # a node of the network without results is named
            verdict = verify_block(
                client,
                claim.height,
                size=matrix.size if was_set(context, "size") else None,
                iterations=matrix.iterations,
                least_openings=claim.sample,
                device=opened,
                operations=operations,
            )
            _tell_block(claim.height, verdict, json, _weakness(claim))
            return
        if result_hash is None:
            raise BadInput(
                _("say what to check: --height, or --result-hash with its task and proof")
            )
        _task_id, task = choice.task(matrix)
        if not claim.proof and not claim.full:
            raise BadInput(_("without --proof there is nothing to sample: give it, or use --full"))
        reason = ""
        try:
            verify_result(
                task,
                result_hash,
                claim.proof,
                least_openings=claim.sample,
                device=opened,
                operations=operations(task),
            )
        except WrongClaim as error:
            reason = str(error)
        _tell_result(result_hash, reason, json, _weakness(claim))


def _weakness(claim: ClaimOptions) -> str:
    """Return why what is right here may be wrong all the same; "" where as much as usual was asked."""
    if claim.full or claim.sample >= DEFAULT_OPENINGS:
        return ""
    said = _("WEAK: a proof had to open {count} of the leaves only, {usual} are usual (--sample)")
    return said.format(count=claim.sample, usual=DEFAULT_OPENINGS)


def _tell_block(height: int, verdict: "BlockVerdict", json: bool, weak: str) -> None:
    from node_client.refusals import shorten

    results = verdict.results
    wrong = sum(not result.right for result in results)
    if json:
        more = {"fault": verdict.fault, "past_faults": verdict.past_faults, "weak": weak}
        say_foreign_json({"height": height, "results": results, "wrong": wrong} | more)
    else:
        for result in results:
            reason = shorten(result.reason)
            state = _("WRONG: {reason}").format(reason=reason) if reason else _("right")
            size = "" if result.size is None else _(" (size {size})").format(size=result.size)
            say(f"{result.tx_hash or '-'} {shorten(result.worker_address)} {state}{size}")
        say(
            ngettext(
                "block {height}: {count} result, {wrong} wrong",
                "block {height}: {count} results, {wrong} wrong",
                len(results),
            ).format(height=height, count=len(results), wrong=wrong)
        )
        if weak:
            say(weak)
        if verdict.fault:
            message = _("NOT PROVEN, the chain may hold something else than this: {fault}")
            say(message.format(fault=verdict.fault))
        for fault in verdict.past_faults:
            message = _("An earlier result for one of these tasks may be missing: {fault}")
            say(message.format(fault=fault))
    if wrong or verdict.fault:
        raise typer.Exit(EXIT_WRONG)


def _tell_result(result_hash: str, reason: str, json: bool, weak: str) -> None:
    if json:
        about = {"result_hash": result_hash, "right": not reason, "reason": reason}
        say_json(about | {"weak": weak})
    else:
        state = _("WRONG: {reason}").format(reason=reason) if reason else _("right")
        say(f"{result_hash} {state}")
        if weak and not reason:
            say(weak)
    if reason:
        raise typer.Exit(EXIT_WRONG)
