"""`cpc-engine tasks`: the customer's side of a task market."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.config.groups import with_options
from engine.cli.options import Json, command_group, read_file, say, say_json
from engine.cli.table import say_table
from engine.cli.task_result import fetch_receipt, show_task
from engine.cli.waiting import sign_of_life
from engine.runtime.settings import setting
from engine.tasks.options import MatrixOptions

if TYPE_CHECKING:
    from engine.validator.http.client import MarketClient

app = command_group(_("Post tasks to a market, and see their results."))
post = command_group(_("Post a task; one command per kind."))
app.add_typer(post, name="post")


@dataclass(frozen=True, kw_only=True)
class MarketOptions:
    """Which market."""

    market: str = setting(
        "http://localhost:8080", _("Address of the task market."), variable="CPC_MARKET"
    )

    def client(self) -> "MarketClient":
        """Return a client without a token."""
        from engine.validator.http.client import MarketClient

        return MarketClient(self.market, None)


@dataclass(frozen=True, kw_only=True)
class AccountOptions(MarketOptions):
    """Which market, as which customer."""

    token_file: Path | None = setting(None, _("File with the customer's token. Also CPC_TOKEN."))

    def client(self) -> "MarketClient":
        """Return the customer's client. Raises BadInput."""
        from engine.client import read_token
        from engine.validator.http.client import MarketClient

        token = os.environ.get("CPC_TOKEN", "").strip() or None
        if self.token_file is not None:
            token = read_token(self.token_file)
        return MarketClient(self.market, token)


@dataclass(frozen=True, kw_only=True)
class TaskAccount(AccountOptions):
    """A customer that may wait for a task."""

    wait: float = setting(0.0, _("Seconds to wait for the result; 0: do not wait."), least=0)


@dataclass(frozen=True, kw_only=True)
class PostOptions(TaskAccount):
    """What is paid for a task, and until when."""

    reward: str = setting("1", _("Reward for a correct result, in CPC."))
    within: str = setting("1h", _("Deadline: 90s, 10m, 2h, 1d, or a Unix time."))


@post.command()
@with_options
def synthetic(
    options: PostOptions,
    matrix: MatrixOptions,
    seed: Annotated[str | None, typer.Option("--seed", help=_("In hex. [32 random bytes]"))] = None,
    json: Json = False,
) -> None:
    """Post a task of the chain's own kind, matrix_mult_v1."""
    import secrets

    payload = {
        "seed": seed or secrets.token_hex(32),
        "matrix_size": matrix.size,
        "iterations": matrix.iterations,
    }
    _post("synthetic", lambda **_blobs: payload, options, json)


@post.command()
@with_options
def matmul(
    options: PostOptions,
    a: Annotated[Path, typer.Argument(help=_("A, m x k: a .npy file of int8."))],
    b: Annotated[Path, typer.Argument(help=_("B, k x n: a .npy file of int8."))],
    data: Annotated[
        bool, typer.Option("--data/--no-data", help=_("Whether to return the product itself."))
    ] = True,
    json: Json = False,
) -> None:
    """Post the exact int32 product of two int8 matrices."""
    from engine.jobs.matmul import build_payload

    _post("matmul", partial(build_payload, a, b, return_data=data), options, json)


@post.command()
@with_options
def inference(
    options: PostOptions,
    model: Annotated[
        str, typer.Argument(help=_("A model file, or digits: the model that is included."))
    ],
    image: Annotated[
        str,
        typer.Argument(
            help=_("A .npy file of one image or many, a picture, or digits:N, a test image.")
        ),
    ],
    data: Annotated[
        bool, typer.Option("--data/--no-data", help=_("Whether to return the outputs themselves."))
    ] = True,
    layers: Annotated[
        bool,
        typer.Option(
            "--layers/--no-layers",
            help=_("Whether the result commits to every layer, to be checked one by one."),
        ),
    ] = False,
    after: Annotated[
        Path | None,
        typer.Option(
            "--after",
            help=_("The result of the samples before, for a model that keeps a state."),
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Post the inference of a network in integers: the same bits on every device."""
    from engine.jobs.inference import build_payload, state_after

    state = None if after is None else state_after(model, read_file(after), layers=layers)
    build = partial(build_payload, model, image, return_data=data, layers=layers, state=state)
    _post("inference", build, options, json)


@post.command("json")
@with_options
def from_json(
    options: PostOptions,
    file: Annotated[
        Path, typer.Argument(help=_("A file with the payload, including challenge_type."))
    ],
    json: Json = False,
) -> None:
    """Post any kind of task, by its payload as JSON."""
    from json import loads

    from engine.runtime.errors import BadInput

    try:
        payload = loads(read_file(file))
    except (ValueError, RecursionError) as error:
        raise BadInput(
            _("{file} is not a payload: {error}").format(file=file, error=error)
        ) from None
    if not isinstance(payload, dict) or not isinstance(payload.get("challenge_type"), str):
        raise BadInput(_("{file} is not a JSON object with a challenge_type").format(file=file))
    kind = payload["challenge_type"]
    _post(kind, lambda **_blobs: payload, options, json)


@app.command()
@with_options
def show(
    account: TaskAccount,
    task_id: Annotated[str, typer.Argument(help=_("The task's id."))],
    out: Annotated[
        Path | None, typer.Option("--out", help=_("Write the result's bytes to this file."))
    ] = None,
    receipt: Annotated[
        Path | None, typer.Option("--receipt", help=_("Write the signed receipt to this file."))
    ] = None,
    json: Json = False,
) -> None:
    """Show one task and explain its result. Exit code 1: it failed, or its result is wrong."""
    from engine.client import when_closed

    client = account.client()
    with sign_of_life():
        task = when_closed(client, task_id, account.wait)
    if receipt is not None:
        fetch_receipt(client, task, receipt)
    show_task(client, task, out, json)


@app.command("list")
@with_options
def list_(
    market: AccountOptions,
    status: Annotated[
        str | None, typer.Option(help=_("pending, in_progress, completed or failed."))
    ] = None,
    kind: Annotated[str | None, typer.Option(help=_("Only of this kind."))] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help=_("How many."))] = 20,
    offset: Annotated[int, typer.Option(min=0, help=_("How many to skip."))] = 0,
    json: Json = False,
) -> None:
    """List the market's tasks, newest first."""
    page = market.client().tasks(status=status, challenge_type=kind, limit=limit, offset=offset)
    if json:
        say_json(page)
        return
    heads = [_("task"), _("status"), _("kind"), _("reward, CPC"), _("result, or reason")]
    rows = []
    for task in page["tasks"]:
        result = task["result"]
        told = result["result_hash"][:16] if result else (task["reason"] or "")
        row = (task["task_id"], task["status"], task["challenge_type"], task["reward"], told)
        rows.append([str(cell) for cell in row])
    say_table(heads, rows, right={3})
    say(_("tasks shown: {shown} of {total}").format(shown=len(page["tasks"]), total=page["total"]))


@app.command()
@with_options
def account(options: AccountOptions, json: Json = False) -> None:
    """Show the customer's account: the credit that is left for tasks."""
    found = options.client().account()
    if json:
        say_json(found)
    else:
        say(_("{name}: {credit} CPC").format(name=found["name"], credit=found["credit"]))


def _post(
    kind: str, build: Callable[..., dict[str, Any]], options: PostOptions, json: bool
) -> None:
    from engine.client import own_blobs, upload, when_closed

    client, deadline = options.client(), _deadline(options.within)
    blobs = own_blobs()
    payload = build(blobs=blobs)
    upload(client, payload, blobs)
    posted = client.post(kind, payload, reward=options.reward, deadline=deadline)
    if options.wait > 0:
        if not json:
            say(_("Task {task_id}").format(task_id=posted["task_id"]))
        with sign_of_life():
            task = when_closed(client, posted["task_id"], options.wait)
        show_task(client, task, None, json)
    elif json:
        say_json(posted)
    else:
        say(_("Task {task_id}: {status}").format(**posted))
        say(_("See its result: cpc-engine tasks show {task_id}").format(**posted))


def _deadline(within: str) -> float:
    import re
    import time

    from engine.runtime.errors import BadInput

    found = re.fullmatch(r"([0-9]{1,10}(?:\.[0-9]{1,3})?)([smhd]?)", within)
    if found is None:
        raise BadInput(
            _("{within!r} is not a time: write 90s, 10m, 2h or 1d").format(within=within[:40])
        )
    number, unit = float(found[1]), found[2]
    if not unit:
        return number
    return time.time() + number * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
