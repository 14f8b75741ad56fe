"""What must be right before the first block: each check with what it found and how to fix it.

    chain = look_at_chain(client)
    print(check_clock(chain).found)
    demand(check_balance(client, address, chain.network, gas_price))

`mine` stops at the first that failed; `doctor` shows them all.
"""

import os
import shutil
import time
from dataclasses import asdict, dataclass
from gettext import gettext as _
from gettext import ngettext
from pathlib import Path
from typing import Literal

from engine.monitor.formatting import gibibytes
from engine.runtime.errors import SetupError
from engine.txmgr.funding import advice_to_fund
from engine.txmgr.ledger import UNKNOWN_GENESIS
from kernels.cache import cache_directory, cache_problem
from node_client.block import Block
from node_client.networks import NETWORKS, Network, format_cpc
from node_client.refusals import shorten
from node_client.rpc import NodeClient, NodeStatus, parent_of_first
from node_client.transaction import BASE_GAS, TxType

CLOCK_SLACK_SECONDS = 30.0
LATE_BLOCKS = 10
ENOUGH_RESULTS = 100
"""A balance that pays for fewer results than this is warned about."""


@dataclass(frozen=True, slots=True)
class Check:
    """A finding. `fix` is a sentence or a command, empty where nothing is wrong.

    `name` is for machines, too, and is never translated. "skip": there was nothing to check.
    """

    name: str
    state: Literal["ok", "warn", "fail", "skip"]
    found: str
    fix: str = ""

    def to_json(self) -> dict[str, str]:
        """Return a plain dictionary; `mend` is the former name of `fix`, kept for one release."""
        return asdict(self) | {"mend": self.fix}


@dataclass(frozen=True, slots=True)
class Chain:
    """The chain that a node serves. `genesis` is the hash of its first block, or UNKNOWN_GENESIS."""

    status: NodeStatus
    tip: Block
    network: Network
    genesis: str
    silent: tuple[str, ...] = ()
    """Of several nodes those that gave no answer."""

    @property
    def chain_id(self) -> str:
        """The chain id in the tip's header."""
        return self.tip.header.chain_id

    @property
    def pinned_genesis(self) -> str | None:
        """What every node of this chain has to show; None where that is not known."""
        return None if self.genesis == UNKNOWN_GENESIS else self.genesis


def look_at_chain(client: NodeClient) -> Chain:
    """Ask the nodes which chain they serve.

    Raises NodeError, or SetupError for an unknown network and for nodes of different chains.
    """
    silent = _refuse_two_chains(client)
    status, tip = client.latest_block()
    network = NETWORKS.get(status.network)
    if network is None:
        message = _(
            "the node is on network {network!r}, which cpc-engine does not know (known: {names})"
        ).format(network=status.network, names=", ".join(NETWORKS))
        raise SetupError(message, advice=_("Point --node at another node, or update cpc-engine."))
    chain = Chain(status, tip, network, client.genesis() or UNKNOWN_GENESIS, silent)
    # The network's name decides what a transaction costs, and is what the node says of itself.
    if any(other in chain.chain_id for other in NETWORKS if other != network.name):
        message = _("the node says that it is on {network}, and its chain's id is {chain_id}")
        raise SetupError(
            message.format(network=network.name, chain_id=shorten(chain.chain_id)),
            advice=_("Point --node at another node: this one is set up wrongly, or lies."),
        )
    return chain


def _refuse_two_chains(client: NodeClient) -> tuple[str, ...]:
    """Raise SetupError for nodes of different chains; return those of several that say nothing."""
    if len(client.urls) < 2:
        return ()
    firsts = client.each_first_block()
    known = {name: first for name, first in firsts.items() if first is not None}
    # Some nodes begin at block 1, which names block 0 as its parent.
    begins = [{first.hash(), parent_of_first(first) or first.hash()} for first in known.values()]
    if begins and not set.intersection(*begins):
        said = ", ".join(f"{name}: {first.hash():.16}..." for name, first in known.items())
        raise SetupError(
            _("the nodes serve different chains; their first blocks are {said}").format(said=said),
            advice=_("Name nodes of one chain only: leave the other out of --node."),
        )
    return tuple(name for name in client.urls if name not in firsts)


def check_nodes(chain: Chain) -> Check:
    """Whether every node answered."""
    if not chain.silent:
        return Check("node", "ok", _("every node answers"))
    found = _("{names} did not answer, and the run goes on with the others").format(
        names=", ".join(chain.silent)
    )
    return Check("node", "warn", found, _("Check it, or leave it out of --node."))


def check_transport(client: NodeClient) -> Check:
    """Whether anyone on the way to a node can read and change what is said."""
    if not client.exposed:
        return Check("transport", "ok", _("https, or nodes on this machine"))
    found = _("plain http to {names}: anyone on the way can change what the node says").format(
        names=", ".join(client.exposed)
    )
    fix = _(
        "Use https, a node on this machine, or a tunnel: ssh -N -L 8000:localhost:8000 HOST, and"
        " --node http://localhost:8000."
    )
    return Check("transport", "warn", found, fix)


def check_network(chain: Chain) -> Check:
    """Network and chain id."""
    found = _("{name}, chain {chain_id}, height {height}").format(
        name=chain.network.name, chain_id=chain.chain_id, height=chain.status.height
    )
    return Check("network", "ok", found)


def check_clock(chain: Chain, now: float | None = None) -> Check:
    """This machine's clock against the tip's time stamp (whole seconds)."""
    late = (time.time() if now is None else now) - chain.tip.header.timestamp
    if late < -CLOCK_SLACK_SECONDS:
        found = _("this machine's clock is {late:.0f} s behind the chain's newest block")
        fix = _("Set the clock: timedatectl set-ntp true")
        return Check("clock", "fail", found.format(late=-late), fix)
    if late > CLOCK_SLACK_SECONDS + LATE_BLOCKS * chain.network.block_time:
        found = _(
            "the newest block is {late:.0f} s old: the node syncs, the chain stands"
            " still, or this machine's clock is ahead"
        )
        fix = _("Check the clock (timedatectl) and the node (cpc-engine query status).")
        return Check("clock", "warn", found.format(late=late), fix)
    return Check(
        "clock", "ok", _("the newest block is {late:.0f} s old").format(late=max(late, 0.0))
    )


def check_balance(client: NodeClient, address: str, network: Network, gas_price: int) -> Check:
    """Whether the account can pay for results."""
    account = client.balance(address)
    fee = BASE_GAS[TxType.SUBMIT_RESULT] * gas_price
    results = account.balance // fee
    found = ngettext(
        "{balance} CPC, enough for {results} result",
        "{balance} CPC, enough for {results} results",
        results,
    ).format(balance=format_cpc(account.balance), results=f"{results:,}".replace(",", " "))
    fix = advice_to_fund(address, network.name, client.urls[0])
    if results == 0:
        fix += "\n" + _("Coins that were sent just now count from the next block on.")
        return Check("balance", "fail", _("insufficient balance: {found}").format(found=found), fix)
    if results < ENOUGH_RESULTS:
        return Check("balance", "warn", found, fix)
    return Check("balance", "ok", found)


def check_gas_price(network: Network, gas_price: int) -> Check:
    """Whether the network takes this price."""
    if gas_price < network.min_gas_price:
        found = _("{gas_price} units a gas, and {name} takes {min_gas_price} at least").format(
            gas_price=gas_price, name=network.name, min_gas_price=network.min_gas_price
        )
        fix = _("Use --gas-price {min_gas_price}.").format(min_gas_price=network.min_gas_price)
        return Check("gas price", "fail", found, fix)
    return Check("gas price", "ok", _("{gas_price} units a gas").format(gas_price=gas_price))


def check_disk(directory: Path) -> Check:
    """Whether the ledger can be written and has room to grow: about 20 KB a result."""
    place = directory
    fix = _("Name another directory with CPC_STATE.")
    try:
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free
    except OSError as error:
        return Check("disk", "fail", f"{place}: {error.strerror}", fix)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        return Check("disk", "fail", _("{place} cannot be written to").format(place=place), fix)
    if free < 100 * 2**20:
        found = _("{free:.0f} MiB free at {place}").format(free=free / 2**20, place=place)
        return Check("disk", "fail", found, _("Free some space."))
    found = _("{free} free at {place}").format(free=gibibytes(free), place=place)
    return Check("disk", "ok", found)


def check_cache() -> Check:
    """Whether compiled kernels are kept: only where no other user of the machine can write."""
    if reason := cache_problem():
        fix = _(
            "Make that place yours alone (chown, chmod go-w), or name another with CPC_CACHE; until"
            " then each start compiles again."
        )
        return Check("cache", "warn", reason, fix)
    return Check("cache", "ok", str(cache_directory()))


def check_switches() -> list[Check]:
    """Find tests that the environment switches off."""
    if os.environ.get("CPC_CARD_JOBS") != "1":
        return []
    found = _("CPC_CARD_JOBS=1: a card does whole jobs though no test has shown that it can")
    return [Check("card jobs", "warn", found, _("Unset it: the test is made at the first start."))]


def demand(check: Check) -> Check:
    """Give a check back, or raise SetupError where it failed."""
    if check.state == "fail":
        raise SetupError(f"{check.name}: {check.found}", advice=check.fix)
    return check
