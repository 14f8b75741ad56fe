"""What is looked at in a draft before it is signed: what the node would refuse, drop or misread.

check_draft(draft, key, first_unspent=3, min_gas_price=1_000)

A payload is held to a form in which the text's other parts end where it begins: see `ambiguity.py`.
"""

import json
import re
from gettext import gettext as _

from node_client.address import VALIDATOR_PREFIX, check_address, is_address
from node_client.errors import InvalidTransaction
from node_client.keys import PrivateKey
from node_client.transaction import ComputeResult, Transaction, TxType

LARGEST_NUMBER = 10**36
"""No number of a draft may be larger: 10^18 CPC. It bounds the search for other readings."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_HEX = re.compile(r"([0-9a-f]{2})*", re.ASCII)
_OF_VALIDATORS = frozenset(TxType) - {TxType.TRANSFER, TxType.SUBMIT_RESULT}


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
    _check_receiver(draft)
    if draft.tx_type is TxType.SUBMIT_RESULT:
        _check_result(draft)
    elif draft.payload:
        _check_payload(draft)
    if draft.tx_type is TxType.TRANSFER and (draft.to_address is None or draft.amount == 0):
        raise InvalidTransaction(_("a TRANSFER needs a receiver and an amount above zero"))


def _check_receiver(draft: Transaction) -> None:
    to = draft.to_address
    if to is None or (draft.tx_type in _OF_VALIDATORS and is_address(to, VALIDATOR_PREFIX)):
        return
    check_address(to)


def _check_payload(draft: Transaction) -> None:
    """The text has one place where the payload can begin, so that no digit of it is a number's."""
    if draft.tx_type not in _OF_VALIDATORS:
        raise InvalidTransaction(
            _("a {kind} is signed without a payload only").format(kind=draft.tx_type.value)
        )
    if json.dumps(draft.payload).count("{") != 1:
        raise InvalidTransaction(_("a payload is signed only where it holds no second {"))


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
    if _HEX.fullmatch(result.proof) is None or _HEX.fullmatch(result.signature) is None:
        raise InvalidTransaction(_("proof and signature are lower-case hex, two digits a byte"))
    if result.worker_address != draft.from_address:
        raise InvalidTransaction(_("worker_address is not from_address"))
    if not 0 <= result.nonce <= LARGEST_NUMBER:
        raise InvalidTransaction(_("the result's nonce is the task's index, and not negative"))
