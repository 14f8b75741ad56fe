"""What the transactions of accounts that stake carry: payload, amount and recipient of each kind.

The payload's JSON stands between the digits of the gas limit and the public key, with nothing around
it. Another reading of the text could only begin its payload elsewhere: the key at the end is the
account's own, 66 hex digits, and no hex digit is a `}`. A payload begins with `{`, and one that passes
here has no second `{`, in a name or a web address neither: so every reading begins it at the same
place, and only the digits before it can be cut in another way (`ambiguity.py`).

What the node wants of each kind is read from its public code of January 2026 and from recorded blocks
(tests/vectors/foreign_blocks.json holds a real UPDATE_VALIDATOR). The node's proposer drops what does
not fit, and tells nobody: so it is refused here.
"""

import math
from gettext import gettext as _
from typing import Any

from node_client.address import VALIDATOR_PREFIX, check_address
from node_client.errors import InvalidTransaction
from node_client.keys import PrivateKey
from node_client.networks import UNITS_PER_CPC, format_cpc
from node_client.transaction import Transaction, TxType

UNJAIL_FEE = 1000 * UNITS_PER_CPC
"""What UNJAIL costs beside its gas: the node burns its amount, and wants no less."""

LEAST_DELEGATION = 100 * UNITS_PER_CPC

LONGEST_TEXTS = {"name": 64, "website": 128, "description": 256}
"""Characters of each text of an UPDATE_VALIDATOR."""

_OF_A_VALIDATOR = (TxType.STAKE, TxType.UNSTAKE, TxType.UNJAIL)
_OF_A_DELEGATOR = (TxType.DELEGATE, TxType.UNDELEGATE)


def check_staking(draft: Transaction, key: PrivateKey) -> None:
    """Raise InvalidTransaction or InvalidAddress for what the node would refuse or drop."""
    kind = draft.tx_type
    if draft.to_address is not None:
        raise InvalidTransaction(_("a {kind} has no to_address").format(kind=kind.value))
    if (draft.amount == 0) != (kind is TxType.UPDATE_VALIDATOR):
        raise InvalidTransaction(
            _("amount {amount} does not fit a {kind}").format(amount=draft.amount, kind=kind.value)
        )
    if kind in _OF_A_DELEGATOR:
        _check_delegation(draft)
    elif draft.payload.get("pub_key") != key.public_key:
        raise InvalidTransaction(_("the payload's pub_key is not the signing key's"))
    elif kind in _OF_A_VALIDATOR:
        _check_names(draft, {"pub_key"})
    else:
        _check_metadata(draft)
    if kind is TxType.UNJAIL and draft.amount != UNJAIL_FEE:
        raise InvalidTransaction(
            _("an UNJAIL costs {fee} CPC, no more and no less").format(fee=format_cpc(UNJAIL_FEE))
        )


def metadata(
    key: PrivateKey,
    *,
    name: str | None = None,
    website: str | None = None,
    description: str | None = None,
    commission: float | None = None,
) -> dict[str, Any]:
    """Return the payload of an UPDATE_VALIDATOR. What is None stays as it is; `commission` 0 to 1."""
    given = {
        "name": name,
        "website": website,
        "description": description,
        "commission_rate": None if commission is None else float(commission),
    }
    return {"pub_key": key.public_key} | {k: v for k, v in given.items() if v is not None}


def _check_delegation(draft: Transaction) -> None:
    _check_names(draft, {"validator"})
    validator = draft.payload["validator"]
    if not isinstance(validator, str):
        raise InvalidTransaction(_("the payload's validator is not text"))
    check_address(validator, VALIDATOR_PREFIX)
    if draft.tx_type is TxType.DELEGATE and draft.amount < LEAST_DELEGATION:
        raise InvalidTransaction(
            _("a delegation is {least} CPC at least: the node would drop this one").format(
                least=format_cpc(LEAST_DELEGATION)
            )
        )


def _check_metadata(draft: Transaction) -> None:
    payload = draft.payload
    if not payload.keys() - {"pub_key"}:
        raise InvalidTransaction(_("an UPDATE_VALIDATOR without anything to change"))
    _check_names(draft, {"pub_key", *(payload.keys() & {*LONGEST_TEXTS, "commission_rate"})})
    for field, longest in LONGEST_TEXTS.items():
        text = payload.get(field, "")
        # Not printable: control characters, lone surrogates, and marks that turn the text around.
        if not isinstance(text, str) or not text.isprintable() or "{" in text:
            raise InvalidTransaction(
                _("{field} must be printable text without {brace}").format(field=field, brace="{")
            )
        if len(text) > longest:
            raise InvalidTransaction(
                _("{field} has more than {longest} characters: {length}").format(
                    field=field, length=len(text), longest=longest
                )
            )
    rate = payload.get("commission_rate", 0.0)
    if not isinstance(rate, float) or not math.isfinite(rate) or not 0 <= rate <= 1:
        raise InvalidTransaction(_("the commission is a number from 0 to 1, such as 0.1"))


def _check_names(draft: Transaction, names: set[str]) -> None:
    if draft.payload.keys() != names:
        raise InvalidTransaction(
            _("the payload of a {kind} has exactly these fields: {names}").format(
                kind=draft.tx_type.value, names=", ".join(sorted(names))
            )
        )
