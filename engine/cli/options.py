"""Options that several commands share, and how a node, a key and an output are made of them."""

import json
import os
import sys
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from typer._click import Context as CoreContext  # what a context's parents are typed as

    from node_client.keys import PrivateKey
    from node_client.keystore import Keystore
    from node_client.rpc import NodeClient

DEFAULT_NODE = "http://localhost:8000"

Nodes = Annotated[
    list[str] | None,
    typer.Option(
        "--node",
        metavar="URL",
        envvar="CPC_NODE",
        help=_("L1 node; several are tried in turn. [default: {url}]").format(url=DEFAULT_NODE),
    ),
]
Json = Annotated[bool, typer.Option("--json", help=_("Print JSON for machines."))]
Device = Annotated[str, typer.Option("--device", help=_("auto, cpu, reference or cuda:N."))]
Devices = Annotated[
    list[str] | None,
    typer.Option("--device", help=_("auto, cpu, reference or cuda:N; several times for several.")),
]
WorkerKey = Annotated[str, typer.Option("--from", help=_("Name of the worker's key."))]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, help=_("CPU threads. [default: all cores]"))
]
Tier = Annotated[
    str | None,
    typer.Option(
        "--tier",
        help=_(
            "How it multiplies, in place of the best way here. GPU: wgmma, mma, dp4a, simt; CPU: amx,"
            " avx512vnni, avxvnni, avx512, avx2, simd128."
        ),
    ),
]
NoTune = Annotated[
    bool,
    typer.Option("--no-tune", help=_("Take the tile shapes that are usual for a card; try none.")),
]
Size = Annotated[int, typer.Option("--size", help=_("Matrix size n."))]
Iterations = Annotated[int, typer.Option("--iterations", help=_("Products in a row."))]
Openings = Annotated[int, typer.Option("--openings", help=_("Leaves that the proof opens."))]
KeysDirectory = Annotated[
    Path | None,
    typer.Option(
        "--keys-dir",
        envvar="CPC_KEYS",
        help=_("Key files, shared with cpc-cli. [~/.computechain/keys]"),
    ),
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", help=_("File with the key's passphrase. Also CPC_PASSPHRASE.")
    ),
]


def was_typed(context: "CoreContext", name: str) -> bool:
    """Whether the parameter was given on the command line, at this very command."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def tune_unless(no_tune: bool) -> None:
    """Tell this process and its children whether GPUs may be tuned (`kernels.cuda.tuning`)."""
    if no_tune:
        os.environ["CPC_TUNE"] = "0"


def node_urls(context: typer.Context, here: list[str] | None) -> list[str]:
    """--node after the subcommand, before it, CPC_NODE, the configuration, or the default."""
    root = context.find_root()
    if not was_typed(context, "node") and was_typed(root, "node"):
        here = root.params["node"]
    given = [url.strip() for text in here or [] for url in text.split(",") if url.strip()]
    return given or [DEFAULT_NODE]


def connect(context: typer.Context, here: list[str] | None) -> "NodeClient":
    """A client for the nodes that were named."""
    from node_client.rpc import NodeClient

    return NodeClient(node_urls(context, here))


def keystore(directory: Path | None) -> "Keystore":
    """The key files."""
    from node_client.keystore import Keystore

    return Keystore(directory)


def load_key(name: str, directory: Path | None, passphrase_file: Path | None) -> "PrivateKey":
    """A key by name; an encrypted one asks for its passphrase: file, environment, prompt."""
    from node_client.passphrase import passphrase_source

    return keystore(directory).load(name, passphrase_source(passphrase_file))


def say(text: str = "") -> None:
    """Print a line to stdout."""
    print(text, flush=True)  # noqa: T201


def say_json(value: Any) -> None:
    """Print JSON to stdout, indented: one field a line, as the guide's `grep` and `awk` need it."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    say()
