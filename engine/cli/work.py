"""`cpc-engine work`: jobs of PoC validators, without mining."""

import os
from dataclasses import asdict
from gettext import gettext as _
from typing import TYPE_CHECKING

import typer

from engine.cli.config.groups import Groups, with_options
from engine.cli.options import Json, NodeOptions, WorkerKey
from engine.monitor.options import LogOptions, MonitorOptions, NoticeOptions
from engine.node.options import StartOptions
from engine.poc_worker.options import ValidatorsOptions
from engine.pool.options import PoolOptions
from engine.protection.options import ProtectionOptions
from engine.txmgr.options import SendingOptions

if TYPE_CHECKING:
    from engine.node.request import LiveChange


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
    monitor: MonitorOptions,
    notices: NoticeOptions,
    log: LogOptions,
    json: Json = False,
) -> None:
    """Take jobs from PoC validators and answer each with a checked result."""
    # The parent's checks are small; OpenBLAS's idle threads would spin on the children's cores.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from engine.cli.screen import Screen
    from engine.cli.summaries import job_lines
    from engine.node.node import run_node
    from engine.node.request import NodeRequest
    from engine.poc_worker.config import check_validators
    from engine.runtime.errors import BadInput
    from engine.runtime.paths import state_directory

    pool.apply()
    pool.check()
    jobs = check_validators(validators)
    if jobs is None:
        raise BadInput(
            _("no validator is named"),
            advice=_("Name one: cpc-engine work --validator wss://HOST/worker"),
        )
    screen = Screen(monitor, notices, log, json)
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
    charts = state_directory() / f"charts-jobs-{secret.address}.json"
    with screen.open(context, _live, charts) as attending:
        summary = run_node(request, secret, screen.report, *attending).jobs
    assert summary is not None
    screen.end("work_summary", asdict(summary), job_lines(summary, secret.address))


def _live(groups: Groups) -> "LiveChange":
    """Return what SIGHUP changes, of the settings as they are now. Raises BadInput."""
    from engine.node.request import LiveChange

    looked_for = groups["protection"].protection()
    return LiveChange(
        mining=None,
        pause_on_battery=looked_for.pause_on_battery,
        quiet_hours=looked_for.quiet_hours,
    )
