"""`cpc-engine receipt`: check a validator's receipt offline, and dispute a result."""

from gettext import gettext as _
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.config.groups import with_options
from engine.cli.failure import EXIT_WRONG
from engine.cli.options import Json, OneDevice, command_group, say, say_json

app = command_group(_("Check receipts of results offline, and dispute wrong results."))

ReceiptFile = Annotated[Path, typer.Argument(help=_("A receipt: tasks show ID --receipt FILE."))]
ModelName = Annotated[
    str | None, typer.Option("--model", help=_("The model file, or digits: as it was posted."))
]
InputName = Annotated[
    str | None,
    typer.Option("--input", help=_("The samples: a .npy file or digits:N, with --model.")),
]


@app.command()
@with_options
def verify(
    file: ReceiptFile,
    output: Annotated[
        Path | None, typer.Option("--output", help=_("The result: tasks show ID --out FILE."))
    ] = None,
    model: ModelName = None,
    input_: InputName = None,
    validator: Annotated[
        str | None,
        typer.Option("--validator", help=_("Address or public key that must have signed it.")),
    ] = None,
    json: Json = False,
) -> None:
    """Check a receipt. Exit code 0: valid; 1: not valid, with what differs; 2: not a receipt."""
    from engine.receipts.document import read_receipt
    from engine.receipts.verification import Files, differences

    receipt = read_receipt(_read(file))
    files = Files(None if output is None else _read(output), *_as_posted(model, input_))
    found, body = differences(receipt, files, validator), receipt.body
    if json:
        about = {"valid": not found, "differences": found, "validator": body.validator.address}
        say_json(about | {"task_id": body.task_id, "result_hash": body.result_hash})
    elif found:
        for difference in found:
            say(_("NOT VALID: {difference}").format(difference=difference))
    else:
        say(_("valid: signed by {address}").format(address=body.validator.address))
        said = _("task {task_id}: {kind}, {reward} CPC, result {result_hash}")
        say(said.format(**{name: getattr(body, name) for name in body.__struct_fields__}))
        for check in body.checks:
            say(_("checked by {by}: {what}").format(by=check.by, what=check.what))
    if found:
        raise typer.Exit(EXIT_WRONG)


@app.command()
@with_options
def dispute(
    file: ReceiptFile,
    device: OneDevice,
    output: Annotated[Path, typer.Option("--output", help=_("The result's bytes."))],
    model: Annotated[str, typer.Option("--model", help=_("The model file, as it was posted."))],
    input_: Annotated[str, typer.Option("--input", help=_("The samples, as they were posted."))],
    proof: Annotated[
        Path, typer.Option("--proof", help=_("Where to write the dispute, if it is wrong."))
    ] = Path("dispute.json"),
    json: Json = False,
) -> None:
    """Compute an inference again. Exit code 0: it is right; 1: wrong, and a dispute is written."""
    from engine.cli.opening import open_device_shown
    from engine.receipts.dispute import Disputed, Rows, find_dispute
    from engine.receipts.document import read_receipt

    receipt = read_receipt(_read(file))
    content, samples = _as_posted(model, input_)
    assert content is not None
    assert samples is not None
    with open_device_shown(device.device, device.threads, device.tier) as opened:

        def compute(about: Disputed) -> Rows:
            return about.compute(opened)

        found = find_dispute(receipt, content, samples, _read(output), compute)
    if found is not None:
        proof.write_bytes(found.encode())
    if json:
        place = None if found is None else {"node": found.node, "row": found.row}
        say_json({"right": found is None, "dispute": place, "file": str(proof) if found else None})
    elif found is None:
        say(_("right: the result is what the model gives for this input"))
    else:
        say(_("WRONG: {place}, in sample {row}").format(place=_place(found.node), row=found.row))
        say(_("wrote {file}; check it: cpc-engine receipt verify-dispute").format(file=proof))
    if found is not None:
        raise typer.Exit(EXIT_WRONG)


@app.command("verify-dispute")
@with_options
def verify_dispute(
    file: Annotated[Path, typer.Argument(help=_("A dispute: receipt dispute ... --proof FILE."))],
    model: Annotated[str, typer.Option("--model", help=_("The model file, as it was posted."))],
    input_: Annotated[str, typer.Option("--input", help=_("The samples, as they were posted."))],
    json: Json = False,
) -> None:
    """Check a dispute. Exit code 0: it holds, the result is wrong; 1: it does not; 2: not a dispute."""
    from engine.receipts.dispute import check_dispute, read_dispute

    found = read_dispute(_read(file))
    content, samples = _as_posted(model, input_)
    committed, right = check_dispute(found, content or b"", samples or b"")
    body = found.receipt.body
    workers = [worker.address for worker in body.workers]
    if json:
        about = {"node": found.node, "row": found.row, "column": found.column}
        said = {"committed": committed, "right": right, "validator": body.validator.address}
        say_json(about | said | {"workers": workers})
        return
    say(
        _("the dispute holds: {place}, in sample {row}: {committed}, which must be {right}").format(
            place=_place(found.node), row=found.row, committed=committed, right=right
        )
    )
    say(
        _("signed as right by {validator}, computed by {workers}").format(
            validator=body.validator.address, workers=", ".join(workers)
        )
    )


def _place(node: int | None) -> str:
    return _("the outputs") if node is None else _("a sum of node {node}").format(node=node)


def _as_posted(model: str | None, samples: str | None) -> tuple[bytes | None, bytes | None]:
    """Return the bytes of model and input that `tasks post inference` posts. Raises BadInput."""
    from engine.jobs.inference import load_samples, model_bytes
    from engine.runtime.errors import BadInput
    from kernels.network.model import decode_network

    if model is None:
        if samples is not None:
            raise BadInput(_("--input is read as the model says: give --model, too"))
        return None, None
    content = model_bytes(model)
    if samples is None:
        return content, None
    return content, load_samples(decode_network(content), samples).tobytes()


def _read(path: Path) -> bytes:
    from engine.runtime.errors import BadInput

    try:
        return path.read_bytes()
    except OSError as error:
        message = _("{file} cannot be read: {error}")
        raise BadInput(message.format(file=path, error=error.strerror)) from None
