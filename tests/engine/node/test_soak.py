"""The soak, in short and in two minutes; `make soak` is the long one.

How many blocks a busy machine answers in time is not asserted here: every one that it does not answer
has its reason in the ledger.
"""

import json

import pytest

from tests.engine.node.lying_soak import lying_soak
from tests.engine.node.soak.run import soak


@pytest.mark.first
@pytest.mark.slow
def test_everything_that_can_fail_loses_nothing_and_signs_nothing_wrong(tmp_path):
    judge = soak(
        tmp_path,
        seconds=26.0,
        seed=1,
        node_every=2.5,
        process_every=3.0,
        quiet=6.0,
        least_answered=0.0,
        memory=False,
    )
    assert judge.broken == [], json.dumps(judge.figures, indent=2)[-2000:]


@pytest.mark.long
@pytest.mark.first
@pytest.mark.timeout(900)
def test_two_minutes_of_everything_that_can_fail_lose_nothing_and_sign_nothing_wrong(tmp_path):
    judge = soak(tmp_path, seconds=100.0, seed=1, least_answered=0.0)
    assert judge.broken == [], json.dumps(judge.figures, indent=2)[-2000:]


@pytest.mark.long
@pytest.mark.first
@pytest.mark.timeout(900)
def test_a_first_node_that_lies_in_every_way_costs_nothing_and_stops_nothing(tmp_path):
    judge = lying_soak(tmp_path, seconds=100.0, seed=3, lie_seconds=2.0, kill_every=30.0)
    assert judge.broken == [], json.dumps(judge.figures, indent=2)[-2000:]
