"""Signs a result's transaction, and another one of the same nonce at a higher price.

    signer = Signer(key, network)
    tx = signer.sign(result, nonce, 1000, first_unspent=ledger.proven(), spendable=balance)
    dearer = signer.at_price(tx, 2000, first_unspent=ledger.proven(), spendable=balance)

The only place where the private key is used.
"""

from dataclasses import dataclass

from engine.txmgr.ledger_reader import Progress
from engine.txmgr.options import FinalityOptions
from node_client.ambiguity import sign_safely
from node_client.keys import PrivateKey
from node_client.networks import Network
from node_client.transaction import BASE_GAS, ComputeResult, Transaction, TxType

RESULT_GAS = BASE_GAS[TxType.SUBMIT_RESULT]


@dataclass(frozen=True, slots=True)
class SenderSettings:
    """`depth`: blocks on top of the one that holds a result until it is final.

    `max_gas_price`: up to where a transaction that does not get into a block may rise, None for not
    at all. Prices in units a gas. `confirmed_nonce`: below it every nonce is spent, as the operator
    says; None where nothing was said.
    """

    network: Network
    gas_price: int
    depth: int = FinalityOptions.depth
    max_gas_price: int | None = None
    confirmed_nonce: int | None = None


class Signer:
    """One account's. Prices in units a gas, `spendable` in units.

    `first_unspent` is what is proven spent, never what a node says: a text that reads differently at
    a nonce that is not spent would be worth money to somebody. Both methods raise
    AmbiguousTransaction where there is no text without such a reading.
    """

    def __init__(self, key: PrivateKey, network: Network) -> None:
        self.address = key.address
        self._key = key
        self._network = network

    def sign(
        self, result: Progress, nonce: int, price: int, *, first_unspent: int, spendable: int
    ) -> Transaction:
        """Return the result's transaction, signed."""
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
            fee=RESULT_GAS * price,
            nonce=nonce,
            payload=payload.model_dump(),
            gas_price=price,
            gas_limit=RESULT_GAS,
        )
        return self._sign(draft, first_unspent, spendable)

    def at_price(
        self, tx: Transaction, price: int, *, first_unspent: int, spendable: int
    ) -> Transaction:
        """Return the same result at the same nonce for another price."""
        draft = tx.model_copy(update={"gas_price": price, "fee": RESULT_GAS * price})
        return self._sign(draft, first_unspent, spendable)

    def _sign(self, draft: Transaction, first_unspent: int, spendable: int) -> Transaction:
        return sign_safely(
            draft,
            self._key,
            first_unspent=first_unspent,
            min_gas_price=self._network.min_gas_price,
            spendable=spendable,
        )
