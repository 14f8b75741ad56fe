"""The node's words for a refusal, as exceptions of the tree in `errors`.

>>> refused = refusal("gas_price 999 < min 1000")
>>> refused, refused.least
(GasPriceTooLow('the node refused the transaction: gas_price 999 < min 1000'), 1000)

The words are those recorded in `tests/vectors/rpc.json`; anything else is an UnknownRefusal, so
that a new version of the node is never mistaken for a success.
"""

import re
from gettext import gettext as _

from node_client.errors import (
    AlreadyInPool,
    FeeTooLow,
    GasLimitTooLow,
    GasPriceTooLow,
    InsufficientBalance,
    InvalidSignature,
    MissingSignature,
    NonceTooLow,
    PublicKeyMismatch,
    Refused,
    UnknownRefusal,
)

LONGEST_REASON = 200
"""Characters kept of what a node says: enough for every reason known, short enough for a line."""

_WORDS: dict[str, type[Refused]] = {
    "insufficient_balance": InsufficientBalance,
    "invalid_signature": InvalidSignature,
    "missing_sig_or_key": MissingSignature,
    "pub_key_mismatch": PublicKeyMismatch,
    "already_in_pool": AlreadyInPool,
    "nonce_too_low": NonceTooLow,
}

_COMPARISONS: dict[str, tuple[type[Refused], str]] = {
    "gas_price < min": (GasPriceTooLow, _("Use a gas price of {least} or more.")),
    "gas_limit < base_gas": (GasLimitTooLow, _("Use a gas limit of {least} or more.")),
    "fee < needed_fee": (FeeTooLow, _("Use a fee of {least} or more; the node takes no more.")),
}

_COMPARISON = re.compile(r"([a-z_]+) ([0-9]{1,80}) < ([a-z_]+) ([0-9]{1,80})", re.ASCII)


def refusal(reason: str) -> Refused:
    """The exception for what the node said in `error`; its numbers are in `given` and `least`."""
    said = shorten(reason)
    known = _WORDS.get(said)
    if known is not None:
        return known(said)
    if (found := _COMPARISON.fullmatch(said)) is not None:
        left, given, right, least = found.groups()
        kind, advice = _COMPARISONS.get(f"{left} < {right}", (None, ""))
        if kind is not None:
            return kind(said, advice=advice.format(least=least), given=int(given), least=int(least))
    return UnknownRefusal(said or _("no reason given"))


def shorten(text: str, longest: int = LONGEST_REASON) -> str:
    """What a node said, fit for a terminal: one line, printable characters only, not too long."""
    # The slice first: a hostile node may say megabytes.
    clean = "".join(c if c.isprintable() else " " for c in text[: 4 * longest])
    clean = " ".join(clean.split())
    return clean if len(clean) <= longest else clean[: longest - 3] + "..."
