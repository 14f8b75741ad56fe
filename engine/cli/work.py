"""`cpc-engine work`: jobs of PoC validators, without mining."""

import os
from gettext import gettext as _
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.options import (
    Devices,
    Json,
    KeysDirectory,
    Nodes,
    PassphraseFile,
    Threads,
    WorkerKey,
    load_key,
    node_urls,
    say,
)
from engine.cli.validators import (
    DEFAULT_SUBMIT_MOST,
    JobKinds,
    Jobs,
    MaxIterations,
    MaxProduct,
    MaxSize,
    Submit,
    SubmitMost,
    Validators,
    validators_request,
)


def work(
    context: typer.Context,
    validator: Validators = None,
    from_: WorkerKey = "worker",
    device: Devices = None,
    threads: Threads = None,
    job_kind: JobKinds = None,
    jobs: Jobs = None,
    max_size: MaxSize = None,
    max_iterations: MaxIterations = None,
    max_product: MaxProduct = None,
    submit: Submit = False,
    submit_most: SubmitMost = DEFAULT_SUBMIT_MOST,
    gas_price: Annotated[
        int | None, typer.Option(help=_("Units a gas, with --submit. [the network's least]"))
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option(help=_("Ledger of what is submitted. [in CPC_STATE]"))
    ] = None,
    passphrase_file: PassphraseFile = None,
    keys_dir: KeysDirectory = None,
    node: Nodes = None,
    json: Json = False,
) -> None:
    """Take jobs from PoC validators and answer each with a checked result."""
    # The parent's checks are small; OpenBLAS's idle threads would spin on the children's cores.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from engine.monitor.reporter import JsonReporter, PlainReporter, Reporter
    from engine.node.alone import WorkRequest, work_on
    from engine.runtime.errors import BadInput
    from kernels.devices import check_device_name

    for name in device or []:
        check_device_name(name)
    request = validators_request(
        validator,
        job_kind,
        jobs,
        max_size,
        max_iterations,
        max_product,
        submit_most if submit else 0,
    )
    if request is None:
        raise BadInput(
            _("there is no validator to work for"),
            advice=_("Name one: cpc-engine work --validator wss://HOST/worker"),
        )
    report: Reporter = JsonReporter() if json else PlainReporter()
    summary = work_on(
        WorkRequest(
            validators=request,
            urls=tuple(node_urls(context, node)),
            devices=tuple(device or ["auto"]),
            threads=threads,
            gas_price=gas_price,
            ledger=ledger,
        ),
        load_key(from_, keys_dir, passphrase_file),
        report,
    )
    if json:
        JsonReporter().print("work_summary", summary.to_json())
    else:
        say()
        say(
            _(
                "jobs computed so far: {computed}, {accepted} accepted, {rejected} rejected by"
                " their validators; {seconds:.1f} s"
            ).format(**summary.to_json())
        )
