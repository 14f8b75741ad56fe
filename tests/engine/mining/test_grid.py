"""The block grid against a simulated chain: few looks, little delay."""

import random

import pytest

from engine.mining.grid import BlockGrid


def simulate(block_time, believed, jitter=0.0, blocks=200, latency=0.002, count_missed=False):
    """Mean delay from arrival to sight over the last half, looks a block, blocks never the tip."""
    rng = random.Random(5)
    grid = BlockGrid(believed)
    arrivals = [h * block_time + rng.uniform(0, jitter) for h in range(1, blocks + 1)]
    now, height, looks, delays, missed = 0.0, 0, 0, [], 0
    while height < blocks:
        now += grid.wait(now)
        now += latency
        looks += 1
        tip = sum(arrival <= now for arrival in arrivals)
        if tip > height:
            missed += tip - height - 1
            height = tip
            delays.append(now - arrivals[tip - 1])
            grid.seen(height, now)
    half = delays[len(delays) // 2 :]
    found = sum(half) / len(half), looks / blocks
    return (*found, missed) if count_missed else found


@pytest.mark.parametrize("block_time", [0.2, 1.0, 5.0, 60.0])
def test_blocks_are_seen_soon_and_asked_for_seldom(block_time):
    delay, looks = simulate(block_time, block_time)
    assert delay < 0.06 * block_time + 0.02
    assert looks < 4


@pytest.mark.parametrize("block_time", [0.25, 1.0, 20.0])
def test_a_wrong_belief_loses_no_block(block_time):
    delay, looks, missed = simulate(block_time, 5.0, count_missed=True)
    assert delay < 0.06 * block_time + 0.02
    assert looks < 6
    assert missed == 0


def test_jitter_is_borne():
    delay, looks = simulate(5.0, 5.0, jitter=0.5)
    assert delay < 0.4
    assert looks < 8


def test_the_block_time_is_measured_from_time_stamps():
    grid = BlockGrid(5.0)
    grid.measure(height=1000, timestamp=2000, earlier_height=936, earlier=1936)
    assert grid.block_time == pytest.approx(1.0)
    grid = BlockGrid(5.0)
    grid.measure(height=1000, timestamp=2000, earlier_height=936, earlier=2000 - 12)
    assert grid.block_time == pytest.approx(12 / 64)
    grid = BlockGrid(5.0)
    grid.measure(height=64, timestamp=320, earlier_height=1, earlier=5)
    assert grid.block_time == 5.0


def test_a_stalled_chain_is_asked_ever_less_often():
    grid = BlockGrid(1.0)
    grid.seen(1, 0.0)
    grid.seen(2, 1.0)
    grid.seen(3, 2.0)
    now, looks = 0.0, 0
    while now < 600.0:
        now += grid.wait(now)
        looks += 1
    assert looks < 400
