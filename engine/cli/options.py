"""Options that several commands share, and how a node, a key and an output are made of them."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from node_client.keys import PrivateKey
    from node_client.keystore import Keystore
    from node_client.rpc import NodeClient

DEFAULT_NODE = "http://localhost:8000"

Nodes = Annotated[
    list[str] | None,
    typer.Option(
        "--node",
        metavar="URL",
        help=f"L1 node; several are tried in turn. Also CPC_NODE. [default: {DEFAULT_NODE}]",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, reference or cuda:N.")]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, help="CPU threads. [default: all cores]")
]
Size = Annotated[int, typer.Option("--size", help="Matrix size n.")]
Iterations = Annotated[int, typer.Option("--iterations", help="Products in a row.")]
Openings = Annotated[int, typer.Option("--openings", help="Leaves that the proof opens.")]
KeysDirectory = Annotated[
    Path | None,
    typer.Option(
        "--keys-dir", help="Key files, shared with cpc-cli. Also CPC_KEYS. [~/.computechain/keys]"
    ),
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="File with the key's passphrase. Also CPC_PASSPHRASE."),
]


def node_urls(context: typer.Context, here: list[str] | None) -> list[str]:
    """--node after the subcommand, before it, CPC_NODE (comma-separated), or the default."""
    before: list[str] = (context.find_root().obj or {}).get("node") or []
    from_environment = [url for url in os.environ.get("CPC_NODE", "").split(",") if url.strip()]
    return [url.strip() for url in (here or before or from_environment or [DEFAULT_NODE])]


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
