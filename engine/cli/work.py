"""`cpc-engine work`: jobs of PoC validators, without mining."""

import os
import sys
from dataclasses import asdict
from gettext import gettext as _

import typer

from engine.cli.config.groups import with_options
from engine.cli.options import Json, NodeOptions, WorkerKey
from engine.monitor.options import LogOptions, NoticeOptions
from engine.node.options import StartOptions
from engine.poc_worker.options import ValidatorsOptions
from engine.pool.options import PoolOptions
from engine.protection.options import ProtectionOptions
from engine.txmgr.options import SendingOptions


@with_options
def work(
    context: typer.Context,
    validators: ValidatorsOptions,
    key: WorkerKey,
    pool: PoolOptions,
    sending: SendingOptions,
    protection: ProtectionOptions,
    nodes: NodeOptions,
    start: StartOptions,
    notices: NoticeOptions,
    log: LogOptions,
    json: Json = False,
) -> None:
    """Take jobs from PoC validators and answer each with a checked result."""
    # The parent's checks are small; OpenBLAS's idle threads would spin on the children's cores.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from engine.monitor.output import Output
    from engine.monitor.reporter import JsonReporter, PlainReporter
    from engine.monitor.state import Monitor
    from engine.node.node import run_node
    from engine.node.request import NodeRequest
    from engine.poc_worker.config import check_validators
    from engine.runtime.errors import BadInput

    pool.apply()
    pool.check()
    jobs = check_validators(validators)
    if jobs is None:
        raise BadInput(
            _("no validator is named"),
            advice=_("Name one: cpc-engine work --validator wss://HOST/worker"),
        )
    output, json = Output(sys.stdout), log.as_json(json)
    report = output.report = Monitor(JsonReporter(output) if json else PlainReporter(output))
    request = NodeRequest.of(
        pool,
        sending,
        validators=jobs,
        waits=not start.no_wait,
        urls=nodes.urls(context),
        protection=protection.protection(),
        keys=key.keystore().directory,
    )
    secret = key.load()
    with notices.notifying(report):
        summary = run_node(request, secret, report, output.attend).jobs
    assert summary is not None
    if json:
        JsonReporter(output).print("work_summary", asdict(summary))
    else:
        output.line("")
        output.line(
            _(
                "jobs computed so far: {computed}, {accepted} accepted, {rejected} rejected by"
                " their validators; {seconds:.1f} s"
            ).format(**asdict(summary))
        )
