"""`cpc-engine mine`: the main job."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from gettext import gettext as _
from gettext import ngettext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli import init
from engine.cli.config.reload import reread_on_hangup
from engine.cli.options import (
    Devices,
    Iterations,
    Json,
    KeysDirectory,
    Nodes,
    NoTune,
    Openings,
    PassphraseFile,
    Size,
    Threads,
    WorkerKey,
    load_key,
    node_urls,
    say,
    tune_unless,
    was_typed,
)
from engine.cli.protection import (
    PauseAbove,
    PauseOnBattery,
    QuietHoursOption,
    ResumeBelow,
    protection_of,
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
from engine.cli.watching import Http, HttpTokenFile, Plain
from engine.tasks.defaults import (
    DEFAULT_ITERATIONS,
    DEFAULT_OPENINGS,
    DEFAULT_SIZE,
    MAX_TASKS_PER_BLOCK,
)

if TYPE_CHECKING:
    from engine.mining.config import Summary
    from engine.mining.live import Live

LIVE = ("tasks_per_block", "openings", "pause_on_battery", "quiet_hours")
"""Parameters that SIGHUP may change."""
DEVNET_BLOCK_TIME = 1.0
DEVNET_FUNDS = "100"


def mine(
    context: typer.Context,
    from_: WorkerKey = "worker",
    device: Devices = None,
    threads: Threads = None,
    no_tune: NoTune = False,
    size: Size = DEFAULT_SIZE,
    iterations: Iterations = DEFAULT_ITERATIONS,
    openings: Openings = DEFAULT_OPENINGS,
    tasks_per_block: Annotated[
        str,
        typer.Option(
            help=_("Tasks answered for each block, 1 to 16; auto: as many as can be finished.")
        ),
    ] = "1",
    ray: Annotated[
        str | None,
        typer.Option(help=_("Compute on the machines of this Ray cluster: HOST:6379, or auto.")),
    ] = None,
    blocks: Annotated[
        int | None, typer.Option(min=1, help=_("End after so many blocks. [mine for ever]"))
    ] = None,
    depth: Annotated[
        int, typer.Option(min=0, max=100, help=_("Blocks on top until a result is final."))
    ] = 6,
    gas_price: Annotated[
        int | None, typer.Option(help=_("Units a gas. [the network's least]"))
    ] = None,
    max_gas_price: Annotated[
        int | None,
        typer.Option(
            help=_("Units a gas up to which a stuck transaction may rise. [it does not rise]")
        ),
    ] = None,
    child_memory: Annotated[
        str | None,
        typer.Option(
            help=_("Memory at which a child is replaced, such as 4G. [most of this machine's]")
        ),
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option(help=_("Ledger file. [one a chain and account, in CPC_STATE]"))
    ] = None,
    passphrase_file: PassphraseFile = None,
    keys_dir: KeysDirectory = None,
    node: Nodes = None,
    devnet: Annotated[
        bool, typer.Option("--devnet", help=_("Start a devnet, make and fund a key, mine on it."))
    ] = False,
    block_time: Annotated[
        float, typer.Option(min=0.2, help=_("Seconds a block of the --devnet."))
    ] = DEVNET_BLOCK_TIME,
    pause_above: PauseAbove = None,
    resume_below: ResumeBelow = None,
    pause_on_battery: PauseOnBattery = False,
    quiet_hours: QuietHoursOption = None,
    validator: Validators = None,
    job_kind: JobKinds = None,
    jobs: Jobs = None,
    max_size: MaxSize = None,
    max_iterations: MaxIterations = None,
    max_product: MaxProduct = None,
    submit: Submit = False,
    submit_most: SubmitMost = DEFAULT_SUBMIT_MOST,
    http: Http = None,
    http_token_file: HttpTokenFile = None,
    plain: Plain = False,
    json: Json = False,
) -> None:
    """Mine: answer every block of the chain with a signed result."""
    # The parent's checks are small; OpenBLAS's idle threads would spin on the children's cores.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from engine.cli.compute import check_openings
    from engine.monitor.http.server import engine_servers, parse_address, read_token
    from engine.monitor.reporter import JsonReporter, PlainReporter
    from engine.monitor.state import Monitor
    from engine.monitor.terminal.live_view import LiveView, stdout_can_show
    from engine.node.node import Attend, MineRequest, mine_on
    from engine.pool.limits import Limits, memory_limit
    from kernels.devices import check_device_name
    from kernels.task import Task

    tune_unless(no_tune)
    check_openings(openings)
    tasks = _number_of_tasks(tasks_per_block)
    for name in [] if ray else device or []:
        check_device_name(name)
    Task(bytes(31) + b"\1", size, iterations)  # refuses a bad size before anything is started
    protection = protection_of(pause_above, resume_below, pause_on_battery, quiet_hours)
    live = not (json or plain) and stdout_can_show()
    report = Monitor(None if live else JsonReporter() if json else PlainReporter())
    validators = validators_request(
        validator,
        job_kind,
        jobs,
        max_size,
        max_iterations,
        max_product,
        submit_most if submit else 0,
    )
    address = None if http is None else parse_address(http)
    token = None if http_token_file is None else read_token(http_token_file)
    if not devnet:  # whatever is to be asked is asked before the view takes the terminal
        answers = None if json else init.offer(context, from_, keys_dir)
        if answers:
            from_, node, device = answers.key, [answers.node], list(answers.devices)
        urls, key = node_urls(context, node), load_key(from_, keys_dir, passphrase_file)
    with ExitStack() as stack:
        attending: list[Attend] = [stack.enter_context(engine_servers(report, address, token))]
        if devnet:
            from dataclasses import replace

            from engine.node.sandbox import Sandbox
            from engine.runtime.errors import BadInput
            from node_client.passphrase import passphrase_source

            if was_typed(context, "node"):
                raise BadInput(_("--devnet mines on a devnet of its own: leave --node out"))
            passphrase_source()  # not needed here, and no child may inherit it
            sandbox = stack.enter_context(Sandbox(block_time, DEVNET_FUNDS, report))
            urls, key = [sandbox.url], sandbox.key
            ledger = ledger or sandbox.ledger_path
            if validators is not None:
                jobs_path = sandbox.ledger_path.with_name("jobs.sqlite")
                validators = replace(validators, ledger=jobs_path)
        attending.append(reread_on_hangup(context, report, LIVE, _live))
        if validators is not None:
            from engine.node.beside import beside

            attending.append(beside(validators, key, report))
        if live:  # nothing is asked from here on
            attending.append(stack.enter_context(LiveView(report)).attend)
        summary = mine_on(
            MineRequest(
                urls=urls,
                devices=tuple(device or ["auto"]),
                threads=threads,
                size=size,
                iterations=iterations,
                openings=openings,
                tasks_per_block=tasks,
                ray=ray,
                blocks=blocks,
                depth=depth,
                gas_price=gas_price,
                max_gas_price=max_gas_price,
                limits=Limits(memory=memory_limit(child_memory)),
                ledger=ledger,
                protection=protection,
            ),
            key,
            report,
            *attending,
        )
    if json:
        JsonReporter().print("summary", summary.to_json())
    else:
        _print(summary)


def _live(values: Mapping[str, Any]) -> "Live":
    """What the changed parameters mean. Raises BadInput."""
    from engine.cli.compute import check_openings
    from engine.mining.live import Live

    check_openings(values["openings"])
    protection = protection_of(None, None, values["pause_on_battery"], values["quiet_hours"])
    return Live(
        tasks_per_block=_number_of_tasks(values["tasks_per_block"]),
        openings=values["openings"],
        pause_on_battery=protection.pause_on_battery,
        quiet_hours=protection.quiet_hours,
    )


def _number_of_tasks(text: str) -> int | None:
    """None for auto. Raises BadInput."""
    from engine.runtime.errors import BadInput

    if text == "auto":
        return None
    if text.isascii() and text.isdecimal() and 1 <= int(text) <= MAX_TASKS_PER_BLOCK:
        return int(text)
    raise BadInput(
        _("{text!r} is no number of tasks per block: use 1 to {most}, or auto").format(
            text=text[:40], most=MAX_TASKS_PER_BLOCK
        )
    )


def _print(summary: "Summary") -> None:
    say()
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
