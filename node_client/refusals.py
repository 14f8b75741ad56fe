"""The node's words for a refusal, as exceptions of the tree in `errors`.

>>> refused = refusal("gas_price 999 < min 1000")
>>> refused, refused.least
(GasPriceTooLow('the node refused the transaction: gas_price 999 < min 1000'), 1000)

The words are those recorded in `tests/vectors/rpc.json` and those that NODE.md names; anything else
is an UnknownRefusal, so that a new version of the node is never mistaken for a success.
"""

import re
from gettext import gettext as _

from node_client import errors
from node_client.errors import Refused, UnknownRefusal

LONGEST_REASON = 200
"""Characters kept of what a node says: enough for every reason known, short enough for a line."""

_WORDS: dict[str, type[Refused]] = {
    "insufficient_balance": errors.InsufficientBalance,
    "invalid_signature": errors.InvalidSignature,
    "missing_sig_or_key": errors.MissingSignature,
    "pub_key_mismatch": errors.PublicKeyMismatch,
    "already_in_pool": errors.AlreadyInPool,
    "nonce_too_low": errors.NonceTooLow,
    "transfer_amount_zero": errors.AmountZero,
    "unknown_tx_type": errors.TypeNotTaken,
    "sender_limit_exceeded": errors.SenderLimit,
    "queued_limit_exceeded": errors.QueueFull,
    "mempool_full": errors.MempoolFull,
}

_FAILURES: dict[str, type[Refused]] = {
    "crypto_error": errors.MalformedSignature,
    "invalid_key_format": errors.MalformedKey,
}
"""Words that a colon and a library's message follow."""

_COMPARISONS: dict[str, tuple[type[Refused], str]] = {
    "gas_price < min": (errors.GasPriceTooLow, _("Use a gas price of {least} or more.")),
    "gas_limit < base_gas": (errors.GasLimitTooLow, _("Use a gas limit of {least} or more.")),
    "fee < needed_fee": (
        errors.FeeTooLow,
        _("Use a fee of {least} or more; the node takes no more."),
    ),
}

_COMPARISON = re.compile(r"([a-z_]+) ([0-9]{1,80}) < ([a-z_]+) ([0-9]{1,80})", re.ASCII)


def refusal(reason: str) -> Refused:
    """The exception for what the node said in `error`; its numbers are in `given` and `least`."""
    said = shorten(reason)
    word, colon, _why = said.partition(":")
    known = _FAILURES.get(word) if colon else _WORDS.get(said)
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
