"""The block grid against simulated chains, with a simulated clock: soon seen, seldom asked for."""

import random
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.mining.grid import BlockGrid
from node_client.block import EMPTY_TX_ROOT, BlockHeader
from tests.conftest import load_vectors

SOON = 0.15
FEW = 4
SERIES = load_vectors("late_rounds")
LATE_ROUNDS = st.sampled_from([0] * 18 + [1, 3])


@dataclass
class Served:
    """A block's header, and when the node has it, in our clock."""

    header: BlockHeader
    at: float


def header(height, timestamp, round_=0):
    return BlockHeader(
        height=height,
        prev_hash="",
        timestamp=int(timestamp),
        chain_id="cpc",
        proposer_address="",
        round=round_,
        tx_root=EMPTY_TX_ROOT,
        state_root="",
        compute_root="",
        gas_used=0,
        gas_limit=0,
    )


def recorded(series, block_time, offset, jitter, seed):
    """The series at that block time: each block at its time stamp, or a second after the last."""
    rng = random.Random(seed)
    start, scale = series[0]["timestamp"], block_time / 5
    blocks, at = [], 0.0
    for each in series:
        stamp = start + (each["timestamp"] - start) * scale
        at = max(stamp, at + 1.0)
        head = header(each["height"], stamp, each["round"])
        blocks.append(Served(head, at + offset + rng.uniform(0, jitter)))
    return blocks


def punctual(block_time, blocks, jitter=0.0, start=1_795_000_000.0, drift=0.0):
    """Blocks in time from height 1 on."""
    rng = random.Random(5)
    return [
        Served(
            header(h, start + h * block_time),
            start + h * block_time + rng.uniform(0, jitter) + drift * h,
        )
        for h in range(1, blocks + 1)
    ]


@dataclass
class Seen:
    height: int
    late: float
    requests: int


def watch(chain, believed, began=None, latency=0.002, busy=(0.0, 0.0, 0.0)):
    """What is seen of the chain, block by block, by who begins when the first block is the tip.

    `busy`: from then until then a look takes so much longer.
    """
    grid = BlockGrid(believed)
    now = chain[0].at if began is None else began
    tip, requests, seen = None, 0, []
    while tip is not chain[-1]:
        asked = now
        now += latency + (busy[2] if busy[0] <= now < busy[1] else 0.0)
        newest = [block for block in chain if block.at <= (asked + now) / 2][-1]
        requests += 1
        if newest is tip:
            grid.looked(asked=asked)
        else:
            requests += 1
            grid.seen(newest.header, now=now)
            seen.append(Seen(newest.header.height, now - newest.at, requests))
            tip, requests = newest, 0
        now += grid.wait(now)
    return seen


def judge(seen, count, *, few=FEW):
    """From the third block on soon, in the median with few requests, and no block left out."""
    assert [block.height for block in seen] == list(range(seen[0].height, seen[0].height + count))
    assert [block for block in seen[2:] if block.late > SOON] == []
    assert median(block.requests for block in seen[1:]) <= few


@pytest.mark.parametrize("block_time", [5, 30, 60])
@pytest.mark.parametrize("series", [each["headers"] for each in SERIES])
@given(
    offset=st.floats(-20, 20),
    jitter=st.floats(0, 0.1),
    seed=st.integers(0, 2**32),
    began=st.floats(0, 0.999),
)
@settings(max_examples=25, deadline=None)
def test_the_recorded_late_rounds(series, block_time, offset, jitter, seed, began):
    """In the last series nearly half of the blocks are late: there the others must cost no more."""
    chain = recorded(series, block_time, offset, jitter, seed)
    first, second = chain[0].at, chain[1].at
    seen = watch(chain, block_time, first + began * (second - first))
    judge(seen, len(chain), few=FEW if jitter <= 0.05 else FEW + 1)


@given(
    rounds=st.lists(LATE_ROUNDS, min_size=60, max_size=60),
    block_time=st.sampled_from([5, 30, 60]),
    jitter=st.floats(0, 0.1),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=40, deadline=None)
def test_any_late_rounds(rounds, block_time, jitter, seed):
    """A proposer is late by so many rounds; the chain catches up until it is on its grid again."""
    stamp, series = 1_795_000_000, []
    for place, late in enumerate([0, 0, 0, 0, *rounds]):
        slot = 1_795_000_000 + place * 5
        round_ = max(late, (stamp - slot) // 5, 0)
        stamp = slot + 5 * round_
        series.append({"height": 90 + place, "timestamp": stamp, "round": round_})
    chain = recorded(series, block_time, 0.0, jitter, seed)
    seen = watch(chain, block_time)
    judge(seen, len(chain))


@pytest.mark.parametrize("block_time", [0.25, 1.0, 5.0, 30.0, 60.0])
def test_blocks_in_time_are_seen_at_once_and_asked_for_seldom(block_time):
    seen = watch(punctual(block_time, 200), block_time)
    assert len(seen) == 200
    assert max(block.late for block in seen[6:]) < min(0.06, 0.1 * block_time)
    assert sum(block.requests for block in seen[6:]) / len(seen[6:]) <= 3.5


@pytest.mark.parametrize("block_time", [0.25, 1.0, 20.0])
def test_a_wrong_belief_loses_no_block(block_time):
    seen = watch(punctual(block_time, 200), 5.0)
    judge(seen, 200)
    assert max(block.late for block in seen[8:]) < SOON / 2


def test_more_jitter_than_a_look_bridges():
    seen = watch(punctual(5.0, 400, jitter=0.5), 5.0)
    assert sum(block.late for block in seen[8:]) / len(seen[8:]) < 0.1
    assert sum(block.requests for block in seen[8:]) / len(seen[8:]) < 8


@pytest.mark.parametrize("block_time", [0.05, 0.25, 1.0])
def test_whoever_misses_blocks_on_a_busy_machine_is_back_soon_after(block_time):
    chain = punctual(block_time, 1200)
    begins, ends = chain[200].at, chain[200].at + 60 * block_time
    seen = watch(chain, 5.0, busy=(begins, ends, 1.7 * block_time))
    after = [block.height for block in seen if block.height > 300]
    assert len(after) >= 0.95 * (1200 - 300)


@pytest.mark.parametrize("drift", [2e-3, -2e-3])
def test_clocks_that_drift_apart(drift):
    """Four times as much as a bad quartz."""
    seen = watch(punctual(10.0, 400, drift=drift), 10.0)
    judge(seen, 400)


@pytest.mark.parametrize("leap", [1.0, -1.0, 2.5, -2.5])
def test_a_node_whose_clock_is_set(leap):
    """Its grid is another from then on; that is found within four blocks."""
    chain = punctual(5.0, 60)
    for block in chain[30:]:
        block.at += leap
    seen = watch(chain, 5.0)
    assert len(seen) == 60
    assert [block for block in seen[34:] if block.late > SOON] == []


def test_the_block_time_is_the_networks_until_stamps_contradict():
    for seconds, measured in ((320, 5.0), (64, 1.0), (12, 12 / 64), (321, 5.0)):
        grid = BlockGrid(5.0)
        grid.know(header(936, 1000))
        grid.know(header(1000, 1000 + seconds))
        assert grid.block_time == pytest.approx(measured)


@given(
    lies=st.lists(
        st.tuples(st.integers(-50, 100_000), st.integers(0, 2**62), st.sampled_from([0, 0, 3])),
        max_size=4,
    ),
    before=st.integers(0, 10),
    block_time=st.sampled_from([5, 60]),
)
@settings(max_examples=100, deadline=None)
def test_what_a_lying_node_teaches_is_bounded_and_soon_forgotten(lies, before, block_time):
    grid = BlockGrid(block_time)

    def see(height, stamp, round_, now):
        grid.looked(asked=now - 0.01)
        grid.seen(header(height, stamp, round_), now=now)
        assert 0 < grid.wait(now) <= 5 * block_time

    for height in range(100, 100 + before):
        see(height, height * block_time, 0, height * block_time)
    tip = 100 + before
    for ahead, stamp, round_ in lies:
        see(tip + ahead, stamp, round_, tip * block_time)
    for height in range(tip, tip + 5):
        see(height, height * block_time, 0, height * block_time)
    assert grid.block_time == block_time


def test_late_rounds_teach_no_block_time():
    for series in SERIES:
        grid = BlockGrid(5.0)
        for place, (before, head) in enumerate(pairwise(series["headers"])):
            late = header(head["height"], head["timestamp"], head["round"])
            grid.seen(late, now=5.0 * place + 0.01)
            assert grid.block_time == 5.0, (before, head)


def test_a_chain_that_stands_still_is_asked_ever_less_often():
    grid = BlockGrid(1.0)
    for height in (1, 2, 3):
        grid.looked(asked=height - 0.01)
        grid.seen(header(height, height), now=float(height))
    now, looks = 3.0, 0
    while now < 603.0:
        now += grid.wait(now)
        grid.looked(asked=now)
        looks += 1
    assert looks < 900
    assert grid.wait(now) == pytest.approx(2.0)
