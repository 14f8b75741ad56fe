"""A task of a market: printed, with its result checked once more and explained."""

from contextlib import suppress
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from engine.cli.options import say, say_json

if TYPE_CHECKING:
    from engine.validator.http.client import MarketClient


def show_task(client: "MarketClient", task: dict[str, Any], out: Path | None, json: bool) -> None:
    """Print the task and write its bytes to `out`. Raises BadInput, WrongClaim, or Exit(1)."""
    from engine.runtime.errors import BadInput

    result = task["result"] or {}
    data = None
    if result.get("data") is not None and (out is not None or not json):
        from engine.client import fetch_data

        data = fetch_data(client, task)
    if out is not None:
        if data is None:
            message = _("there are no bytes to write: the task is {status}")
            advice = _("Only its customer gets a result's bytes: --token-file FILE, or CPC_TOKEN.")
            raise BadInput(message.format(**task), advice=advice)
        out.write_bytes(data)
    if json:
        say_json(task)
    else:
        _tell(task, data, out)
    if task["status"] == "failed":
        raise typer.Exit(1)


def fetch_receipt(client: "MarketClient", task: dict[str, Any], file: Path) -> None:
    """Write the task's receipt to `file`. Raises BadInput, MarketError, WrongClaim."""
    from engine.client import check_receipt
    from engine.runtime.errors import BadInput

    if task["status"] != "completed":
        message = _("there is no receipt: the task is {status}")
        raise BadInput(message.format(**task), advice=_("Wait for it: --wait 60"))
    content = client.receipt(task["task_id"])
    check_receipt(content, task)
    file.write_bytes(content)


def _tell(task: dict[str, Any], data: bytes | None, out: Path | None) -> None:
    say(_("Task:    {task_id}").format(**task))
    say(_("Kind:    {challenge_type}, {reward} CPC").format(**task))
    status = task["status"] + (f", {task['reason']}" if task["reason"] else "")
    say(_("Status:  {status}").format(status=status))
    result = task["result"]
    if result is None:
        return
    say(_("Result:  {result_hash}").format(**result))
    say(_("Worker:  {worker_address}").format(**result))
    if out is not None:
        say(_("Written: {out}").format(out=out))
    words = _explain(task, data)
    if words:
        say(words)


def _explain(task: dict[str, Any], data: bytes | None) -> str:
    """Return the result in words, where the payload is visible to us and its kind is installed.

    What the market says is checked here once more, as far as that is cheap.
    """
    from engine.client import own_blobs
    from engine.jobs.blobs import BlobError
    from engine.jobs.kind import JobLimits, JobRefused
    from engine.jobs.registry import load_kinds, parse_job
    from engine.runtime.errors import WrongClaim
    from kernels.errors import InvalidProof, WrongResult
    from kernels.work import Outcome

    payload = task["payload"]
    if payload is None:
        return ""
    kinds, blobs, result = load_kinds(), own_blobs(), task["result"]
    with suppress(JobRefused, BlobError):  # not ours to check: another machine's, or another kind
        job = parse_job(kinds, result["job_payload"] or payload, JobLimits(), blobs)
        if data is not None or result["proof"]:
            try:
                outcome = Outcome(bytes.fromhex(result["result_hash"]), result["proof"], data)
                job.check(outcome)
            except (InvalidProof, WrongResult) as error:
                raise WrongClaim(
                    _("the market's result is wrong: {error}").format(error=error)
                ) from None
        return kinds[payload["challenge_type"]].explain(payload, data, blobs)
    return ""
