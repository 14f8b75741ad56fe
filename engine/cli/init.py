"""`cpc-engine init`: the first run. Three answers become a key and an `engine.toml`.

write_settings(path, InitOptions(node="http://localhost:8000", from_="worker", device=("auto",)))
"""

import json
import os
import sys
from dataclasses import dataclass, replace
from gettext import gettext as _
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.config.global_options import settings_of
from engine.cli.config.groups import with_options
from engine.cli.config.settings import file_to_write
from engine.cli.options import (
    DEFAULT_KEY,
    DEFAULT_NODE,
    KeyFiles,
    WorkerKey,
    say,
    was_set,
    was_typed,
)
from engine.pool.options import DeviceOptions
from engine.runtime.errors import BadInput
from engine.runtime.settings import setting


@dataclass(frozen=True, kw_only=True)
class InitOptions(DeviceOptions, KeyFiles):
    """The three answers, and the new key's file."""

    node: str = setting(DEFAULT_NODE, _("The L1 node."), metavar="URL")
    from_: str = setting(DEFAULT_KEY, _("Name of the key; made if there is none."))
    encrypt: bool = setting(
        False, _("Encrypt a new key with a passphrase; cpc-cli cannot sign with it then.")
    )


@with_options
def init(
    context: typer.Context,
    options: InitOptions,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help=_("Ask nothing: use options and defaults."))
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", help=_("File to write. Also CPC_CONFIG. [~/.computechain/engine.toml]")
        ),
    ] = None,
) -> None:
    """Set up: ask three questions, make a key if there is none, write engine.toml."""
    path = file_to_write(context, config)
    prepare(path)
    if not was_typed(context, "keys_dir"):  # the file names only a directory that was typed
        options = replace(options, keys_dir=None)
    if not yes:
        typed = {name for name in ("node", "from_", "device") if was_typed(context, name)}
        options = ask(options, typed)
    make(path, options)
    say(_("Next: cpc-engine doctor, then cpc-engine mine"))


def offer(context: typer.Context, key: WorkerKey) -> InitOptions | None:
    """Offer the questions where nothing is set up: no file, node or key. None: it is, or no."""
    told = was_typed(context.find_root(), "node") or was_set(context, "node")
    if told or settings_of(context).path or key.from_ in key.keystore().names() or not can_ask():
        return None
    said = _("There is no key '{name}' yet, no node was named, and there is no settings file.")
    say(said.format(name=key.from_))
    if not typer.confirm(_("Answer three questions now?"), default=True):
        return None
    elsewhere = key.keys_dir if was_typed(context, "keys_dir") else None
    answers = ask(InitOptions(from_=key.from_, keys_dir=elsewhere), set())
    make(file_to_write(context, None), answers)
    return answers


def can_ask() -> bool:
    """Return whether there is a terminal to ask at."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask(offered: InitOptions, known: set[str]) -> InitOptions:
    """Ask the questions that are not answered yet. Raises BadInput without a terminal."""
    if not can_ask() and len(known) < 3:
        raise BadInput(
            _("there is no terminal to ask at"),
            advice=_("Use options: cpc-engine init --yes --node URL --from NAME --device auto"),
        )
    node, key, devices = offered.node, offered.from_, ",".join(offered.device)
    if "node" not in known:
        node = typer.prompt(_("1. Which node? Its URL"), default=node)
    if "from_" not in known:
        names = ", ".join(offered.keystore().names())
        there = _("existing: {names}").format(names=names) if names else _("none exists yet")
        key = typer.prompt(
            _("2. Which key? A new name makes a new key ({there})").format(there=there), default=key
        )
    if "device" not in known:
        from kernels.devices import available_devices

        here = ", ".join(available_devices())
        devices = typer.prompt(
            _("3. Which devices? auto is every GPU, or the CPU ({here})").format(here=here),
            default=devices,
        )
    chosen = tuple(name.strip() for name in devices.split(",") if name.strip())
    chosen = chosen or DeviceOptions.device
    return replace(offered, node=node.strip(), from_=key.strip(), device=chosen)


def make(path: Path, answers: InitOptions) -> None:
    """Check the answers, make the key if there is none, write the file. Raises BadInput."""
    from kernels.devices import check_device_name
    from node_client.errors import KeyNotFound
    from node_client.rpc import NodeClient

    NodeClient([answers.node])  # raises for an invalid URL
    for name in answers.device:
        check_device_name(name)
    store = answers.keystore()
    try:
        key = store.info(answers.from_)
        say(_("Key '{name}' exists: {address}").format(name=key.name, address=key.address))
    except KeyNotFound:
        key = store.create(answers.from_, answers.new_passphrase(answers.encrypt))
        say(_("Key '{name}' created: {address}").format(name=key.name, address=key.address))
        say(_("Back up {path}: without it the coins are lost.").format(path=key.path))
    write_settings(path, answers)
    say(_("Wrote {path}").format(path=path))


def prepare(path: Path) -> None:
    """Make the directory. Raises BadInput if the file exists: it is never overwritten."""
    if os.path.lexists(path):
        raise BadInput(
            _("{path} exists already, and is never overwritten").format(path=path),
            advice=_("Change it with an editor (cpc-engine config show), or move it away."),
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from None


def write_settings(path: Path, answers: InitOptions) -> None:
    """Write the file, completely or not at all. Raises BadInput."""
    prepare(path)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(_document(answers))
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> BadInput:
    message = _("{path} cannot be written: {reason}").format(path=path, reason=error.strerror)
    return BadInput(message, advice=_("Name another file with --config."))


def _document(answers: InitOptions) -> str:
    lines = [
        "# " + _("Settings of cpc-engine: names are those of the options, without the hyphens."),
        "# " + _("Keys at the top are for every command, a table for one: [mine], [tx.send]."),
        "# " + _("What is set, and where: cpc-engine config show. No secrets in this file."),
        "",
        f"node = [{_quoted(answers.node)}]",
        f"from = {_quoted(answers.from_)}",
    ]
    if answers.keys_dir is not None:
        lines.append(f"keys-dir = {_quoted(str(answers.keys_dir))}")
    devices = ", ".join(map(_quoted, answers.device))
    return "\n".join([*lines, "", "[mine]", f"device = [{devices}]", ""])


def _quoted(text: str) -> str:
    """Return a TOML basic string: JSON's escapes are a subset of TOML's, except DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
