"""One signature can fit several transactions: the attack, and that `sign_safely` closes it."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from node_client.ambiguity import (
    at_stake,
    colliding_transactions,
    one_digit_parts,
    sign_safely,
)
from node_client.errors import (
    AmbiguousTransaction,
    BurnPossible,
    InvalidAddress,
    InvalidTransaction,
)
from node_client.keys import PrivateKey
from node_client.networks import format_cpc, parse_cpc
from node_client.transaction import BASE_GAS, Transaction, TxType
from tests.variants import quick_and_slow

type Draft = Callable[..., Transaction]

GPRICE = 12 * 10**9  # NODE.md's example
LEAST = 10**9


def brute_force(
    tx: Transaction, first_unspent: int, min_gas_price: int, *, last_nonce: int
) -> Iterator[tuple[str, int, int, int, int, int]]:
    """Every reading, cut from the left and judged at the end; nothing shared with the product."""
    to = tx.to_address or ""
    stem = to.rstrip("0123456789")
    text = to[len(stem) :] + "".join(
        str(n) for n in (tx.amount, tx.fee, tx.nonce, tx.gas_price, tx.gas_limit)
    )
    others = {
        "UPDATE_VALIDATOR": 30_000,
        "DELEGATE": 35_000,
        "UNDELEGATE": 35_000,
        "UNJAIL": 50_000,
    }
    base = {"TRANSFER": 21_000, "SUBMIT_RESULT": 80_000, **others}.get(tx.tx_type.value, 40_000)

    def cut(at: int, count: int) -> Iterator[list[int]]:
        if count == 1:
            last = text[at:]
            if last and (last == "0" or last[0] != "0"):
                yield [int(last)]
            return
        for end in range(at + 1, len(text) if text[at] != "0" else at + 2):
            if end >= len(text):
                break
            for rest in cut(end, count - 1):
                yield [int(text[at:end]), *rest]

    for start in range(len(text) - 4):
        receiver = stem + text[:start]
        for amount, fee, nonce, price, limit in cut(start, 5):
            same = (amount, fee, nonce, price, limit) == (
                tx.amount,
                tx.fee,
                tx.nonce,
                tx.gas_price,
                tx.gas_limit,
            )
            if same and receiver == to:
                continue
            if price < min_gas_price or limit < base or fee < base * price:
                continue
            if not first_unspent <= nonce <= last_nonce:
                continue
            yield receiver, amount, fee, nonce, price, limit


def as_tuples(readings: list[Transaction]) -> set[tuple[str, int, int, int, int, int]]:
    return {
        (r.to_address or "", r.amount, r.fee, r.nonce, r.gas_price, r.gas_limit) for r in readings
    }


def found_in(
    tx: Transaction, first_unspent: int, least: int
) -> list[tuple[str, int, int, int, int, int]]:
    return list(brute_force(tx, first_unspent, least, last_nonce=tx.nonce + 10**12))


def harmful(
    tx: Transaction, first_unspent: int, least: int
) -> list[tuple[str, int, int, int, int, int]]:
    """What comes on top, costs more, or goes elsewhere and is more than dust."""

    def moves_too_much(to: str, amount: int) -> bool:
        if tx.tx_type is not TxType.TRANSFER or to == tx.to_address:
            return amount > tx.amount
        return amount > tx.base_gas * tx.gas_price

    return [
        reading
        for reading in found_in(tx, first_unspent, least)
        if reading[3] != tx.nonce
        or moves_too_much(reading[0], reading[1])
        or reading[4] > tx.gas_price
    ]


LETTERS, DIGITS = (
    [
        made.address
        for made in (PrivateKey(bytes([n]) * 32) for n in range(1, 100))
        if made.address[-1].isdigit() is ends_in_a_digit
    ]
    for ends_in_a_digit in (False, True)
)


class TestTheAttack:
    """The example of NODE.md: amount 5 CPC at nonce 3, and fifty at nonce 31."""

    def test_one_signature_fits_both(self, draft: Draft, key: PrivateKey) -> None:
        fields = {"amount": 5 * 10**18, "fee": 252 * 10**12, "nonce": 3, "gas_price": GPRICE}
        signed = draft("TRANSFER", **fields).signed_by(key)
        forged = signed.model_copy(
            update={
                "amount": 50_000_000_000_000_000_002,
                "fee": 52 * 10**12,
                "nonce": 31,
                "gas_price": 2 * 10**9,
            }
        )
        assert forged.signature_fits()
        assert forged.hash() == signed.hash()
        found = colliding_transactions(signed, first_unspent=4, min_gas_price=LEAST)
        assert forged in found
        assert all(reading.signature_fits() for reading in found)
        assert forged not in colliding_transactions(signed, first_unspent=32, min_gas_price=LEAST)

    def test_no_fee_mends_it_and_the_advice_does(self, draft: Draft, key: PrivateKey) -> None:
        unsigned = draft("TRANSFER", amount=5 * 10**18, nonce=3, gas_price=GPRICE)
        with pytest.raises(AmbiguousTransaction, match="no fee") as caught:
            sign_safely(unsigned, key, first_unspent=3, min_gas_price=LEAST)
        assert "--gas-price 20000000000" in caught.value.advice
        assert not caught.value.waiting_helps
        better = unsigned.model_copy(update={"gas_price": 2 * 10**10})
        signed = sign_safely(better, key, first_unspent=3, min_gas_price=LEAST)
        assert signed.signature_fits()
        assert not harmful(signed, 3, LEAST)

    def test_a_larger_fee_closes_it(self, draft: Draft, keys: list[PrivateKey]) -> None:
        """A receiver whose address ends in a digit: 1 CPC could be a fee, and the fee a nonce."""
        unsigned = draft("TRANSFER", to_address=DIGITS[0], nonce=7)
        least = 21_000_000
        plain = unsigned.model_copy(update={"fee": least}).signed_by(keys[0])
        assert [one for one in found_in(plain, 7, 1000) if one[3] != 7]
        limits = {"first_unspent": 7, "min_gas_price": 1000, "accept_burn": 10**30}
        signed = sign_safely(unsigned, keys[0], **limits)
        assert signed.fee > least
        assert not [one for one in found_in(signed, 7, 1000) if one[3] != 7]


class TestWhatIsNotProven:
    """A node says a huge nonce; nothing below is proven to be spent."""

    @pytest.mark.parametrize("price", [1_000, 5_000, 10**9])
    def test_a_result_at_a_made_up_nonce_is_not_signed(
        self, price: int, draft: Draft, key: PrivateKey
    ) -> None:
        dearer = 0
        for nonce in (31, 4711, 10**9 + 7, 2**63 - 1):
            unsigned = draft(nonce=nonce, gas_price=price, fee=80_000 * price)
            readings = colliding_transactions(unsigned, first_unspent=0, min_gas_price=price)
            dearer += any(r.gas_price > price for r in readings)
            with pytest.raises(AmbiguousTransaction) as caught:
                sign_safely(unsigned, key, first_unspent=0, min_gas_price=price)
            assert caught.value.waiting_helps
        assert dearer

    def test_only_a_new_account_has_to_wait(self, draft: Draft, key: PrivateKey) -> None:
        for proven in (10, 11, 35, 36, 99, 100, 4711):
            for nonce in range(proven, proven + 65):
                sign_safely(draft(nonce=nonce), key, first_unspent=proven, min_gas_price=1000)
        for proven in range(10):
            for nonce in range(10):
                if nonce >= proven:
                    sign_safely(draft(nonce=nonce), key, first_unspent=proven, min_gas_price=1000)


class TestAReceiverWhoseAddressEndsInADigit:
    """1 CPC to cpc1...5 is also 51 CPC to cpc1..., for any amount, price and fee."""

    LIMITS = {"first_unspent": 0, "min_gas_price": 1000}  # noqa: RUF012

    @pytest.mark.parametrize("balance", [None, 10**30])
    def test_is_not_paid_unless_so_much_may_burn(
        self, balance: int | None, draft: Draft, key: PrivateKey
    ) -> None:
        for address in DIGITS:
            unsigned = draft("TRANSFER", to_address=address)
            limits = self.LIMITS | {"balance": balance}
            lost = int(address[len(address.rstrip("0123456789")) :] + str(10**18))
            if lost == 10**18:  # it ends in 0: no number begins with that
                sign_safely(unsigned, key, **limits)
                continue
            with pytest.raises(BurnPossible) as caught:
                sign_safely(unsigned, key, **limits, accept_burn=lost - 1)
            assert caught.value.units == lost
            assert f"burn {format_cpc(lost)} CPC" in str(caught.value)
            assert address in str(caught.value)
            assert f"--accept-burn {format_cpc(lost)}" in caught.value.advice
            assert f"less than {format_cpc(lost // 2)} CPC" in caught.value.advice
            signed = sign_safely(unsigned, key, **limits, accept_burn=lost)
            assert at_stake(signed, min_gas_price=1000) == lost
            assert max(one[1] for one in harmful(signed, 0, 1000)) == lost

    def test_is_paid_where_the_account_could_not_pay_for_that(
        self, draft: Draft, key: PrivateKey
    ) -> None:
        """Twice the balance: who sends the account more, to burn it, loses as much."""
        unsigned = draft("TRANSFER", to_address=DIGITS[0])
        lost = int(DIGITS[0][len(DIGITS[0].rstrip("0123456789")) :] + str(10**18))
        gas = 21_000_000
        signed = sign_safely(unsigned, key, **self.LIMITS, balance=(lost + gas) // 2 - 1)
        assert at_stake(signed, min_gas_price=1000) == lost
        assert at_stake(signed, min_gas_price=1000, balance=(lost + gas) // 2 - 1) == 0
        with pytest.raises(BurnPossible):
            sign_safely(unsigned, key, **self.LIMITS, balance=(lost + gas) // 2)

    @given(
        amount=st.integers(10**12, 10**21),
        fee=st.integers(21_000_000, 10**22),
        price=st.integers(1000, 10**6),
    )
    @settings(max_examples=15, deadline=None)
    def test_no_amount_fee_or_price_helps(
        self, amount: int, fee: int, price: int, draft: Draft
    ) -> None:
        price = min(price, fee // 21_000)
        tx = draft("TRANSFER", to_address=DIGITS[0], amount=amount, fee=fee, gas_price=price)
        assert at_stake(tx, min_gas_price=1000) > 2 * amount

    def test_no_key_made_here_has_such_an_address(self) -> None:
        assert all(PrivateKey.generate().address[-1].isalpha() for _ in range(40))


numbers = st.one_of(
    st.integers(1, 10**21),
    st.builds(lambda digit, zeros: digit * 10**zeros, st.integers(1, 9), st.integers(0, 20)),
    st.builds(lambda head, zeros: head * 10**zeros, st.integers(1, 9999), st.integers(12, 17)),
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, int, int, int, int, int]:
    least = draw(st.sampled_from([1_000, 5_000, 10**9]))
    price = draw(
        st.one_of(
            st.just(least),
            st.integers(1, 9).map(lambda digit: digit * least * 10),
            st.integers(least, 100 * least),
        )
    )
    nonce = draw(st.one_of(st.integers(0, 200), st.integers(0, 10**6)))
    first_unspent = draw(st.one_of(st.just(nonce), st.integers(max(0, nonce - 64), nonce)))
    receiver = PrivateKey(bytes([draw(st.integers(1, 60))]) * 32).address
    return receiver, draw(numbers), price, least, nonce, first_unspent


class TestSignSafely:
    @given(case=cases())
    @settings(max_examples=50, deadline=None)
    def test_leaves_no_reading_that_costs_more_or_goes_elsewhere(
        self, case: tuple[str, int, int, int, int, int], draft: Draft, key: PrivateKey
    ) -> None:
        receiver, amount, price, least, nonce, first_unspent = case
        unsigned = draft(
            "TRANSFER", to_address=receiver, amount=amount, nonce=nonce, gas_price=price
        )
        try:
            signed = sign_safely(unsigned, key, first_unspent=first_unspent, min_gas_price=least)
        except AmbiguousTransaction:
            return
        assert signed.signature_fits()
        assert signed.fee >= 21_000 * price
        assert signed.model_copy(update={"fee": 0, "signature": "", "pub_key": ""}) == unsigned
        assert not harmful(signed, first_unspent, least)

    @given(
        digit=st.integers(1, 9),
        zeros=st.integers(0, 21),
        price=st.integers(1, 9).map(lambda digit: digit * 1000),
        nonce=st.integers(0, 10**6),
        seed=st.integers(1, 254),
    )
    @settings(max_examples=60, deadline=None)
    def test_round_amounts_at_round_prices_are_never_refused(
        self,
        digit: int,
        zeros: int,
        price: int,
        nonce: int,
        seed: int,
        draft: Draft,
        key: PrivateKey,
    ) -> None:
        receiver = LETTERS[seed % len(LETTERS)]
        amount = digit * 10**zeros
        unsigned = draft(
            "TRANSFER", to_address=receiver, amount=amount, nonce=nonce, gas_price=price
        )
        signed = sign_safely(unsigned, key, first_unspent=nonce, min_gas_price=1000)
        assert not harmful(signed, nonce, 1000)
        assert all(one[0] != receiver for one in found_in(signed, nonce, 1000))

    @given(case=cases(), accepted=st.integers(0, 10**22))
    @settings(max_examples=60, deadline=None)
    def test_leaves_no_reading_that_burns_more_than_was_accepted(
        self,
        case: tuple[str, int, int, int, int, int],
        accepted: int,
        draft: Draft,
        key: PrivateKey,
    ) -> None:
        receiver, amount, price, least, nonce, first_unspent = case
        assume(len(one_digit_parts(amount)) <= 6)
        unsigned = draft(
            "TRANSFER", to_address=receiver, amount=amount, nonce=nonce, gas_price=price
        )
        try:
            signed = sign_safely(
                unsigned,
                key,
                first_unspent=first_unspent,
                min_gas_price=least,
                accept_burn=accepted,
            )
        except AmbiguousTransaction:
            return
        for to, its_amount, _, its_nonce, its_price, _ in found_in(signed, first_unspent, least):
            assert its_nonce == nonce
            assert 21_000 * (its_price - price) <= accepted
            if to == receiver:
                assert its_amount - amount <= accepted
            else:
                assert its_amount <= max(accepted, 21_000 * price)

    @given(
        digits=st.text("0123456789", min_size=1, max_size=18),
        fee=st.integers(21_000_000, 10**14),
        nonce=st.integers(0, 300),
        price=st.integers(1_000, 10**6),
    )
    @settings(max_examples=20, deadline=None)
    def test_the_list_is_that_of_a_brute_force(
        self, digits: str, fee: int, nonce: int, price: int, draft: Draft, key: PrivateKey
    ) -> None:
        tx = draft("TRANSFER", amount=int(digits), fee=fee, nonce=nonce, gas_price=price)
        found = colliding_transactions(tx, first_unspent=0, min_gas_price=1000)
        assert as_tuples(found) == set(found_in(tx, 0, 1000))
        assert all(reading.signing_text() == tx.signing_text() for reading in found[:50])

    @pytest.mark.parametrize(
        "amount", quick_and_slow(["1", "1.5"], ["99.5", "100", "10", "0.25", "1234.5678"])
    )
    def test_usual_amounts_pass_where_what_their_first_digits_leave_may_burn(
        self, amount: str, draft: Draft, key: PrivateKey
    ) -> None:
        units = parse_cpc(amount)
        rest = units - one_digit_parts(units)[0]
        for receiver in LETTERS[:40]:
            for nonce in (0, 1, 9, 37, 1000):
                unsigned = draft("TRANSFER", to_address=receiver, amount=units, nonce=nonce)
                limits = {"first_unspent": nonce, "min_gas_price": 1000}
                sign_safely(unsigned, key, **limits, accept_burn=rest)
                if rest:
                    with pytest.raises(BurnPossible):
                        sign_safely(unsigned, key, **limits, accept_burn=rest - 1)

    def test_an_amount_of_many_digits_is_refused_with_its_parts(
        self, draft: Draft, key: PrivateKey
    ) -> None:
        """1.5 CPC to cpc1...x is also 0.5 CPC to cpc1...x1, which goes nowhere."""
        with pytest.raises(BurnPossible) as caught:
            sign_safely(
                draft("TRANSFER", amount=15 * 10**17), key, first_unspent=0, min_gas_price=1000
            )
        assert caught.value.units == 5 * 10**17
        assert "1 + 0.5 CPC" in caught.value.advice

    @pytest.mark.parametrize("kind", ["STAKE", "UNSTAKE", "DELEGATE", "UNDELEGATE"])
    def test_stakes_of_any_amount_pass(self, kind: str, draft: Draft, key: PrivateKey) -> None:
        """The payload says where they go, and a reading may move less only."""
        for units in (1234 * 10**17, 150 * 10**18):
            unsigned = draft(kind, amount=units)
            signed = sign_safely(unsigned, key, first_unspent=0, min_gas_price=1000)
            assert not harmful(signed, 0, 1000)

    @pytest.mark.parametrize("price", [1_000, 5_000, 10**9, 2 * 10**9])
    def test_results_need_no_change_of_fee(self, price: int, draft: Draft, key: PrivateKey) -> None:
        for nonce in [*range(300), *range(300, 10**6, 9973)]:
            tx = draft(nonce=nonce, gas_price=price, fee=80_000 * price)
            least = min(price, LEAST)
            found = colliding_transactions(tx, first_unspent=nonce, min_gas_price=least)
            assert all(one.nonce == nonce for one in found)
            assert not at_stake(tx, min_gas_price=least)

    def test_a_lower_nonce_that_is_not_spent_yet_is_waited_for(
        self, draft: Draft, key: PrivateKey
    ) -> None:
        """Nonce 12 reads as nonce 2 with a larger fee, and no fee can change that."""
        with pytest.raises(AmbiguousTransaction) as caught:
            sign_safely(draft(nonce=12), key, first_unspent=0, min_gas_price=1000)
        assert caught.value.waiting_helps
        assert caught.value.advice.startswith("Wait")
        assert (
            sign_safely(draft(nonce=12), key, first_unspent=3, min_gas_price=1000).fee == 8 * 10**7
        )

    def test_the_fee_stays_within_the_balance(self, draft: Draft, key: PrivateKey) -> None:
        unsigned = draft("TRANSFER", to_address=DIGITS[0], nonce=7)
        limits = {"first_unspent": 7, "min_gas_price": 1000, "accept_burn": 10**30}
        needed = sign_safely(unsigned, key, **limits).fee
        signed = sign_safely(unsigned, key, **limits, spendable=10**18 + needed)
        assert signed.fee == needed
        with pytest.raises(AmbiguousTransaction) as caught:
            sign_safely(unsigned, key, **limits, spendable=10**18 + needed - 1)
        assert caught.value.advice


class TestWhatIsNeverSigned:
    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"from_address": "cpc1s8lysj5eghas7fgarxmta5g5d7223d7pgr7tdw"}, "not the address"),
            ({"gas_limit": 79_999}, "gas limit"),
            ({"gas_price": 999}, "gas price"),
            ({"nonce": 4}, "spent"),
            ({"nonce": 10**40}, "larger"),
            ({"amount": 1}, "no money"),
            ({"to_address": "cpc1s8lysj5eghas7fgarxmta5g5d7223d7pgr7tdw"}, "no money"),
            ({"payload": {}}, "ComputeResult"),
        ],
    )
    def test_drafts(
        self, fields: dict[str, object], words: str, draft: Draft, key: PrivateKey
    ) -> None:
        with pytest.raises(InvalidTransaction, match=words):
            sign_safely(draft(**{"nonce": 5} | fields), key, first_unspent=5, min_gas_price=1000)

    @pytest.mark.parametrize(
        "fields",
        [
            {"task_id": "550E8400-E29B-41D4-A716-446655440000"},
            {"task_id": "550e8400e29b41d4a716446655440000"},
            {"task_id": "550e8400-e29b-41d4-a716-446655440000\n"},
            {"task_id": "x"},
            {"result_hash": "0x" + "ab" * 32},
            {"result_hash": "AB" * 32},
            {"result_hash": "ab" * 31},
            {"proof": "abc"},
            {"proof": "zz"},
            {"signature": "{"},
            {"worker_address": "cpc1s8lysj5eghas7fgarxmta5g5d7223d7pgr7tdw"},
            {"nonce": -1},
            {"more": "1{"},
        ],
    )
    def test_results(self, fields: dict[str, object], draft: Draft, key: PrivateKey) -> None:
        unsigned = draft()
        wrong = unsigned.model_copy(update={"payload": unsigned.payload | fields})
        with pytest.raises(InvalidTransaction):
            sign_safely(wrong, key, first_unspent=0, min_gas_price=1000)

    def test_transfers(self, draft: Draft, key: PrivateKey) -> None:
        def sign(**fields: object) -> None:
            sign_safely(draft("TRANSFER", **fields), key, first_unspent=0, min_gas_price=1000)

        with pytest.raises(InvalidAddress):
            sign(to_address="cpc1nobody")
        for fields in ({"to_address": None}, {"amount": 0}, {"payload": {"memo": "9{"}}):
            with pytest.raises(InvalidTransaction):
                sign(**fields)

    def test_what_validators_send_has_a_flat_payload(self, draft: Draft, key: PrivateKey) -> None:
        def sign(**payload: object) -> Transaction:
            unsigned = draft("UPDATE_VALIDATOR", amount=0, payload=payload)
            return sign_safely(unsigned, key, first_unspent=0, min_gas_price=1000)

        signed = sign(pub_key=key.public_key, name="X")
        assert signed.signature_fits()
        assert not found_in(signed.model_copy(update={"payload": {}}), 0, 1000)
        for name in ({"more": 1}, "9{"):
            with pytest.raises(InvalidTransaction, match="printable text without"):
                sign(pub_key=key.public_key, name=name)
        to_validator = draft("DELEGATE", amount=100 * 10**18)
        assert sign_safely(to_validator, key, first_unspent=0, min_gas_price=1000).signature_fits()
        with pytest.raises(InvalidTransaction, match="no to_address"):
            sign_safely(
                to_validator.model_copy(update={"to_address": key.address}),
                key,
                first_unspent=0,
                min_gas_price=1000,
            )

    @pytest.mark.parametrize("kind", ["STAKE", "UNSTAKE"])
    def test_the_other_kinds_are_signed(self, kind: str, draft: Draft, key: PrivateKey) -> None:
        signed = sign_safely(
            draft(kind, nonce=20, amount=10**18), key, first_unspent=20, min_gas_price=1000
        )
        assert signed.signature_fits()
        assert signed.fee >= BASE_GAS[TxType(kind)] * 1000
        assert not harmful(signed, 20, 1000)


@given(st.integers(0, 10**30))
def test_parts_add_up(amount: int) -> None:
    parts = one_digit_parts(amount)
    assert sum(parts) == amount
    assert all(str(part).strip("0") in set("123456789") for part in parts)


@pytest.mark.parametrize("kind", ["TRANSFER", "STAKE", "UNSTAKE", "DELEGATE", "UNDELEGATE"])
@pytest.mark.parametrize(
    "units", [164_13 * 10**16, 553_48 * 10**17, 383_1356 * 10**18, 8_753_061 * 10**18]
)
def test_no_reading_in_its_place_burns_more(
    kind: str, units: int, draft: Draft, key: PrivateKey
) -> None:
    """8,753,061 CPC to unstake were also 87 units at a price that burns 800 CPC: the sum is less."""
    for price in (1000, 1234, 5000, 10**9):
        unsigned = draft(kind, nonce=0, amount=units, gas_price=price)
        limits = {"first_unspent": 0, "min_gas_price": 1000, "spendable": units + 10**20}
        # The payload says whom a stake is for; where a transfer goes is the other tests' matter.
        accepted = units - one_digit_parts(units)[0] if kind == "TRANSFER" else 0
        signed = sign_safely(unsigned, key, **limits, accept_burn=accepted)
        readings = colliding_transactions(signed, first_unspent=0, min_gas_price=1000)
        assert all(one.amount - units <= accepted for one in readings)
        assert all(one.base_gas * (one.gas_price - price) <= accepted for one in readings)
