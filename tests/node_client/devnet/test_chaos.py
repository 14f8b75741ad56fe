"""Faults at random: the same for the same seed, and never deeper than a final result lies."""

import itertools
import time

import pytest

from node_client.devnet import DevnetServer
from node_client.devnet.chaos import DEEPEST, KINDS, Chaos, plan
from node_client.errors import InvalidData
from tests.processes import PATIENCE_SECONDS


def test_a_seed_gives_the_same_plan_with_every_kind_in_each_round():
    first, again, other = (list(itertools.islice(plan(seed, 2.0), 60)) for seed in (1, 1, 2))
    assert first == again != other
    for start in range(0, 60, len(KINDS)):
        assert {fault.kind for _, fault in first[start : start + len(KINDS)]} == set(KINDS)
    assert {fault.blocks for _, fault in first if fault.kind == "roll_back"} <= set(range(1, 7))
    assert all(1.0 <= pause <= 3.0 for pause, _ in first)


def test_chaos_strikes_and_leaves_an_honest_devnet_behind():
    told = []
    with DevnetServer(block_time=0.02) as devnet:
        chaos = Chaos(
            devnet.chain,
            devnet.faults,
            seed=3,
            every=0.02,
            kinds=["roll_back", "forget"],
            tell=told.append,
        )
        highest = 0
        with chaos:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while len(told) < 20:
                assert time.monotonic() < deadline
                highest = max(highest, devnet.chain.height)
                assert devnet.chain.height >= highest - DEEPEST - 1
                time.sleep(0.001)
        assert [happened.fault for happened in chaos.history] == told
        assert not devnet.faults.is_unavailable()


@pytest.mark.parametrize(("kinds", "every"), [(["earthquake"], 1.0), ([], 1.0), (["lie"], 0.0)])
def test_nonsense_is_refused_before_anything_runs(kinds, every):
    devnet = DevnetServer()
    with pytest.raises(InvalidData):
        Chaos(devnet.chain, devnet.faults, seed=1, every=every, kinds=kinds)
