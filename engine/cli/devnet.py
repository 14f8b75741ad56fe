"""`cpc-engine devnet`: run a devnet node."""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from gettext import gettext as _
from gettext import ngettext
from typing import TYPE_CHECKING

from engine.cli.config.groups import with_options
from engine.cli.options import KeyFiles, say
from engine.runtime.settings import setting

if TYPE_CHECKING:
    from node_client.devnet.chaos import Fault
    from node_client.keys import PrivateKey


@dataclass(frozen=True, kw_only=True)
class DevnetOptions:
    """The devnet, and the faults it is to have."""

    port: int = setting(8000, _("Port; 0: any free one."), least=0, most=65535)
    host: str = setting("127.0.0.1", _("Address to listen at."))
    block_time: float = setting(5.0, _("Seconds per block."), least=0.2)
    faucet: str = setting(
        "faucet", _("Name of the key that owns the coins; made if there is none.")
    )
    fault_routes: bool = setting(False, _("Serve /devnet/faults/..., for tests."))
    chaos: bool = setting(False, _("Misbehave at random, to test a client."))
    chaos_seed: int = setting(1, _("With --chaos: the same seed gives the same faults."))
    chaos_every: float = setting(5.0, _("With --chaos: seconds between faults."), least=0.1)
    chaos_kind: tuple[str, ...] = setting(
        (), _("With --chaos: only this kind; several times for several. [every kind]")
    )


@with_options
def devnet(options: DevnetOptions, files: KeyFiles) -> None:
    """Run a devnet node: real blocks and rules, free coins, gone when it ends."""
    from node_client.devnet import DevnetServer
    from node_client.devnet.chaos import KINDS, Chaos

    server = DevnetServer(
        block_time=options.block_time,
        port=options.port,
        host=options.host,
        faucet=_faucet_key(options.faucet, files),
        fault_routes=options.fault_routes,
    )
    with ExitStack() as stack:
        if options.chaos:
            kinds = options.chaos_kind or tuple(KINDS)
            mischief = Chaos(
                server.chain,
                server.faults,
                seed=options.chaos_seed,
                every=options.chaos_every,
                kinds=kinds,
                tell=_tell,
            )
        stack.enter_context(server)
        said = _("Devnet at {url}, a block every {block_time:g} s, faucet key '{faucet}'")
        say(said.format(url=server.url, block_time=options.block_time, faucet=options.faucet))
        said = _("Fund a worker: cpc-engine tx send ADDRESS 100 --from {faucet} --node {url}")
        say(said.format(faucet=options.faucet, url=server.url))
        if options.chaos:
            stack.enter_context(mischief)
            said = _("Chaos with seed {seed}, a fault every {every:g} s: {kinds}")
            say(
                said.format(
                    seed=options.chaos_seed, every=options.chaos_every, kinds=", ".join(kinds)
                )
            )
        server.serve_forever()


def _tell(fault: "Fault") -> None:
    """Print one line per fault, with the time of day."""
    what = f"{fault.kind} {fault.lie or ''}".strip()
    if fault.blocks:
        what += ngettext(", up to {blocks} block", ", up to {blocks} blocks", fault.blocks).format(
            blocks=fault.blocks
        )
    if fault.seconds:
        what += _(", for {seconds:.1f} s").format(seconds=fault.seconds)
    say(f"{time.strftime('%H:%M:%S')} {what}")


def _faucet_key(name: str, files: KeyFiles) -> "PrivateKey":
    from node_client.errors import KeyNotFound

    try:
        return files.load_key(name)
    except KeyNotFound:
        files.keystore().create(name)
        return files.load_key(name)
