"""The node's words, as recorded, and others."""

from typing import Any

import pytest

from node_client import errors
from node_client.refusals import refusal, shorten

EXPECTED = {
    "no balance": errors.InsufficientBalance,
    "gas price under the minimum": errors.GasPriceTooLow,
    "gas limit under the base cost": errors.GasLimitTooLow,
    "fee too low": errors.FeeTooLow,
    "signature altered": errors.InvalidSignature,
    "signature missing": errors.MissingSignature,
    "public key of another account": errors.PublicKeyMismatch,
    "payload altered after signing": errors.InvalidSignature,
    "sent twice": errors.AlreadyInPool,
    "a second transaction with the nonce of one that waits": errors.NonceTooLow,
    "nonce too low": errors.NonceTooLow,
}


def test_every_recorded_refusal(vectors: Any) -> None:
    seen = set()
    for entry in vectors("rpc"):
        reason = (entry["response"]["json"] or {}).get("error")
        if not reason:
            continue
        seen.add(entry["note"])
        error = refusal(reason)
        assert type(error) is EXPECTED[entry["note"]]
        assert error.reason == reason
        assert reason in str(error)
        assert error.advice
    assert seen == EXPECTED.keys()


@pytest.mark.parametrize(
    ("reason", "kind", "given", "least"),
    [
        ("gas_price 999 < min 1000", errors.GasPriceTooLow, 999, 1000),
        ("gas_limit 1 < base_gas 80000", errors.GasLimitTooLow, 1, 80_000),
        ("fee 0 < needed_fee 80000000", errors.FeeTooLow, 0, 80_000_000),
    ],
)
def test_the_numbers_are_kept(
    reason: str, kind: type[errors.Refused], given: int, least: int
) -> None:
    error = refusal(reason)
    assert isinstance(error, kind)
    assert (error.given, error.least) == (given, least)
    assert str(least) in error.advice


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("unknown_tx_type", errors.TypeNotTaken),
        ("transfer_amount_zero", errors.AmountZero),
        ("sender_limit_exceeded", errors.SenderLimit),
        ("queued_limit_exceeded", errors.QueueFull),
        ("mempool_full", errors.MempoolFull),
        ("crypto_error: non-hexadecimal number found in fromhex()", errors.MalformedSignature),
        ("invalid_key_format: Error converting to bech32 words", errors.MalformedKey),
    ],
)
def test_words_of_node_md_that_no_recording_has(reason: str, kind: type[errors.Refused]) -> None:
    error = refusal(reason)
    assert type(error) is kind
    assert error.reason == reason
    assert error.advice


def test_what_waiting_mends_says_so_and_asks_for_no_coins() -> None:
    for kind in (errors.SenderLimit, errors.QueueFull, errors.MempoolFull):
        assert issubclass(kind, errors.NoRoom)
        assert kind.advice.startswith("Wait")
        assert "coins" not in kind.advice


@pytest.mark.parametrize(
    "reason",
    [
        "",
        "queued_limit_exceeded: 64",
        "nonce_too_low:",
        "crypto_error",
        "gas_price x < min 1000",
        "gas_price 1 < needed_fee 2",
        "fee 1 < needed_fee 2 and more",
        "fee " + "9" * 100 + " < needed_fee 1",
        "fee ١ < needed_fee ٢",
    ],
)
def test_other_words_are_unknown(reason: str) -> None:
    error = refusal(reason)
    assert type(error) is errors.UnknownRefusal
    assert error.advice


def test_a_hostile_reason_stays_one_short_line() -> None:
    said = shorten("\x1b[2J\n\r" + "spam " * 10**6)
    assert said.isprintable()
    assert len(said) == 200
