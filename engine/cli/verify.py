"""`cpc-engine verify`: a result given by its parts, or every result of a block."""

from contextlib import ExitStack
from dataclasses import dataclass
from gettext import gettext as _
from gettext import ngettext
from typing import TYPE_CHECKING

import typer

from engine.cli.config.groups import with_options
from engine.cli.failure import EXIT_WRONG
from engine.cli.options import Json, NodeOptions, OneDevice, say, say_json
from engine.cli.tasks import TaskChoice
from engine.runtime.settings import setting
from engine.tasks.defaults import DEFAULT_OPENINGS
from engine.tasks.options import MatrixOptions

if TYPE_CHECKING:
    from engine.tasks.verification import ResultVerdict


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
    """Check results. Exit code 0: all are right; 1: one is wrong."""
    from engine.cli.opening import open_device_shown, operations_shown
    from engine.runtime.errors import BadInput, WrongClaim
    from engine.tasks.derivation import check_result_hash
    from engine.tasks.verification import verify_block, verify_result, worth_compiling
    from kernels.operations import REFERENCE

    result_hash = claim.result_hash and check_result_hash(claim.result_hash)
    compiled = device.tier is not None or worth_compiling(
        matrix.size, matrix.iterations, claim.sample
    )
    operations = operations_shown(device.tier) if compiled and not claim.full else REFERENCE
    with ExitStack() as stack:
        opened = None
        if claim.full:
            opening = open_device_shown(device.device, device.threads, device.tier)
            opened = stack.enter_context(opening)
        if claim.height is not None:
            client = nodes.connect(context)
            client.status()  # a node of the network without results is named
            verdicts = verify_block(
                client,
                claim.height,
                size=matrix.size,
                iterations=matrix.iterations,
                least_openings=claim.sample,
                device=opened,
                operations=operations,
            )
            _tell_block(claim.height, verdicts, json)
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
                operations=operations,
            )
        except WrongClaim as error:
            reason = str(error)
        _tell_result(result_hash, reason, json)


def _tell_block(height: int, verdicts: "list[ResultVerdict]", json: bool) -> None:
    wrong = sum(not verdict.right for verdict in verdicts)
    if json:
        say_json({"height": height, "results": verdicts, "wrong": wrong})
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
