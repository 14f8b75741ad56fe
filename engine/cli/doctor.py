"""`cpc-engine doctor`: what stands between this machine and a confirmed result, with the fix."""

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.config.effective import plain_value, settings_for
from engine.cli.config.global_options import settings_error, settings_of
from engine.cli.config.groups import with_options
from engine.cli.failure import EXIT_BAD_INPUT, EXIT_NO_DEVICE, EXIT_NODE
from engine.cli.new_file import write_new_file
from engine.cli.options import Json, NodeOptions, WorkerKey, say, say_json, was_set, was_typed
from engine.pool.options import DeviceOptions

if TYPE_CHECKING:
    from engine.node.preflight import Check

_MARKS = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL", "skip": "-   "}
_OF_THE_DEVICE = {"device", "driver", "cuda packages", "packages", "memory"}


@with_options
def doctor(
    context: typer.Context,
    key: WorkerKey,
    devices: DeviceOptions,
    nodes: NodeOptions,
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle",
            metavar="PATH",
            help=_("Also write a report of this machine for others to this new file, redacted."),
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Check everything that mining needs, as `mine` would find it. Exit code 0: nothing failed."""
    mining = settings_for(context, "mine")
    if not was_typed(context, "node"):
        nodes = NodeOptions(node=tuple(mining["node"]))
    with _at_work(_("looking at this machine")):
        checks = [*_running(), *_machine(context, mining)]
    with _at_work(_("testing each device: the first time its kernels are compiled")):
        checks += _devices(devices.device if was_set(context, "device") else mining["device"])
    checks += _account(  # may ask for a passphrase, over which nothing may be drawn
        key.from_ if was_typed(context, "from_") else mining["from"],
        key.keys_dir or mining["keys-dir"],
        key.passphrase_file or mining["passphrase-file"],
        nodes.urls(context),
        mining["gas-price"],
    )
    if json:
        say_json([check.to_json() for check in checks])
    else:
        _tell(checks)
    if bundle is not None:
        _write_bundle(bundle, checks, mining, json)
    failed = {check.name for check in checks if check.state == "fail"}
    if "node" in failed:
        raise typer.Exit(EXIT_NODE)
    if failed & _OF_THE_DEVICE or any(one.startswith("cuda:") for one in failed):
        raise typer.Exit(EXIT_NO_DEVICE)
    if failed:
        raise typer.Exit(EXIT_BAD_INPUT)


def _at_work(text: str) -> "AbstractContextManager[object]":
    """Show a line that moves, on a terminal: a first test takes half a minute."""
    from contextlib import nullcontext

    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(text)


def _label(name: str) -> str:
    """Return a check's name in the user's language; in JSON it is the same in every one."""
    return {
        "agreement": _("agreement"),
        "balance": _("balance"),
        "cache": _("cache"),
        "card jobs": _("card jobs"),
        "cards": _("cards"),
        "clock": _("clock"),
        "configuration": _("configuration"),
        "confinement": _("confinement"),
        "cuda packages": _("cuda packages"),
        "device": _("device"),
        "disk": _("disk"),
        "driver": _("driver"),
        "engine": _("engine"),
        "gas price": _("gas price"),
        "key": _("key"),
        "memory": _("memory"),
        "network": _("network"),
        "node": _("node"),
        "packages": _("packages"),
        "passphrase": _("passphrase"),
        "port": _("port"),
        "transport": _("transport"),
    }.get(name, name)


def _tell(checks: "list[Check]") -> None:
    wide = max(len(_label(check.name)) for check in checks)
    for check in checks:
        say(f"{_MARKS[check.state]} {_label(check.name):<{wide}}  {check.found}")
        for line in check.fix.splitlines():
            say(f"     {'':<{wide}}  -> {line}")
    states = [check.state for check in checks]
    say()
    said = _("{ok} right, {warn} to look at, {fail} to fix, {skip} not checked or not used")
    counts = {state: states.count(state) for state in ("ok", "warn", "fail", "skip")}
    say(said.format(**counts))


def _write_bundle(file: Path, checks: "list[Check]", mining: dict[str, Any], json: bool) -> None:
    from json import dumps

    from engine.doctor.bundle import Redaction, described
    from node_client.secret import Secret

    settings = {key: plain_value(value) for key, value in mining.items()}
    content = Redaction.here()(described(checks, settings))
    text = dumps(content, indent=1, ensure_ascii=False)
    refusal = _("the report cannot be written to {path}: {reason}")
    write_new_file(file, Secret(f"{text}\n".encode("utf-8", "replace")), refusal)
    if not json:
        said = _("The report is in {path}. Read it before you send it to somebody.")
        say(said.format(path=file))


def _running() -> "list[Check]":
    from engine.doctor.running import check_running

    return check_running()


def _machine(context: typer.Context, mining: dict[str, Any]) -> "list[Check]":
    from engine.doctor.machine import (
        check_confinement,
        check_memory,
        check_packages,
        check_port,
        check_python,
    )
    from engine.node.preflight import check_cache, check_disk, check_switches
    from engine.runtime.paths import state_directory

    ledger = mining["ledger"]
    checks = [
        check_python(),
        check_packages(),
        _configuration(context),
        check_memory(_bytes_of_a_task(mining["size"])),
        check_disk(Path(ledger).parent if ledger else state_directory()),
        check_cache(),
        check_confinement(),
        *check_switches(),
    ]
    if address := mining.get("http"):
        checks.append(check_port(address))
    return checks


def _bytes_of_a_task(size: int) -> int:
    """Return the bytes of B and of the leaves' digests, which every host device holds."""
    return size * size + size * size // 4


def _configuration(context: typer.Context) -> "Check":
    from engine.node.preflight import Check

    if error := settings_error(context):
        return Check("configuration", "fail", str(error), error.advice)
    path = settings_of(context).path
    if path is None:
        return Check("configuration", "ok", _("no file: defaults and environment"))
    if path.stat().st_mode & 0o022:
        found = _("other users of this machine can change {path}").format(path=path)
        return Check("configuration", "warn", found, f"chmod go-w {path}")
    return Check("configuration", "ok", str(path))


def _devices(asked: Sequence[str]) -> "list[Check]":
    from engine.doctor.device_test import check_device
    from engine.doctor.gpus import check_cards
    from engine.node.preflight import Check
    from engine.node.skipped_gpus import skipped_gpus
    from kernels.devices import available_devices, check_device_name
    from kernels.errors import KernelError

    wants_gpu = any(name.startswith("cuda") for name in asked)
    checks = check_cards(wanted=wants_gpu)
    told = {check.name for check in checks if check.state == "fail"}
    checks += [
        Check(one.device, "skip", _("{model} is not used: {reason}").format(**asdict(one)), one.fix)
        for one in skipped_gpus(asked)
        if one.device not in told
    ]
    names = [name for name in asked if name != "auto"]
    if "auto" in asked:
        found = [name for name in available_devices() if name.startswith("cuda:")] or ["cpu"]
        names += found
    for name in dict.fromkeys(names):
        try:
            check_device_name(name)
        except KernelError as error:
            checks.append(Check("device", "fail", str(error), error.advice))
        else:
            checks.append(check_device(name))
    return checks


def _account(
    name: str,
    keys_dir: Path | None,
    passphrase_file: Path | None,
    urls: list[str],
    gas_price: int | None,
) -> "list[Check]":
    from engine.doctor.account import check_chain, check_key

    address, checks = check_key(name, keys_dir, passphrase_file)
    return checks + check_chain(urls, address, gas_price)
