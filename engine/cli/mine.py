"""`cpc-engine mine`: the main job."""

import os
from contextlib import ExitStack
from dataclasses import replace
from gettext import gettext as _
from typing import TYPE_CHECKING

import typer

from engine.cli import init
from engine.cli.config.groups import Groups, with_options
from engine.cli.options import Json, NodeOptions, WorkerKey, was_typed
from engine.mining.options import MiningOptions
from engine.monitor.options import LogOptions, MonitorOptions, NoticeOptions
from engine.node.options import SandboxOptions, StartOptions
from engine.poc_worker.options import ValidatorsOptions
from engine.pool.options import PoolOptions
from engine.protection.options import ProtectionOptions
from engine.tasks.options import TaskOptions
from engine.txmgr.options import SendingOptions

if TYPE_CHECKING:
    from engine.monitor.reporter import Reporter
    from engine.node.request import LiveChange
    from engine.node.sandbox import Sandbox

SANDBOX_FUNDS = "100"


@with_options
def mine(
    context: typer.Context,
    key: WorkerKey,
    pool: PoolOptions,
    task: TaskOptions,
    mining: MiningOptions,
    sending: SendingOptions,
    nodes: NodeOptions,
    start: StartOptions,
    sandbox: SandboxOptions,
    protection: ProtectionOptions,
    validators: ValidatorsOptions,
    monitor: MonitorOptions,
    notices: NoticeOptions,
    log: LogOptions,
    json: Json = False,
) -> None:
    """Mine: answer every block of the chain with a signed result."""
    # The parent's checks are small; OpenBLAS's idle threads would spin on the children's cores.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from engine.cli.screen import Screen
    from engine.cli.summaries import job_lines, mining_lines
    from engine.mining.config import MiningConfig
    from engine.node.node import run_node
    from engine.node.request import NodeRequest
    from engine.poc_worker.config import check_validators
    from engine.runtime.paths import state_directory

    pool.apply()
    task.check()
    if not mining.ray:
        pool.check()
    screen = Screen(monitor, notices, log, json)
    request = NodeRequest.of(
        pool,
        sending,
        mining=MiningConfig(
            task.size, task.iterations, task.openings, mining.task_count(), mining.blocks
        ),
        validators=check_validators(validators),
        waits=not start.no_wait,
        ray=mining.ray,
        protection=protection.protection(),
    )
    secret = None
    if not sandbox.devnet:  # ask what is to be asked before the view takes the terminal
        answers = None if screen.json else init.offer(context, key)
        if answers:
            key = replace(key, from_=answers.from_)
            nodes = replace(nodes, node=(answers.node,))
            request = replace(request, devices=answers.device)
        secret, urls = key.load(), nodes.urls(context)
        request = replace(request, urls=urls, keys=key.keystore().directory)
    charts = state_directory() / f"charts-{secret.address}.json" if secret else None
    with screen.open(context, _live, charts) as attending, ExitStack() as stack:
        if secret is None:
            made = stack.enter_context(_sandbox(context, sandbox, screen.report))
            secret = made.key
            request = replace(
                request,
                urls=[made.url],
                ledger=sending.ledger or made.ledger_path,
                job_ledger=made.ledger_path.with_name("jobs.sqlite"),
            )
        summary = run_node(request, secret, screen.report, *attending)
    assert summary.mining is not None
    lines = [*mining_lines(summary.mining, screen.report.snapshot().balance)]
    if summary.jobs is not None:
        lines += job_lines(summary.jobs, screen.report.snapshot().address, mined=True)
    screen.end("summary", summary.mining.to_json(), lines)


def _sandbox(context: typer.Context, options: SandboxOptions, report: "Reporter") -> "Sandbox":
    """Return the devnet that --devnet asks for. Raises BadInput."""
    from engine.node.sandbox import Sandbox
    from engine.runtime.errors import BadInput
    from node_client.passphrase import passphrase_source

    if was_typed(context, "node"):
        raise BadInput(_("--devnet mines on a devnet of its own: leave --node out"))
    passphrase_source()  # not needed here, and no child may inherit it
    return Sandbox(options.block_time, SANDBOX_FUNDS, report)


def _live(groups: Groups) -> "LiveChange":
    """Return what SIGHUP changes, of the settings as they are now. Raises BadInput."""
    from engine.mining.config import MiningChange
    from engine.node.request import LiveChange

    task, mining, protection = groups["task"], groups["mining"], groups["protection"]
    task.check()
    looked_for = protection.protection()
    return LiveChange(
        mining=MiningChange(mining.task_count(), task.openings),
        pause_on_battery=looked_for.pause_on_battery,
        quiet_hours=looked_for.quiet_hours,
    )
