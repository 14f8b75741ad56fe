"""`cpc-engine tasks`: the customer's side of a task market."""

import os
from collections.abc import Callable
from contextlib import suppress
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.options import Json, say, say_json

if TYPE_CHECKING:
    from engine.jobs.blobs import BlobCache
    from engine.validator.http.client import MarketClient

app = typer.Typer(
    help=_("Post tasks to a market, and see what became of them."),
    no_args_is_help=True,
    rich_markup_mode=None,
)
post = typer.Typer(
    help=_("Post a task, one command for each kind."), no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(post, name="post")

DEFAULT_MARKET = "http://localhost:8080"
CACHE_BYTES = 2**30
POLL_SECONDS = 0.5

Market = Annotated[
    str, typer.Option("--market", envvar="CPC_MARKET", help=_("Address of the task market."))
]
TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", help=_("File with the customer's token. Also CPC_TOKEN.")),
]
Reward = Annotated[str, typer.Option("--reward", help=_("What a right result is paid, in CPC."))]
Within = Annotated[
    str,
    typer.Option("--within", help=_("Until when it is wanted: 90s, 10m, 2h, 1d, or a Unix time.")),
]
Wait = Annotated[
    float, typer.Option("--wait", min=0, help=_("Seconds to wait for the result; 0: do not."))
]


@post.command()
def synthetic(
    size: Annotated[int, typer.Option("--size", help=_("Matrix size n."))] = 1024,
    iterations: Annotated[int, typer.Option("--iterations", help=_("Products in a row."))] = 1,
    seed: Annotated[
        str | None, typer.Option("--seed", help=_("In hex. [32 bytes by chance]"))
    ] = None,
    reward: Reward = "1",
    within: Within = "1h",
    wait: Wait = 0.0,
    market: Market = DEFAULT_MARKET,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """A task of the chain's own kind, matrix_mult_v1."""
    import secrets

    payload = {
        "seed": seed or secrets.token_hex(32),
        "matrix_size": size,
        "iterations": iterations,
    }
    _post("synthetic", lambda _blobs: payload, reward, within, wait, market, token_file, json)


@post.command()
def matmul(
    a: Annotated[Path, typer.Argument(help=_("A, m x k: a .npy file of int8."))],
    b: Annotated[Path, typer.Argument(help=_("B, k x n: a .npy file of int8."))],
    data: Annotated[
        bool, typer.Option("--data/--no-data", help=_("Whether the product itself is wanted."))
    ] = True,
    reward: Reward = "1",
    within: Within = "1h",
    wait: Wait = 0.0,
    market: Market = DEFAULT_MARKET,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """The exact int32 product of two int8 matrices."""
    from engine.jobs.matmul import build_payload

    def build(blobs: "BlobCache") -> dict[str, Any]:
        return build_payload(a, b, return_data=data, blobs=blobs)

    _post("matmul", build, reward, within, wait, market, token_file, json)


@post.command()
def inference(
    model: Annotated[str, typer.Argument(help=_("A model file, or digits: the one we ship."))],
    image: Annotated[
        str, typer.Argument(help=_("A .npy file of one image or many, or digits:N, a test image."))
    ],
    data: Annotated[
        bool, typer.Option("--data/--no-data", help=_("Whether the outputs themselves are wanted."))
    ] = True,
    reward: Reward = "1",
    within: Within = "1h",
    wait: Wait = 0.0,
    market: Market = DEFAULT_MARKET,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """What a network says of images, in integers only: the same bits on every device."""
    from engine.jobs.inference import build_payload

    def build(blobs: "BlobCache") -> dict[str, Any]:
        return build_payload(model, image, return_data=data, blobs=blobs)

    _post("inference", build, reward, within, wait, market, token_file, json)


@post.command("json")
def from_json(
    file: Annotated[Path, typer.Argument(help=_("A file with the payload, challenge_type in it."))],
    reward: Reward = "1",
    within: Within = "1h",
    wait: Wait = 0.0,
    market: Market = DEFAULT_MARKET,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Any kind of task, by its payload as JSON."""
    from json import loads

    from engine.runtime.errors import BadInput

    try:
        payload = loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise BadInput(
            _("{file} holds no payload: {error}").format(file=file, error=error)
        ) from None
    if not isinstance(payload, dict) or not isinstance(payload.get("challenge_type"), str):
        raise BadInput(_("{file} holds no object with a challenge_type").format(file=file))
    kind = payload["challenge_type"]
    _post(kind, lambda _blobs: payload, reward, within, wait, market, token_file, json)


@app.command()
def show(
    task_id: Annotated[str, typer.Argument(help=_("The task's id."))],
    out: Annotated[
        Path | None, typer.Option("--out", help=_("Write the result's own bytes to this file."))
    ] = None,
    wait: Wait = 0.0,
    market: Market = DEFAULT_MARKET,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """One task, and its result in words. Exit code 1: it failed, or its result is not right."""
    client = _client(market, token_file)
    _show(client, _when_closed(client, task_id, wait), out, json)


@app.command("list")
def list_(
    status: Annotated[
        str | None, typer.Option(help=_("pending, in_progress, completed or failed."))
    ] = None,
    kind: Annotated[str | None, typer.Option(help=_("Only of this kind."))] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help=_("How many."))] = 20,
    offset: Annotated[int, typer.Option(min=0, help=_("How many to leave out before."))] = 0,
    market: Market = DEFAULT_MARKET,
    json: Json = False,
) -> None:
    """The market's tasks, the newest first."""
    page = _client(market, None).tasks(
        status=status, challenge_type=kind, limit=limit, offset=offset
    )
    if json:
        say_json(page)
        return
    for task in page["tasks"]:
        result = task["result"]
        told = result["result_hash"][:16] if result else (task["reason"] or "")
        say(
            f"{task['task_id']} {task['status']:<11} {task['challenge_type']:<10}"
            f" {task['reward']:>8} CPC  {told}"
        )
    say(_("tasks shown: {shown} of {total}").format(shown=len(page["tasks"]), total=page["total"]))


@app.command()
def account(
    market: Market = DEFAULT_MARKET, token_file: TokenFile = None, json: Json = False
) -> None:
    """The customer's own account: what is left to post tasks with."""
    found = _client(market, token_file).account()
    if json:
        say_json(found)
    else:
        say(_("{name}: {credit} CPC").format(name=found["name"], credit=found["credit"]))


def _post(
    kind: str,
    build: "Callable[[BlobCache], dict[str, Any]]",
    reward: str,
    within: str,
    wait: float,
    market: str,
    token_file: Path | None,
    json: bool,
) -> None:
    client, deadline = _client(market, token_file), _deadline(within)
    blobs = _blobs()
    payload = build(blobs)
    _upload(client, payload, blobs)
    posted = client.post(kind, payload, reward=reward, deadline=deadline)
    if wait > 0:
        if not json:
            say(_("Task {task_id}").format(task_id=posted["task_id"]))
        _show(client, _when_closed(client, posted["task_id"], wait), None, json)
    elif json:
        say_json(posted)
    else:
        say(_("Task {task_id}: {status}").format(**posted))
        say(_("See what becomes of it: cpc-engine tasks show {task_id}").format(**posted))


def _upload(client: "MarketClient", payload: dict[str, Any], blobs: "BlobCache") -> None:
    """Hand in the bytes that the payload names, and that we have."""
    from engine.jobs.blobs import CHUNK_BYTES, BlobRef

    for field in payload.values():
        if isinstance(field, dict) and set(field) == {"sha256", "size"}:
            ref = BlobRef(field["sha256"], field["size"])
            if blobs.has(ref):
                parts = range(0, ref.size, CHUNK_BYTES)
                content = b"".join(blobs.read(ref, offset, CHUNK_BYTES) for offset in parts)
                client.put_blob(ref.sha256, content)


def _when_closed(client: "MarketClient", task_id: str, wait: float) -> dict[str, Any]:
    import time

    until = time.monotonic() + wait
    while True:
        task = client.task(task_id)
        if task["status"] in ("completed", "failed") or time.monotonic() >= until:
            return task
        time.sleep(POLL_SECONDS)


def _show(client: "MarketClient", task: dict[str, Any], out: Path | None, json: bool) -> None:
    from engine.runtime.errors import BadInput

    result = task["result"] or {}
    data = None
    if result.get("data") is not None and (out is not None or not json):
        data = client.data(task["task_id"])
        _check_sha256(data, result["data"]["sha256"])
    if out is not None:
        if data is None:
            raise BadInput(
                _("there are no bytes to write: the task is {status}").format(**task),
                advice=_("A result's bytes are its customer's: --token-file FILE, or CPC_TOKEN."),
            )
        out.write_bytes(data)
    if json:
        say_json(task)
    else:
        _tell(task, data, out)
    if task["status"] == "failed":
        raise typer.Exit(1)


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
    """The result in words, where the payload is ours to see and its kind is installed.

    Whatever the market says is checked here once more, as far as that is cheap.
    """
    from engine.jobs.blobs import BlobError
    from engine.jobs.kind import JobLimits, JobRefused
    from engine.jobs.registry import load_kinds, parse_job
    from engine.runtime.errors import WrongClaim
    from kernels.errors import InvalidProof, WrongResult
    from kernels.work import Outcome

    payload = task["payload"]
    if payload is None:
        return ""
    kinds, blobs, result = load_kinds(), _blobs(), task["result"]
    with suppress(JobRefused, BlobError):  # not ours to check: another machine's, or another kind
        job = parse_job(kinds, result["job_payload"] or payload, JobLimits(), blobs)
        if data is not None or result["proof"]:
            try:
                outcome = Outcome(bytes.fromhex(result["result_hash"]), result["proof"], data)
                job.check(outcome)
            except (InvalidProof, WrongResult) as error:
                raise WrongClaim(
                    _("the market's result is not right: {error}").format(error=error)
                ) from None
        return kinds[payload["challenge_type"]].explain(payload, data, blobs)
    return ""


def _check_sha256(data: bytes, sha256: str) -> None:
    import hashlib

    from engine.runtime.errors import WrongClaim

    if hashlib.sha256(data).hexdigest() != sha256:
        raise WrongClaim(_("the data that came has another hash than the market says"))


def _client(market: str, token_file: Path | None) -> "MarketClient":
    from engine.runtime.errors import BadInput
    from engine.validator.http.client import MarketClient

    token = os.environ.get("CPC_TOKEN", "").strip() or None
    if token_file is not None:
        try:
            token = token_file.read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            raise BadInput(
                _("{file} holds no token: {error}").format(file=token_file, error=error)
            ) from None
    return MarketClient(market, token)


def _blobs() -> "BlobCache":
    """Inputs of our own tasks: what they were, and what their results mean."""
    from engine.jobs.blobs import BlobCache
    from engine.runtime.paths import state_directory

    return BlobCache(state_directory() / "tasks", CACHE_BYTES)


def _deadline(within: str) -> float:
    import re
    import time

    from engine.runtime.errors import BadInput

    found = re.fullmatch(r"([0-9]{1,10}(?:\.[0-9]{1,3})?)([smhd]?)", within)
    if found is None:
        raise BadInput(
            _("{within!r} is no time: write 90s, 10m, 2h or 1d").format(within=within[:40])
        )
    number, unit = float(found[1]), found[2]
    if not unit:
        return number
    return time.time() + number * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
