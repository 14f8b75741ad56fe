"""What is looked at in a draft before it is signed: what the node would refuse, drop or misread.

check_draft(draft, key, first_unspent=3, min_gas_price=1_000)

A payload is held to a form in which the text's other parts end where it begins: see `ambiguity.py`.
"""

import re
from gettext import gettext as _

from node_client.address import check_address
from node_client.errors import InvalidTransaction
from node_client.keys import PrivateKey
from node_client.staking import check_staking
from node_client.transaction import ComputeResult, Transaction, TxType

LARGEST_NUMBER = 10**36
"""No number of a draft may be larger: 10^18 CPC. It bounds the search for other readings."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


def check_draft(
    draft: Transaction, key: PrivateKey, first_unspent: int, min_gas_price: int
) -> None:
    """Raise InvalidTransaction, with advice, for a draft that is not to be signed.

    `first_unspent`: every nonce below is spent. `min_gas_price` in units a gas.
    """
    if draft.from_address != key.address:
        raise InvalidTransaction(
            _("{from_address} is not the address of {key!r}").format(
                from_address=draft.from_address, key=key
            )
        )
    if draft.nonce < first_unspent:
        raise InvalidTransaction(
            _("nonce {nonce} is spent: the next is {first_unspent}").format(
                nonce=draft.nonce, first_unspent=first_unspent
            )
        )
    if draft.gas_limit < draft.base_gas:
        raise InvalidTransaction(
            _("gas limit {gas_limit} is under the base gas {base_gas}").format(
                gas_limit=draft.gas_limit, base_gas=draft.base_gas
            ),
            advice=_("Use a gas limit of {base_gas}; more is never taken.").format(
                base_gas=draft.base_gas
            ),
        )
    if draft.gas_price < min_gas_price:
        raise InvalidTransaction(
            _("gas price {gas_price} is under the network's least, {min_gas_price}").format(
                gas_price=draft.gas_price, min_gas_price=min_gas_price
            ),
            advice=_("Use a gas price of {min_gas_price} or more.").format(
                min_gas_price=min_gas_price
            ),
        )
    for name in ("amount", "nonce", "gas_price", "gas_limit"):
        if getattr(draft, name) > LARGEST_NUMBER:
            raise InvalidTransaction(
                _("{name} is larger than {LARGEST_NUMBER}").format(
                    name=name, LARGEST_NUMBER=LARGEST_NUMBER
                )
            )
    if draft.to_address is not None:
        check_address(draft.to_address)
    match draft.tx_type:
        case TxType.TRANSFER:
            _check_transfer(draft)
        case TxType.SUBMIT_RESULT:
            _check_result(draft)
        case _:
            check_staking(draft, key)


def _check_transfer(draft: Transaction) -> None:
    if draft.payload:
        raise InvalidTransaction(_("a TRANSFER is signed without a payload only"))
    if draft.to_address is None or draft.amount == 0:
        raise InvalidTransaction(_("a TRANSFER needs a receiver and an amount above zero"))


def _check_result(draft: Transaction) -> None:
    if draft.amount != 0 or draft.to_address is not None:
        raise InvalidTransaction(_("a SUBMIT_RESULT moves no money: amount 0, and no to_address"))
    result = draft.compute_result()
    if draft.payload.keys() != ComputeResult.model_fields.keys():
        raise InvalidTransaction(
            _("the payload must hold the fields of a ComputeResult, no others")
        )
    if _UUID.fullmatch(result.task_id) is None:
        raise InvalidTransaction(_("task_id is not a UUID in lower-case hex with hyphens"))
    if re.fullmatch(r"[0-9a-f]{64}", result.result_hash) is None:
        raise InvalidTransaction(_("result_hash is not 64 lower-case hex digits, without 0x"))
    if not (_is_hex(result.proof) and _is_hex(result.signature)):
        raise InvalidTransaction(_("proof and signature are lower-case hex, two digits a byte"))
    if result.worker_address != draft.from_address:
        raise InvalidTransaction(_("worker_address is not from_address"))
    if not 0 <= result.nonce <= LARGEST_NUMBER:
        raise InvalidTransaction(_("the result's nonce is the task's index, and not negative"))


def _is_hex(text: str) -> bool:
    """Whether it is lower-case hex, two digits a byte: without a pattern, as proofs are long."""
    try:
        return bytes.fromhex(text).hex() == text
    except ValueError:
        return False
