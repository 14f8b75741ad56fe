"""Settings that several commands share, and the node client, key and output made from them."""

import json
import sys
from dataclasses import asdict, dataclass
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from engine.pool.options import ThreadOptions
from engine.runtime.printable import printable
from engine.runtime.settings import setting

if TYPE_CHECKING:
    from node_client.keys import PrivateKey
    from node_client.keystore import Keystore
    from node_client.rpc import NodeClient

DEFAULT_NODE = "http://localhost:8000"
DEFAULT_KEY = "worker"

Json = Annotated[bool, typer.Option("--json", help=_("Print JSON for machines."))]


@dataclass(frozen=True, kw_only=True)
class NodeOptions:
    """The L1 nodes."""

    heading: ClassVar[str] = _("Node")

    node: tuple[str, ...] = setting(
        (DEFAULT_NODE,),
        _("L1 node; several are tried in turn."),
        metavar="URL",
        variable="CPC_NODE",
    )

    def urls(self, context: typer.Context) -> list[str]:
        """Return --node after the subcommand, before it, CPC_NODE, the file's, or the default."""
        here, root = self.node, context.find_root()
        if not was_typed(context, "node") and was_typed(root, "node"):
            here = root.params["node"]
        given = [url.strip() for text in here for url in text.split(",") if url.strip()]
        return given or [DEFAULT_NODE]

    def connect(self, context: typer.Context) -> "NodeClient":
        """Return a client for these nodes."""
        from node_client.evidence import Evidence
        from node_client.rpc import NodeClient

        return NodeClient(self.urls(context), evidence=Evidence())


@dataclass(frozen=True, kw_only=True)
class KeysDirectory:
    """Where the key files are."""

    heading: ClassVar[str] = _("Key")

    keys_dir: Path | None = setting(
        None, _("Key files, shared with cpc-cli. [~/.computechain/keys]"), variable="CPC_KEYS"
    )

    def keystore(self) -> "Keystore":
        """Return the key files. From here on this process leaves no core dump."""
        from engine.runtime.confinement import hide_from_children
        from engine.runtime.hardening import protect_memory
        from node_client.keystore import Keystore

        protect_memory()
        store = Keystore(self.keys_dir)
        hide_from_children(store.directory)
        return store


@dataclass(frozen=True, kw_only=True)
class KeyFiles(KeysDirectory):
    """Key files, and how an encrypted one is opened."""

    passphrase_file: Path | None = setting(
        None, _("File with the key's passphrase. Also CPC_PASSPHRASE.")
    )

    def load_key(self, name: str) -> "PrivateKey":
        """Return a key; an encrypted one asks for its passphrase: file, environment, prompt."""
        from node_client.passphrase import passphrase_source

        return self.keystore().load(name, passphrase_source(self.passphrase_file))

    def new_passphrase(self, wanted: bool) -> str | None:
        """Return the passphrase of a new key; None where it is not to be encrypted."""
        if not wanted:
            return None
        from node_client.passphrase import new_passphrase

        return new_passphrase(self.passphrase_file)


@dataclass(frozen=True, kw_only=True)
class WorkerKey(KeyFiles):
    """The worker's key."""

    from_: str = setting(DEFAULT_KEY, _("Name of the worker's key."), metavar="KEY")

    def load(self) -> "PrivateKey":
        """Return the key."""
        return self.load_key(self.from_)


@dataclass(frozen=True, kw_only=True)
class TierOptions:
    """How a device multiplies."""

    heading: ClassVar[str] = _("Devices")

    tier: str | None = setting(
        None,
        _(
            "How it multiplies, instead of the best way here. GPU: wgmma, mma, dp4a, simt; CPU: amx,"
            " avx512vnni, avxvnni, avx512, avx2, simd128."
        ),
        metavar="TIER",
    )


@dataclass(frozen=True, kw_only=True)
class OneDevice(TierOptions, ThreadOptions):
    """The device of a single computation."""

    device: str = setting("auto", _("auto, cpu, reference or cuda:N."), metavar="DEVICE")


def command_group(text: str) -> typer.Typer:
    """Return a group of commands, which shows its help where none of them is named."""
    return typer.Typer(help=text, no_args_is_help=True, rich_markup_mode=None)


def was_typed(context: Any, name: str) -> bool:
    """Return whether the parameter was given on the command line, after this command's name."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def was_set(context: Any, name: str) -> bool:
    """Return whether the parameter was given anywhere: command line, environment or file."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def say(text: str = "") -> None:
    """Print lines to stdout. A node's text in them controls no terminal."""
    print(*map(printable, text.split("\n")), sep="\n", flush=True)  # noqa: T201


def say_progress(text: str) -> None:
    """Print lines to stderr, which is not the result."""
    print(*map(printable, text.split("\n")), sep="\n", file=sys.stderr, flush=True)  # noqa: T201


def say_json(value: Any) -> None:
    """Print JSON to stdout, indented: one field a line, as the guide's `grep` and `awk` need it.

    A dataclass is printed as the object of its fields.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, default=asdict)
    say(
        text
        if text.replace("\n", "").isprintable()
        else json.dumps(value, indent=2, default=asdict)
    )


def say_foreign_json(value: Any) -> None:
    """Print JSON that others wrote, escaped to ASCII: it cannot control a terminal, or break UTF-8."""
    try:
        text = json.dumps(value, indent=2, default=asdict)
    except RecursionError:  # json bears less nesting when it indents than when it reads
        text = json.dumps(value, default=asdict)
    say(text)


def read_file(path: Path) -> bytes:
    """Return a file's bytes. Raise BadInput."""
    from engine.runtime.bounded_file import read_bounded
    from engine.runtime.errors import BadInput

    try:
        return read_bounded(path)
    except OSError as error:
        message = _("{file} cannot be read: {error}")
        raise BadInput(message.format(file=path, error=error.strerror)) from None
