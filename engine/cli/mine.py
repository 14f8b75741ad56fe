"""`cpc-engine mine`: the main job."""

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from gettext import gettext as _
from gettext import ngettext
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
    from engine.mining.config import Summary
    from engine.node.request import LiveChange

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
    from engine.cli.config.reload import reread_on_hangup
    from engine.mining.config import MiningConfig
    from engine.monitor.http.server import engine_servers, parse_address, read_token
    from engine.monitor.output import Output
    from engine.monitor.reporter import JsonReporter, PlainReporter
    from engine.monitor.state import Monitor
    from engine.monitor.terminal.live_view import LiveView, can_show
    from engine.node.node import Attend, run_node
    from engine.node.request import NodeRequest
    from engine.poc_worker.config import check_validators

    pool.apply()
    task.check()
    if not mining.ray:
        pool.check()
    json = log.as_json(json)
    live = not (json or monitor.plain or log.log_format) and can_show(sys.stdout)
    output = Output(sys.stdout)
    printer = JsonReporter(output) if json else PlainReporter(output)
    report = output.report = Monitor(None if live else printer)
    address = None if monitor.http is None else parse_address(monitor.http)
    token = None if monitor.http_token_file is None else read_token(monitor.http_token_file)
    jobs = check_validators(validators)
    request = NodeRequest.of(
        pool,
        sending,
        mining=MiningConfig(
            task.size, task.iterations, task.openings, mining.task_count(), mining.blocks
        ),
        validators=jobs,
        waits=not start.no_wait,
        ray=mining.ray,
        protection=protection.protection(),
    )
    if not sandbox.devnet:  # ask what is to be asked before the view takes the terminal
        answers = None if json else init.offer(context, key)
        if answers:
            key = replace(key, from_=answers.from_)
            nodes = replace(nodes, node=(answers.node,))
            request = replace(request, devices=answers.device)
        secret, urls = key.load(), nodes.urls(context)
        request = replace(request, urls=urls, keys=key.keystore().directory)
    with ExitStack() as stack:
        attending: list[Attend] = [stack.enter_context(engine_servers(report, address, token))]
        attending.append(output.attend)
        stack.enter_context(notices.notifying(report))
        if sandbox.devnet:
            from engine.node.sandbox import Sandbox
            from engine.runtime.errors import BadInput
            from node_client.passphrase import passphrase_source

            if was_typed(context, "node"):
                raise BadInput(_("--devnet mines on a devnet of its own: leave --node out"))
            passphrase_source()  # not needed here, and no child may inherit it
            made = stack.enter_context(Sandbox(sandbox.block_time, SANDBOX_FUNDS, report))
            secret = made.key
            request = replace(request, urls=[made.url], ledger=sending.ledger or made.ledger_path)
            request = replace(request, job_ledger=made.ledger_path.with_name("jobs.sqlite"))
        attending.append(reread_on_hangup(context, report, _live))
        if live:  # nothing is asked from here on
            attending.append(stack.enter_context(LiveView(report, output)).attend)
        summary = run_node(request, secret, report, *attending).mining
    assert summary is not None
    if json:
        JsonReporter(output).print("summary", summary.to_json())
    else:
        _print(summary, output.line)


def _live(groups: Groups) -> "LiveChange":
    """Return what SIGHUP changes, of the settings as they are now. Raises BadInput."""
    from engine.node.request import LiveChange

    task, mining, protection = groups["task"], groups["mining"], groups["protection"]
    task.check()
    looked_for = protection.protection()
    return LiveChange(
        tasks_per_block=mining.task_count(),
        openings=task.openings,
        pause_on_battery=looked_for.pause_on_battery,
        quiet_hours=looked_for.quiet_hours,
    )


def _print(summary: "Summary", say: Callable[[str], None]) -> None:
    say("")
    say(
        _("Blocks seen: {seen}, not answered in full: {skipped}, missed: {missed}; {seconds:.1f} s")
        .format(
            seen=summary.blocks_seen,
            skipped=summary.blocks_skipped,
            missed=summary.blocks_missed,
            seconds=summary.seconds,
        )
    )  # fmt: skip
    states = {
        "computed": _("computed"),
        "signed": _("signed"),
        "sent": _("sent"),
        "included": _("in a block, not final yet"),
        "final": _("final"),
        "given_up": _("given up"),
    }
    for result in summary.results:
        words = [states[result.state]]
        if result.state == "given_up" and result.reason:
            words.append(result.reason)
        if result.included_height is not None:
            words.append(_("in block {height}").format(height=result.included_height))
            words.append(_("transaction {tx_hash}").format(tx_hash=result.tx_hash))
        line = _("block {height} task {index}: {words}; block to result {milliseconds:.0f} ms")
        line = line.format(
            height=result.height,
            index=result.task_index,
            words=", ".join(words),
            milliseconds=1000 * (result.computed_at - result.seen_at),
        )
        say(f"  {line}")
    confirmed = summary.confirmed
    say(
        ngettext("{count} result confirmed", "{count} results confirmed", confirmed).format(
            count=confirmed
        )
    )
