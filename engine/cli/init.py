"""`cpc-engine init`: the first run. Three answers become a key and an `engine.toml`.

answers = Answers(node="http://localhost:8000", key="worker", devices=("auto",))
write_settings(path, answers)
"""

import json
import os
import sys
from dataclasses import dataclass, replace
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.config.global_options import settings_of
from engine.cli.config.groups import with_options
from engine.cli.config.settings import file_to_write
from engine.cli.options import (
    DEFAULT_KEY,
    DEFAULT_NODE,
    KeyFiles,
    KeysDirectory,
    WorkerKey,
    say,
    was_set,
    was_typed,
)
from engine.pool.options import DeviceOptions
from engine.runtime.errors import BadInput
from engine.runtime.settings import setting

if TYPE_CHECKING:
    from node_client.keystore import KeyInfo


@dataclass(frozen=True, slots=True)
class Answers:
    """The operator's answers. `keys_dir` is None for the usual directory."""

    node: str
    key: str
    devices: tuple[str, ...]
    keys_dir: Path | None = None


@dataclass(frozen=True, kw_only=True)
class InitOptions(DeviceOptions):
    """The three answers."""

    node: str = setting(DEFAULT_NODE, _("The L1 node."), metavar="URL")
    from_: str = setting(DEFAULT_KEY, _("Name of the key; made if there is none."))
    encrypt: bool = setting(False, _("Encrypt a new key with a passphrase."))


@with_options
def init(
    context: typer.Context,
    options: InitOptions,
    files: KeyFiles,
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
    answers = Answers(options.node, options.from_, options.device)
    if was_typed(context, "keys_dir"):
        answers = replace(answers, keys_dir=files.keys_dir)
    if not yes:
        typed = {name for name in ("node", "from_", "device") if was_typed(context, name)}
        answers = ask(answers, typed)
    make(path, answers, encrypt=options.encrypt, files=files)
    say(_("Next: cpc-engine doctor, then cpc-engine mine"))


def offer(context: typer.Context, key: WorkerKey) -> Answers | None:
    """Offer the questions where nothing is set up: no file, node or key. None: it is, or no."""
    told = was_typed(context.find_root(), "node") or was_set(context, "node")
    if told or settings_of(context).path or key.from_ in key.keystore().names() or not can_ask():
        return None
    said = _("There is no key '{name}' yet, no node was named, and there is no settings file.")
    say(said.format(name=key.from_))
    if not typer.confirm(_("Answer three questions now?"), default=True):
        return None
    elsewhere = key.keys_dir if was_typed(context, "keys_dir") else None
    answers = ask(Answers(DEFAULT_NODE, key.from_, DeviceOptions.device, elsewhere), set())
    make(file_to_write(context, None), answers)
    return answers


def can_ask() -> bool:
    """Return whether there is a terminal to ask at."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask(offered: Answers, known: set[str]) -> Answers:
    """Ask the questions that are not answered yet. Raises BadInput without a terminal."""
    if not can_ask() and len(known) < 3:
        raise BadInput(
            _("there is no terminal to ask at"),
            advice=_("Use options: cpc-engine init --yes --node URL --from NAME --device auto"),
        )
    node, key, devices = offered.node, offered.key, ",".join(offered.devices)
    if "node" not in known:
        node = typer.prompt(_("1. Which node? Its URL"), default=node)
    if "from_" not in known:
        names = ", ".join(KeysDirectory(keys_dir=offered.keys_dir).keystore().names())
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
    return Answers(node.strip(), key.strip(), chosen or ("auto",), offered.keys_dir)


def make(
    path: Path, answers: Answers, *, encrypt: bool = False, files: KeyFiles | None = None
) -> "KeyInfo":
    """Check the answers, make the key where there is none, write the file. Raises BadInput."""
    from kernels.devices import check_device_name
    from node_client.errors import KeyNotFound
    from node_client.rpc import NodeClient

    NodeClient([answers.node])  # refuses what is no URL
    for name in answers.devices:
        check_device_name(name)
    files = replace(files or KeyFiles(), keys_dir=answers.keys_dir)
    store = files.keystore()
    try:
        key = store.info(answers.key)
        say(_("Key '{name}' exists: {address}").format(name=key.name, address=key.address))
    except KeyNotFound:
        key = store.create(answers.key, files.new_passphrase(encrypt))
        say(_("Key '{name}' created: {address}").format(name=key.name, address=key.address))
        say(_("Back up {path}: without it the coins are lost.").format(path=key.path))
    write_settings(path, answers)
    say(_("Wrote {path}").format(path=path))
    return key


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


def write_settings(path: Path, answers: Answers) -> None:
    """Write the file, completely or not at all. Raises BadInput."""
    prepare(path)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(_document(answers))
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> BadInput:
    return BadInput(
        _("{path} cannot be written: {reason}").format(path=path, reason=error.strerror),
        advice=_("Name another file with --config."),
    )


def _document(answers: Answers) -> str:
    lines = [
        "# " + _("Settings of cpc-engine: names are those of the options, without the hyphens."),
        "# " + _("Keys at the top are for every command, a table for one: [mine], [tx.send]."),
        "# " + _("What is set, and where: cpc-engine config show. No secrets in this file."),
        "",
        f"node = [{_quoted(answers.node)}]",
        f"from = {_quoted(answers.key)}",
    ]
    if answers.keys_dir is not None:
        lines.append(f"keys-dir = {_quoted(str(answers.keys_dir))}")
    devices = ", ".join(map(_quoted, answers.devices))
    return "\n".join([*lines, "", "[mine]", f"device = [{devices}]", ""])


def _quoted(text: str) -> str:
    """Return a TOML basic string: JSON's escapes are a subset of TOML's, except DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
