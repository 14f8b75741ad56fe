"""Signs a result's transaction, and, where the operator allowed it, another one at a higher price.

    signer = Signer(key, network, gas_price=1000, max_gas_price=5000)
    tx = signer.sign(result, nonce, account, spendable)
    dearer = signer.dearer(tx, account, spendable)   # the same nonce: only one gets into a block

The only place where the private key is used. Prices have one digit and zeros: with others the text
of a result's transaction may have a second reading (`node_client.ambiguity`).
"""

from dataclasses import dataclass

from engine.txmgr.ledger_reader import Progress
from engine.txmgr.options import FinalityOptions
from node_client.ambiguity import sign_safely
from node_client.errors import AmbiguousTransaction
from node_client.keys import PrivateKey
from node_client.networks import Network
from node_client.rpc import Account
from node_client.transaction import BASE_GAS, ComputeResult, Transaction, TxType

_GAS = BASE_GAS[TxType.SUBMIT_RESULT]


@dataclass(frozen=True, slots=True)
class SenderSettings:
    """`depth`: blocks on top of the one that holds a result until it is final.

    `max_gas_price`: up to where a transaction that does not get into a block may rise, None for not
    at all. Prices in units a gas.
    """

    network: Network
    gas_price: int
    depth: int = FinalityOptions.depth
    max_gas_price: int | None = None


class Signer:
    """One account's. Prices in units a gas."""

    def __init__(
        self, key: PrivateKey, network: Network, gas_price: int, max_gas_price: int | None = None
    ) -> None:
        """`gas_price` is what results are sent with; only `max_gas_price` lets it rise, up to that."""
        self.address = key.address
        self._key = key
        self._network = network
        self._price = gas_price
        self._most = max_gas_price

    @property
    def fee(self) -> int:
        """What the next result costs, in units."""
        return _GAS * self._price

    def sign(self, result: Progress, nonce: int, account: Account, spendable: int) -> Transaction:
        """Raises AmbiguousTransaction, whose `waiting_helps` says whether to try again later."""
        payload = ComputeResult(
            task_id=result.task_id,
            worker_address=self.address,
            result_hash=result.result_hash,
            proof=result.proof,
            nonce=result.task_index,
            signature="",
        ).signed_by(self._key)
        draft = Transaction(
            tx_type=TxType.SUBMIT_RESULT,
            from_address=self.address,
            amount=0,
            fee=self.fee,
            nonce=nonce,
            payload=payload.model_dump(),
            gas_price=self._price,
            gas_limit=_GAS,
        )
        return self._sign(draft, account, spendable)

    def dearer(
        self, tx: Transaction, account: Account, spendable: int, *, at_least: int = 0
    ) -> Transaction | None:
        """The same result at the same nonce for the next higher price, or for `at_least`.

        None where the operator did not ask for that, or not for so much. Where the node itself
        names a least price, later results are sent with it, too.
        """
        price = round_up(max(tx.gas_price + 1, at_least))
        if self._most is None or price > self._most:
            return None
        draft = tx.model_copy(update={"gas_price": price, "fee": _GAS * price})
        try:
            signed = self._sign(draft, account, spendable)
        except AmbiguousTransaction:
            return None
        if at_least:
            self._price = max(self._price, price)
        return signed

    def _sign(self, draft: Transaction, account: Account, spendable: int) -> Transaction:
        return sign_safely(
            draft,
            self._key,
            first_unspent=account.nonce,
            min_gas_price=self._network.min_gas_price,
            spendable=spendable,
        )


def round_up(price: int) -> int:
    """Return the least number of one digit and zeros that is not below `price`.

    >>> round_up(1001), round_up(9001), round_up(30)
    (2000, 10000, 30)
    """
    unit: int = 10 ** (len(str(price)) - 1)
    return -(-price // unit) * unit
