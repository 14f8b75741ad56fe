"""`cpc-engine devnet`: a devnet node of one's own."""

import time
from contextlib import ExitStack
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.options import KeysDirectory, PassphraseFile, keystore, load_key, say

if TYPE_CHECKING:
    from node_client.devnet.chaos import Fault
    from node_client.keys import PrivateKey


def devnet(
    port: Annotated[int, typer.Option(min=0, max=65535, help=_("Port; 0: any free one."))] = 8000,
    host: Annotated[str, typer.Option(help=_("Address to listen at."))] = "127.0.0.1",
    block_time: Annotated[float, typer.Option(min=0.2, help=_("Seconds a block."))] = 5.0,
    faucet: Annotated[
        str, typer.Option(help=_("Name of the key that owns the coins; made where there is none."))
    ] = "faucet",
    fault_routes: Annotated[
        bool, typer.Option("--fault-routes", help=_("Serve /devnet/faults/..., for tests."))
    ] = False,
    chaos: Annotated[
        bool, typer.Option("--chaos", help=_("Misbehave at random, to see what a client bears."))
    ] = False,
    chaos_seed: Annotated[
        int, typer.Option(help=_("With --chaos: the same seed gives the same faults."))
    ] = 1,
    chaos_every: Annotated[
        float, typer.Option(min=0.1, help=_("With --chaos: seconds from fault to fault."))
    ] = 5.0,
    chaos_kind: Annotated[
        list[str] | None,
        typer.Option(
            help=_("With --chaos: only this kind; several times for several. [every kind]")
        ),
    ] = None,
    passphrase_file: PassphraseFile = None,
    keys_dir: KeysDirectory = None,
) -> None:
    """Run a devnet node: real blocks and rules, coins for nothing, gone when it ends."""
    from node_client.devnet import DevnetServer
    from node_client.devnet.chaos import KINDS, Chaos

    key = _faucet_key(faucet, keys_dir, passphrase_file)
    server = DevnetServer(
        block_time=block_time, port=port, host=host, faucet=key, fault_routes=fault_routes
    )

    with ExitStack() as stack:
        if chaos:
            kinds = tuple(chaos_kind or KINDS)
            mischief = Chaos(
                server.chain,
                server.faults,
                seed=chaos_seed,
                every=chaos_every,
                kinds=kinds,
                tell=_tell,
            )
        stack.enter_context(server)
        say(
            _("Devnet at {url}, a block every {block_time:g} s, faucet key '{faucet}'").format(
                url=server.url, block_time=block_time, faucet=faucet
            )
        )
        say(
            _("Fund a worker: cpc-engine tx send ADDRESS 100 --from {faucet} --node {url}").format(
                faucet=faucet, url=server.url
            )
        )
        if chaos:
            stack.enter_context(mischief)
            said = _("Chaos with seed {seed}, a fault every {every:g} s: {kinds}")
            say(said.format(seed=chaos_seed, every=chaos_every, kinds=", ".join(kinds)))
        server.serve_forever()


def _tell(fault: "Fault") -> None:
    """One line a fault, with the time of day."""
    what = f"{fault.kind} {fault.lie or ''}".strip()
    if fault.blocks:
        what += _(", up to {blocks} blocks").format(blocks=fault.blocks)
    if fault.seconds:
        what += _(", for {seconds:.1f} s").format(seconds=fault.seconds)
    say(f"{time.strftime('%H:%M:%S')} {what}")


def _faucet_key(name: str, keys_dir: Path | None, passphrase_file: Path | None) -> "PrivateKey":
    from node_client.errors import KeyNotFound

    try:
        return load_key(name, keys_dir, passphrase_file)
    except KeyNotFound:
        keystore(keys_dir).create(name)
        return load_key(name, keys_dir, passphrase_file)
