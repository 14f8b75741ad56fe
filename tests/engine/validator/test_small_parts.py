"""Reputation, assignment and rate limits, each by itself."""

import asyncio
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.poc_protocol import frames as frames_of_the_wire
from engine.poc_protocol.constants import CHUNK_BYTES
from engine.poc_protocol.decoder import Decoder, Refusal
from engine.poc_protocol.frames import FROM_VALIDATOR, BlobChunk, Challenge
from engine.poc_protocol.held_bytes import HeldBytes
from engine.poc_protocol.outbox import TOGETHER_BYTES, Outbox
from engine.poc_protocol.rate_limit import RateLimiter, TokenBucket
from engine.poc_protocol.urls import check_validator_url
from engine.runtime.database import lock_file
from engine.runtime.errors import BadInput
from engine.validator.market.matching import Candidate, Need, can_do, choose
from engine.validator.options import ServeOptions
from engine.validator.seats import Seats
from engine.validator.service import OUTBOX_BYTES, OUTBOX_FRAMES
from engine.validator.store.database import Store
from engine.validator.store.reputation import Reputation
from engine.validator.store.requirements import Requirements
from engine.validator.turns import LineFull, Turns
from tests.engine.validator.arena import CAPABILITIES, Clock

WEEK = 7 * 86_400.0
deeds = st.floats(0, 100, allow_nan=False)


@given(good=deeds, bad=deeds, later=st.floats(0, 1e9))
def test_a_score_fades_towards_a_half_and_never_past_it(good, bad, later):
    standing = Reputation().after(now=0.0, half_life=WEEK, good=good, bad=bad)
    now, then = standing.score(0.0, half_life=WEEK), standing.score(later, half_life=WEEK)
    assert 0 < now < 1
    assert abs(then - 0.5) <= abs(now - 0.5) + 1e-12
    assert (then - 0.5) * (now - 0.5) >= -1e-12


def test_a_bad_name_recovers_by_waiting_and_faster_by_working():
    bad = Reputation().after(now=0.0, half_life=WEEK, bad=10)
    assert bad.score(0.0, half_life=WEEK) < 0.1
    assert bad.score(5 * WEEK, half_life=WEEK) > 0.4
    working = bad
    for day in range(7):
        working = working.after(now=day * 86_400.0, half_life=WEEK, good=5)
    assert working.score(WEEK, half_life=WEEK) > 0.7


def test_a_clock_that_is_set_back_makes_no_deed_young_again():
    standing = Reputation().after(now=10 * WEEK, half_life=WEEK, bad=8)
    assert standing.after(now=0.0, half_life=WEEK).bad == 8
    assert standing.score(0.0, half_life=WEEK) == standing.score(10 * WEEK, half_life=WEEK)


def candidate(connection=1, busy=0, score=0.5, rate=None, **able):
    return Candidate(connection, structs.replace(CAPABILITIES, **able), busy, score, rate)


def test_who_is_likely_to_be_late_is_not_asked():
    need = Need(Requirements("synthetic", 10**9, 0, matrix_size=1000, iterations=1), seconds=10)
    assert can_do(need, candidate(rate=None))
    assert can_do(need, candidate(rate=2.1e8))
    assert not can_do(need, candidate(rate=1.9e8))
    assert can_do(replace(need, slowest_rate=2.1e8), candidate(rate=1.0))
    assert not can_do(need, candidate(busy=2))
    assert not can_do(need, candidate(iterations=0))


def test_the_best_name_wins_and_equals_draw_lots():
    need, chance = Need(Requirements("synthetic", 1, 0)), random.Random(3)
    some = [candidate(1, score=0.9), candidate(2, score=0.85), candidate(3, score=0.5)]
    chosen = {choose(need, some, chance).connection for _ in range(50)}
    assert chosen == {1, 2}
    assert choose(need, [candidate(kinds=())], chance) is None


def test_a_rate_limiter_lets_a_burst_through_and_then_its_rate():
    clock = Clock(0.0)
    limiter = RateLimiter(rate=2.0, burst=4, clock=clock)
    assert [limiter.take("a") for _ in range(4)] == [0.0] * 4
    assert limiter.take("a") == pytest.approx(0.5)
    assert limiter.take("b") == 0.0
    clock.now += 0.5
    assert limiter.take("a") == 0.0
    assert limiter.take("a") > 0


def new_outbox():
    return Outbox(frames=OUTBOX_FRAMES, size=OUTBOX_BYTES)


def chunk(size):
    return BlobChunk(job_id="j", sha256="ab" * 32, offset=0, data="A" * size)


def test_what_waits_for_a_worker_is_bounded_in_bytes_and_what_it_has_read_is_not_counted():
    async def run():
        outbox, part = new_outbox(), chunk(4 * CHUNK_BYTES // 3)
        sent: list[str] = []

        async def send(texts):
            sent.extend(texts)

        running = asyncio.create_task(outbox.run(send))
        for count in range(OUTBOX_FRAMES):
            outbox.put(part)
            while len(sent) == count:
                await asyncio.sleep(0)
        for _ in range(OUTBOX_FRAMES):
            outbox.put(part)
        reason = await running
        size = sum(len(text) for text in sent[OUTBOX_FRAMES:])
        assert OUTBOX_BYTES - len(part.data) - 1000 < size <= OUTBOX_BYTES
        assert reason == "it does not read what it is sent"

    asyncio.run(run())


def test_what_waits_together_is_sent_together_and_in_order():
    async def run():
        outbox, writes = new_outbox(), []
        frames = [chunk(1), chunk(2), chunk(TOGETHER_BYTES), chunk(3)]

        async def send(texts):
            writes.append(texts)

        for frame in frames:
            outbox.put(frame)
        outbox.close("over")
        assert await outbox.run(send) == "over"
        assert [len(texts) for texts in writes] == [3, 1]
        assert [text for texts in writes for text in texts] == [
            frames_of_the_wire.encode(frame) for frame in frames
        ]

    asyncio.run(run())


def test_what_waits_for_a_worker_is_bounded_in_frames():
    outbox = new_outbox()
    for _ in range(OUTBOX_FRAMES):
        outbox.put(chunk(1))
    assert not outbox.reason
    outbox.put(chunk(1))
    assert outbox.reason


def test_the_store_are_for_their_owners_eyes(tmp_path):
    path = tmp_path / "made" / "validator.sqlite"
    store = Store.open(path)
    store.customers.add("alice")
    try:
        assert path.parent.stat().st_mode & 0o077 == 0
        files = list(path.parent.iterdir())
        assert len(files) == 3  # with the log and its index
        assert all(file.stat().st_mode & 0o077 == 0 for file in files)
    finally:
        store.close()
    with lock_file(tmp_path / "first" / "x.lock", "", ""):
        assert (tmp_path / "first").stat().st_mode & 0o077 == 0


def test_what_strangers_hold_is_bounded_and_the_oldest_of_the_busiest_address_goes():
    held, gone = HeldBytes(100), []

    def hold(holder, address, size):
        held.set(holder, address, size, lambda: gone.append(holder))

    hold("a1", "a", 40)
    hold("b", "b", 30)
    hold("a2", "a", 20)
    hold("b", "b", 40)
    assert (gone, held.total) == ([], 100)
    hold("c", "c", 1)
    assert (gone, held.total) == (["a1"], 61)
    hold("c", "c", 0)
    assert held.total == 60
    hold("d", "d", 101)
    assert gone == ["a1", "d"]
    assert held.total == 60


def test_a_newcomer_gets_the_place_of_a_stranger_that_says_nothing():
    seats, told = Seats(4, 3), []

    def enter(name, address):
        seat = seats.enter(address)
        if seat is not None:
            seat.leave = lambda _why: told.append(name)
        return seat

    first, second, third = (enter(n, "a") for n in ("first", "second", "third"))
    first.used()
    second.greeted = True
    assert enter("fourth", "a") is not None
    assert told == ["third"]
    enter("b", "b").greeted = True
    assert enter("c", "c") is not None
    assert told == ["third", "first"]
    third.greeted = True
    seats.free(second)
    assert enter("d", "d") is not None


def test_a_full_house_of_workers_that_signed_a_hello_takes_nobody():
    seats = Seats(2, 2)
    for _ in range(2):
        seats.enter("a").greeted = True
    assert seats.enter("b") is None


def test_one_customers_pieces_of_work_wait_in_its_own_line():
    async def run():
        turns, order = Turns(waiting=8, each=3), []
        with turns:
            work = [turns.run("a", order.append, f"a{n}") for n in range(3)]
            tasks = [asyncio.create_task(one) for one in (*work, turns.run("b", order.append, "b"))]
            await asyncio.sleep(0)
            with pytest.raises(LineFull):
                await turns.run("a", order.append, "a3")
            await asyncio.gather(*tasks)
        assert order.index("b") < order.index("a2")
        assert [one for one in order if one != "b"] == ["a0", "a1", "a2"]

    asyncio.run(run())


@given(st.floats(0, 1e6), st.floats(1, 1e6))
def test_more_than_the_burst_is_paid_off_afterwards(count, burst):
    clock = Clock(0.0)
    bucket = TokenBucket(rate=1.0, burst=burst, clock=clock)
    assert bucket.take(count) == 0
    assert bucket.take(0) == pytest.approx(max(0.0, count - burst))


@pytest.mark.parametrize("chain_id", ["", "a b", "\x1b[2J", "x" * 51])
def test_a_chains_name_has_a_pattern_and_a_length(chain_id):
    with pytest.raises(BadInput, match="--chain-id"):
        ServeOptions(chain_id=chain_id).check()
    challenge = frames_of_the_wire.encode(Challenge(protocol=1, chain_id=chain_id, nonce="ab" * 32))
    assert isinstance(Decoder(FROM_VALIDATOR).decode(challenge), Refusal)


@pytest.mark.parametrize(
    "url", ["wss://bob:secret@host/worker", "wss://bob:secret@host:x/worker", "ftp://b:secret@h"]
)
def test_a_password_in_a_validators_url_is_not_shown(url):
    with pytest.raises(BadInput) as refused:
        check_validator_url(url)
    assert "secret" not in str(refused.value)
    assert "@h" in str(refused.value)


def test_who_holds_the_model_comes_first_among_equals_while_it_has_room():
    need, chance = Need(Requirements("synthetic", 1, 0, model="ab")), random.Random(3)

    def drawn(*others, **holder):
        held = structs.replace(candidate(1, **holder), models=frozenset({"ab", "cd"}))
        return {choose(need, [held, *others], chance).connection for _ in range(50)}

    assert drawn(candidate(2)) == {1}
    assert drawn(candidate(2), jobs=128, busy=1) == {1}
    assert drawn(candidate(2), jobs=128, busy=2, rate=1e9) == {1, 2}
    assert drawn(candidate(2, score=0.9)) == {2}
    assert drawn(candidate(2), kinds=()) == {2}
