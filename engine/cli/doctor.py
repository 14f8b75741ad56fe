"""`cpc-engine doctor`: what stands between this machine and a confirmed result, with the mend."""

from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli.failure import EXIT_BAD_INPUT, EXIT_NO_DEVICE, EXIT_NODE
from engine.cli.options import (
    Device,
    Json,
    KeysDirectory,
    Nodes,
    connect,
    keystore,
    node_urls,
    say,
    say_json,
)

_MARKS = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


def doctor(
    context: typer.Context,
    name: Annotated[str, typer.Option("--from", help="Name of the worker's key.")] = "worker",
    device: Device = "auto",
    keys_dir: KeysDirectory = None,
    node: Nodes = None,
    json: Json = False,
) -> None:
    """Check everything that mining needs. Exit code 0: nothing failed."""
    from engine.preflight import Check, check_disk, check_python
    from engine.state import state_directory

    checks: list[Check] = [check_python(), check_disk(state_directory())]
    checks.append(_check_device(device))
    address, key_check = _check_key(name, keys_dir)
    checks.append(key_check)
    checks += _check_chain(context, node, address)
    if json:
        say_json([_to_json(check) for check in checks])
    else:
        for check in checks:
            say(f"{_MARKS[check.state]} {check.name}: {check.found}")
            if check.mend:
                say(f"     -> {check.mend}")
    failed = {check.name for check in checks if check.state == "fail"}
    if "node" in failed:
        raise typer.Exit(EXIT_NODE)
    if "device" in failed:
        raise typer.Exit(EXIT_NO_DEVICE)
    if failed:
        raise typer.Exit(EXIT_BAD_INPUT)


def _to_json(check: Any) -> dict[str, str]:
    from dataclasses import asdict

    return asdict(check)


def _check_device(device: str) -> Any:
    from engine.preflight import Check
    from kernels.devices import open_device
    from kernels.errors import KernelError
    from kernels.known_answer import known_answer_test

    try:
        with open_device(device) as opened:
            known_answer_test(opened)
            return Check("device", "ok", f"{opened.name} passed the known-answer test")
    except KernelError as error:
        return Check("device", "fail", str(error), error.advice)


def _check_key(name: str, keys_dir: Path | None) -> tuple[str | None, Any]:
    from engine.preflight import Check
    from node_client.errors import KeyNotFound, KeystoreError

    try:
        info = keystore(keys_dir).info(name)
    except KeyNotFound as error:
        return None, Check("key", "fail", str(error), f"Make it: cpc-engine keys add {name}")
    except KeystoreError as error:
        return None, Check("key", "fail", str(error), error.advice)
    if info.warnings:
        return info.address, Check("key", "warn", info.address, " ".join(info.warnings))
    return info.address, Check("key", "ok", f"{name}: {info.address}")


def _check_chain(context: typer.Context, node: list[str] | None, address: str | None) -> list[Any]:
    from engine.errors import SetupError
    from engine.preflight import (
        Check,
        check_balance,
        check_clock,
        check_network,
        look_at_chain,
    )
    from node_client.errors import NodeClientError

    try:
        client = connect(context, node)
        chain = look_at_chain(client)
        checks = [
            Check("node", "ok", node_urls(context, node)[0]),
            check_network(chain),
            check_clock(chain),
        ]
        if address is not None:
            price = chain.network.min_gas_price
            checks.append(check_balance(client, address, price))
    except (NodeClientError, SetupError) as error:
        return [Check("node", "fail", str(error), error.advice)]
    return checks
