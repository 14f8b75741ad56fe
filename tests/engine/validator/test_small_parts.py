"""Reputation, assignment and rate limits, each by itself."""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.poc_protocol.constants import CHUNK_BYTES
from engine.poc_protocol.frames import BlobChunk
from engine.poc_protocol.outbox import Outbox
from engine.poc_protocol.rate_limit import RateLimiter
from engine.runtime.database import lock_file
from engine.validator.market.matching import Candidate, Need, can_do, choose
from engine.validator.service import OUTBOX_BYTES, OUTBOX_FRAMES
from engine.validator.store.database import Store
from engine.validator.store.reputation import Reputation
from engine.validator.store.requirements import Requirements
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
    return Candidate(connection, CAPABILITIES.model_copy(update=able), busy, score, rate)


def test_who_is_likely_to_be_late_is_not_asked():
    need = Need(Requirements("synthetic", 10**9, 0, matrix_size=1000, iterations=1), seconds=10)
    assert can_do(need, candidate(rate=None))
    assert can_do(need, candidate(rate=2.1e8))
    assert not can_do(need, candidate(rate=1.9e8))
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

        async def send(text):
            sent.append(text)

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
