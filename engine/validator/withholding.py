"""Which transfers a lying node could turn into a loss, and how much of that the operator accepts.

    stakes = Stakes(client, address, network, accept=51 * UNITS_PER_CPC, tell=print)
    stakes.look()                              # balances, as nodes say them now
    payable = stakes.withhold(plan)            # tells what is left out, and why
    stakes.room(signed)                        # units that one more transfer may put at stake

Where a worker's address ends in a digit, a transfer's text is also one of many times as much to
nobody (`node_client.ambiguity`). What the operator accepts bounds a run as a whole: what lies in
texts that are in no final block yet, and what was burned in it, count together.
"""

from collections.abc import Callable, Iterable, Mapping
from gettext import gettext as _

from engine.txmgr.one_off import agreed_balance
from engine.validator.payout_plan import Payment
from node_client.ambiguity import at_stake, least_at_stake
from node_client.networks import NETWORKS, Network, format_cpc
from node_client.rpc import NodeClient
from node_client.transaction import BASE_GAS, Transaction, TxType


def stake_of(worker: str, units: int, price: int, balance: int | None = None) -> int:
    """Return the units that a transfer of `units` to this worker is going to put at stake.

    `balance`: the paying account's, as more than one node confirms it. `price` in units a gas.
    """
    draft = Transaction(
        tx_type=TxType.TRANSFER,
        from_address=worker,
        to_address=worker,
        amount=units,
        nonce=1,
        gas_price=price,
        gas_limit=BASE_GAS[TxType.TRANSFER],
    )
    return least_at_stake(draft, min_gas_price=price, balance=balance)


def withheld(
    plan: Iterable[Payment], price: int, accept: int, balance: int | None = None
) -> dict[str, int]:
    """Return what is at stake, in units by address, in those payments where it is more than `accept`.

    `price` and `balance` as for `stake_of`.
    """
    stakes = {
        one.worker_address: max(stake_of(one.worker_address, u, price, balance) for u in one.parts)
        for one in plan
    }
    return {worker: stake for worker, stake in stakes.items() if stake > accept}


def foreseen(plan: list[Payment], accept: int) -> dict[str, int]:
    """Return the same before a node is asked: on any network, from an account that holds a lot."""
    found: dict[str, int] = {}
    for network in NETWORKS.values():
        for worker, stake in withheld(plan, network.min_gas_price, accept).items():
            found[worker] = max(stake, found.get(worker, 0))
    return found


def tell_withheld(tell: Callable[[str], None], worker: str, units: int, stake: int) -> None:
    """Say why this worker is not paid so much."""
    tell(
        _(
            "{units} CPC to {worker}: withheld; a node that lies, or anyone on the way to it, could"
            " burn {stake} CPC of the paying account in place of a transfer to this address"
        ).format(units=format_cpc(units), worker=worker, stake=format_cpc(stake))
    )


def tell_all_withheld(
    tell: Callable[[str], None], plan: Iterable[Payment], stakes: Mapping[str, int]
) -> None:
    """Say of each worker in `stakes` why it is not paid, and of all of them what can be done."""
    left_out = [one for one in plan if one.worker_address in stakes]
    for one in left_out:
        tell_withheld(tell, one.worker_address, one.units, stakes[one.worker_address])
    if left_out:
        tell(
            _(
                "withheld: {cpc} CPC, workers: {n}. Pay them from an account that holds little,"
                " named to two nodes; ask them for an address that ends in a letter, as each does"
                " that `keys add` makes; or accept the risk: --accept-burn {most}"
            ).format(
                cpc=format_cpc(sum(one.units for one in left_out)),
                n=len(left_out),
                most=format_cpc(max(stakes.values())),
            )
        )


class Stakes:
    """One run's."""

    def __init__(
        self,
        client: NodeClient,
        address: str,
        network: Network,
        *,
        accept: int,
        tell: Callable[[str], None],
    ) -> None:
        """`accept`: units that may be burned in this run. `tell` gets a line for each worker."""
        self._client = client
        self._address = address
        self._price = network.min_gas_price
        self._accept = accept
        self._tell = tell
        self._burned = 0
        self.balance: int | None = None
        """What two nodes or more say that the account has at most; None where one answered."""

    def look(self) -> None:
        """Ask the nodes for the account's balance. Raises NodeError."""
        self.balance = agreed_balance(self._client, self._address)

    def withhold(self, plan: Iterable[Payment]) -> list[Payment]:
        """Return what can be paid; tell of each worker that cannot, and of what is left out in all."""
        plan = list(plan)
        stakes = withheld(plan, self._price, self._accept, self.balance)
        tell_all_withheld(self._tell, plan, stakes)
        return [one for one in plan if one.worker_address not in stakes]

    def tell_withheld(self, worker: str, units: int, stake: int) -> None:
        """Say why this worker is not paid so much."""
        tell_withheld(self._tell, worker, units, stake)

    def is_acceptable(self, stake: int) -> bool:
        """Whether so much may be at stake once nothing else is."""
        return stake <= self._accept - self._burned

    def room(self, open_: Iterable[Transaction]) -> int:
        """Return the units that one more may put at stake; `open_`: what is signed and not final."""
        stakes = (at_stake(tx, min_gas_price=self._price, balance=self.balance) for tx in open_)
        return max(0, self._accept - self._burned - sum(stakes))

    def burned(self, tx: Transaction) -> None:
        """Another reading of `tx` got into its place."""
        self._burned += at_stake(tx, min_gas_price=self._price)
