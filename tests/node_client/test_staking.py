"""Payloads of the kinds that stake: what is signed, and that nothing in them opens another reading."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node_client.address import address_from_public_key
from node_client.ambiguity import colliding_transactions, sign_safely
from node_client.errors import InvalidAddress, InvalidTransaction
from node_client.staking import UNJAIL_FEE, metadata
from node_client.transaction import Transaction

CPC = 10**18
KINDS = {
    "STAKE": 1000 * CPC,
    "UNSTAKE": 1500 * CPC,
    "DELEGATE": 250 * CPC,
    "UNDELEGATE": CPC,
    "UNJAIL": UNJAIL_FEE,
}


def sign(made: Transaction, key: Any) -> Transaction:
    return sign_safely(made, key, first_unspent=made.nonce, min_gas_price=1000)


@pytest.mark.parametrize(("kind", "amount"), KINDS.items())
def test_each_kind_is_signed_as_the_node_wants_it(kind, amount, draft, key):
    signed = sign(draft(kind, amount=amount, nonce=7), key)
    assert signed.signature_fits()
    assert signed.to_address is None
    assert signed.fee >= signed.base_gas * 1000
    readings = colliding_transactions(signed, first_unspent=7, min_gas_price=1000)
    assert [
        (one.nonce, one.amount) for one in readings if one.nonce != 7 or one.amount > amount
    ] == []


def test_the_real_update_validator_is_made_again(vectors):
    """Payload of foreign_blocks.json; the key is not ours, so the draft's text is compared."""
    (real,) = [
        tx
        for entry in vectors("foreign_blocks")
        for tx in entry["block"]["txs"]
        if tx["tx_type"] == "UPDATE_VALIDATOR"
    ]
    shown = Transaction.model_validate(real)
    assert shown.signature_fits()
    assert address_from_public_key(real["payload"]["pub_key"]) == real["from_address"]
    assert real["payload"].keys() == {"pub_key", "name"}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("STAKE", {"payload": {}}),
        ("STAKE", {"payload": {"pub_key": "02" + "ab" * 32}}),
        ("STAKE", {"amount": 0}),
        ("UNSTAKE", {"to_address": "cpc1s8lysj5eghas7fgarxmta5g5d7223d7pgr7tdw"}),
        ("UNJAIL", {"amount": UNJAIL_FEE + 1}),
        ("DELEGATE", {"amount": 100 * CPC - 1}),
        ("DELEGATE", {"payload": {}}),
        ("DELEGATE", {"payload": {"validator": 7}}),
        ("UPDATE_VALIDATOR", {"amount": 0}),
    ],
)
def test_what_the_node_would_drop_is_not_signed(kind, fields, draft, key):
    with pytest.raises(InvalidTransaction):
        sign(draft(kind, **{"amount": KINDS.get(kind, 0)} | fields), key)


def test_an_account_is_no_validator(draft, key):
    with pytest.raises(InvalidAddress, match="cpcvalcons1"):
        sign(draft("DELEGATE", amount=250 * CPC, payload={"validator": key.address}), key)


@pytest.mark.parametrize(
    "texts",
    [
        {"name": "x" * 65},
        {"website": "x" * 129},
        {"description": "x" * 257},
        {"name": "a\nb"},
        {"name": "\x1b[2J"},
        {"name": "\N{RIGHT-TO-LEFT OVERRIDE}x"},
        {"name": "\ud800"},
        {"description": '5{"pub_key":"x"}'},
        {"website": "{}"},
        {"commission": float("nan")},
        {"commission": 1.5},
        {"commission": -0.1},
        {},
    ],
)
def test_metadata_that_the_node_or_a_terminal_would_not_bear(texts, draft, key):
    made = draft("UPDATE_VALIDATOR", amount=0, payload=metadata(key, **texts))
    with pytest.raises(InvalidTransaction):
        sign(made, key)


def test_unknown_fields_are_not_signed(draft, key):
    for payload in ({"more": "x"}, {"name": 7}, {"commission_rate": "0.1"}):
        made = draft("UPDATE_VALIDATOR", amount=0, payload={"pub_key": key.public_key} | payload)
        with pytest.raises(InvalidTransaction):
            sign(made, key)


printable = st.text(
    st.characters(exclude_categories=["C", "Z"]) | st.just(" "), max_size=64
).filter(lambda text: text.isprintable() and "{" not in text)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=printable,
    website=printable,
    nonce=st.integers(0, 10**6),
    commission=st.floats(0, 1),
    description=printable | st.text('0123456789}":,\\', max_size=64),
)
def test_no_text_opens_another_reading(name, website, nonce, commission, description, draft, key):
    """By brute force over the bytes that are signed: every place where a payload can begin."""
    payload = metadata(
        key, name=name, website=website, description=description, commission=commission
    )
    signed = sign(draft("UPDATE_VALIDATOR", amount=0, nonce=nonce, payload=payload), key)
    text = signed.signing_text()
    # The node reads JSON numbers as we do, so the text that it hashes is this one.
    assert (
        Transaction.model_validate(json.loads(json.dumps(signed.to_json()))).hash() == signed.hash()
    )
    assert text.endswith(key.public_key)
    starts = [at for at, letter in enumerate(text) if letter == "{"]
    readable = []
    for at in starts:
        body = text[at : -len(key.public_key)]
        try:
            value = json.loads(body)
        except ValueError:
            continue
        if json.dumps(value, sort_keys=True, separators=(",", ":")) == body:
            readable.append(value)
    assert readable == [payload]
