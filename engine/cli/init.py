"""`cpc-engine init`: the first run, three questions long."""

import sys
from dataclasses import replace
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.config.global_options import settings_of
from engine.cli.options import (
    DEFAULT_NODE,
    Devices,
    KeysDirectory,
    PassphraseFile,
    keystore,
    say,
    was_typed,
)

if TYPE_CHECKING:
    from engine.cli.first_run import Answers
    from node_client.keystore import KeyInfo

DEFAULT_KEY = "worker"


def init(
    context: typer.Context,
    node: Annotated[
        str, typer.Option("--node", metavar="URL", help=_("The L1 node."))
    ] = DEFAULT_NODE,
    from_: Annotated[
        str, typer.Option("--from", help=_("Name of the key; made where there is none."))
    ] = DEFAULT_KEY,
    device: Devices = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help=_("Ask nothing: take options and defaults."))
    ] = False,
    encrypt: Annotated[
        bool, typer.Option("--encrypt", help=_("Encrypt a new key with a passphrase."))
    ] = False,
    passphrase_file: PassphraseFile = None,
    keys_dir: KeysDirectory = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", help=_("File to write. Also CPC_CONFIG. [~/.computechain/engine.toml]")
        ),
    ] = None,
) -> None:
    """Set up: asks three questions, makes a key where there is none, writes engine.toml."""
    from engine.cli.config.settings import file_to_write
    from engine.cli.first_run import Answers, prepare

    path = file_to_write(context, config)
    prepare(path)
    answers = Answers(node, from_, tuple(device or ["auto"]))
    if was_typed(context, "keys_dir"):
        answers = replace(answers, keys_dir=keys_dir)
    if not yes:
        typed = {name for name in ("node", "from_", "device") if was_typed(context, name)}
        answers = ask(answers, typed)
    make(path, answers, encrypt=encrypt, passphrase_file=passphrase_file)
    say(_("Next: cpc-engine doctor, then cpc-engine mine"))


def offer(context: typer.Context, key: str, keys_dir: Path | None) -> "Answers | None":
    """What `mine` does where nothing is set up: neither file, nor node, nor key. None: it is, or no."""
    from engine.cli.config.settings import file_to_write
    from engine.cli.first_run import Answers

    source = context.get_parameter_source("node")
    told = was_typed(context.find_root(), "node") or (source and source.name != "DEFAULT")
    if told or settings_of(context).path or key in keystore(keys_dir).names() or not can_ask():
        return None
    say(
        _("There is no key '{name}' yet, no node was named, and no file is there.").format(name=key)
    )
    if not typer.confirm(_("Answer three questions now?"), default=True):
        return None
    elsewhere = keys_dir if was_typed(context, "keys_dir") else None
    answers = ask(Answers(DEFAULT_NODE, key, ("auto",), elsewhere), set())
    make(file_to_write(context, None), answers)
    return answers


def can_ask() -> bool:
    """Whether somebody sits at a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask(offered: "Answers", known: set[str]) -> "Answers":
    """The three questions, less those that are answered already. Raises BadInput without a terminal."""
    from engine.cli.first_run import Answers
    from engine.runtime.errors import BadInput

    if not can_ask() and len(known) < 3:
        raise BadInput(
            _("there is no terminal to ask at"),
            advice=_(
                "Say it with options: cpc-engine init --yes --node URL --from NAME --device auto"
            ),
        )
    node, key, devices = offered.node, offered.key, ",".join(offered.devices)
    if "node" not in known:
        node = typer.prompt(_("1. Which node? Its URL"), default=node)
    if "from_" not in known:
        names = ", ".join(keystore(offered.keys_dir).names())
        there = _("there are: {names}").format(names=names) if names else _("there is none yet")
        key = typer.prompt(
            _("2. Which key? A new name makes one ({there})").format(there=there), default=key
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
    path: Path, answers: "Answers", *, encrypt: bool = False, passphrase_file: Path | None = None
) -> "KeyInfo":
    """Check the answers, make the key where there is none, write the file. Raises BadInput."""
    from engine.cli.first_run import write_settings
    from kernels.devices import check_device_name
    from node_client.errors import KeyNotFound
    from node_client.passphrase import new_passphrase
    from node_client.rpc import NodeClient

    NodeClient([answers.node])  # refuses what is no URL
    for name in answers.devices:
        check_device_name(name)
    store = keystore(answers.keys_dir)
    try:
        key = store.info(answers.key)
        say(_("Key '{name}' is there: {address}").format(name=key.name, address=key.address))
    except KeyNotFound:
        key = store.create(answers.key, new_passphrase(passphrase_file) if encrypt else None)
        say(_("Key '{name}' created: {address}").format(name=key.name, address=key.address))
        say(_("Back up {path}: whoever has lost it has lost the coins.").format(path=key.path))
    write_settings(path, answers)
    say(_("Wrote {path}").format(path=path))
    return key
