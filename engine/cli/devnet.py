"""`cpc-engine devnet`: a devnet node of one's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.options import KeysDirectory, PassphraseFile, keystore, load_key, say

if TYPE_CHECKING:
    from node_client.keys import PrivateKey


def devnet(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any free one.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    block_time: Annotated[float, typer.Option(min=0.2, help="Seconds a block.")] = 5.0,
    faucet: Annotated[
        str, typer.Option(help="Name of the key that owns the coins; made where there is none.")
    ] = "faucet",
    fault_routes: Annotated[
        bool, typer.Option("--fault-routes", help="Serve /devnet/faults/..., for tests.")
    ] = False,
    passphrase_file: PassphraseFile = None,
    keys_dir: KeysDirectory = None,
) -> None:
    """Run a devnet node: real blocks and rules, coins for nothing, gone when it ends."""
    from node_client.devnet import DevnetServer

    key = _faucet_key(faucet, keys_dir, passphrase_file)
    server = DevnetServer(
        block_time=block_time, port=port, host=host, faucet=key, fault_routes=fault_routes
    )

    with server:
        say(f"Devnet at {server.url}, a block every {block_time:g} s, faucet key '{faucet}'")
        say(f"Fund a worker: cpc-engine tx send ADDRESS 100 --from {faucet} --node {server.url}")
        server.serve_forever()


def _faucet_key(name: str, keys_dir: Path | None, passphrase_file: Path | None) -> "PrivateKey":
    from node_client.errors import KeyNotFound

    try:
        return load_key(name, keys_dir, passphrase_file)
    except KeyNotFound:
        keystore(keys_dir).create(name)
        return load_key(name, keys_dir, passphrase_file)
