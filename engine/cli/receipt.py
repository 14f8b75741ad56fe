"""`cpc-engine receipt`: check a validator's receipt offline, and dispute a result."""

from collections.abc import Mapping
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from engine.cli.config.groups import with_options
from engine.cli.failure import EXIT_WRONG
from engine.cli.options import Json, OneDevice, command_group, read_file, say, say_json
from engine.cli.waiting import sign_of_life
from engine.runtime.settings import setting

if TYPE_CHECKING:
    from engine.receipts.dispute import Dispute

app = command_group(_("Check receipts of results offline, and dispute wrong results."))

ReceiptFile = Annotated[Path, typer.Argument(help=_("A receipt: tasks show ID --receipt FILE."))]


@dataclass(frozen=True, kw_only=True)
class PostedFiles:
    """What the task was posted with."""

    heading: ClassVar[str] = _("The task's files, as they were posted")

    model: str | None = setting(None, _("The model file, or digits."))
    input: str | None = setting(None, _("The samples: a .npy file or digits:N, with --model."))
    after: Path | None = setting(None, _("The result that the stream went on from, if any."))
    a: Path | None = setting(None, _("A of a product: a .npy file."))
    b: Path | None = setting(None, _("B of a product: a .npy file."))

    def read(self, payload: Mapping[str, object]) -> dict[str, bytes]:
        """Return the bytes that `tasks post` posts, by the payload's fields. Raise BadInput."""
        from engine.jobs.arrays import load_matrix
        from engine.jobs.inference import load_samples, model_bytes, state_after
        from engine.runtime.errors import BadInput
        from kernels.network.model import decode_network

        sides = (("a", self.a), ("b", self.b))
        found = {name: load_matrix(path).tobytes() for name, path in sides if path is not None}
        if self.model is None:
            if self.input is not None or self.after is not None:
                raise BadInput(_("--input is read as the model says: give --model, too"))
            return found
        found["model"] = model_bytes(self.model)
        if self.input is not None:
            samples = load_samples(decode_network(found["model"]), self.input)
            found["input"] = samples.tobytes()
        if self.after is not None:
            layers = payload.get("layers") is True
            found["state"] = state_after(self.model, read_file(self.after), layers=layers)
        return found


@app.command()
@with_options
def verify(
    file: ReceiptFile,
    posted: PostedFiles,
    output: Annotated[
        Path | None, typer.Option("--output", help=_("The result: tasks show ID --out FILE."))
    ] = None,
    validator: Annotated[
        str | None,
        typer.Option("--validator", help=_("Address or public key that must have signed it.")),
    ] = None,
    json: Json = False,
) -> None:
    """Check a receipt. Exit code 0: valid; 1: not valid, with what differs; 2: not a receipt."""
    from engine.receipts.document import read_receipt
    from engine.receipts.verification import Files, differences, not_compared

    receipt = read_receipt(read_file(file))
    given = posted.read(receipt.body.payload)
    files = Files(None if output is None else read_file(output), given)
    with sign_of_life():
        found, body = differences(receipt, files, validator), receipt.body
    left = not_compared(body, files, validator)
    if json:
        about = {"valid": not found, "differences": found, "validator": body.validator.address}
        about |= {"task_id": body.task_id, "result_hash": body.result_hash}
        say_json(about | {"not_compared": left})
    elif found:
        for difference in found:
            say(_("NOT VALID: {difference}").format(difference=difference))
    else:
        say(_("valid: signed by {address}").format(address=body.validator.address))
        said = _("task {task_id}: {kind}, {reward} CPC, result {result_hash}")
        say(said.format(**{name: getattr(body, name) for name in body.__struct_fields__}))
        for check in body.checks:
            say(_("checked by {by}: {what}").format(by=check.by, what=check.what))
        if left:
            said = _("NOT COMPARED, for want of its option: {names}")
            names = ("after" if name == "state" else name for name in left)
            say(said.format(names=", ".join(f"--{name}" for name in names)))
    if found:
        raise typer.Exit(EXIT_WRONG)


@app.command()
@with_options
def dispute(
    file: ReceiptFile,
    device: OneDevice,
    posted: PostedFiles,
    output: Annotated[Path, typer.Option("--output", help=_("The result's bytes."))],
    proof: Annotated[
        Path, typer.Option("--proof", help=_("Where to write the dispute, if it is wrong."))
    ] = Path("dispute.json"),
    json: Json = False,
) -> None:
    """Compute a result again. Exit code 0: it is right; 1: it is wrong, and a dispute is written."""
    from engine.cli.opening import open_device_shown
    from engine.receipts.dispute import find_dispute
    from engine.receipts.disputed import Disputed, Rows
    from engine.receipts.document import read_receipt

    receipt = read_receipt(read_file(file))
    files = posted.read(receipt.body.payload)
    with open_device_shown(device.device, device.threads, device.tier) as opened:

        def compute(about: Disputed) -> Rows:
            return about.compute(opened)

        with sign_of_life():
            found = find_dispute(receipt, files, read_file(output), compute)
    if found is not None:
        proof.write_bytes(found.encode())
    if json:
        place = None if found is None else {"node": found.node, "row": found.row}
        say_json({"right": found is None, "dispute": place, "file": str(proof) if found else None})
    elif found is None:
        say(_("right: the result is what follows from these files"))
    else:
        say(_("WRONG: {place}").format(place=_place(found)))
        say(_("wrote {file}; check it: cpc-engine receipt verify-dispute").format(file=proof))
    if found is not None:
        raise typer.Exit(EXIT_WRONG)


@app.command("verify-dispute")
@with_options
def verify_dispute(
    file: Annotated[Path, typer.Argument(help=_("A dispute: receipt dispute ... --proof FILE."))],
    posted: PostedFiles,
    json: Json = False,
) -> None:
    """Check a dispute. Exit code 0: it holds, the result is wrong; 1: it does not; 2: not a dispute."""
    from engine.receipts.dispute import check_dispute, read_dispute

    found = read_dispute(read_file(file))
    body = found.receipt.body
    committed, right = check_dispute(found, posted.read(body.payload))
    workers = [worker.address for worker in body.workers]
    if json:
        about = {"node": found.node, "row": found.row, "column": found.column}
        said = {"committed": committed, "right": right, "validator": body.validator.address}
        say_json(about | said | {"workers": workers})
        return
    say(
        _("the dispute holds: {place}: {committed}, which must be {right}").format(
            place=_place(found), committed=committed, right=right
        )
    )
    say(
        _("signed as right by {validator}, computed by {workers}").format(
            validator=body.validator.address, workers=", ".join(workers)
        )
    )


def _place(found: "Dispute") -> str:
    if found.receipt.body.kind == "matmul":
        return _("row {row}, column {column} of C").format(row=found.row, column=found.column)
    place = _("a sum of node {node}").format(node=found.node)
    place = _("the outputs") if found.node is None else place
    return _("{place}, in sample {row}").format(place=place, row=found.row)
