"""The soak in two minutes; `make soak` is the long one."""

import json

import pytest

from tests.engine.node.soak.run import soak


@pytest.mark.first
@pytest.mark.timeout(400)
def test_two_minutes_of_everything_that_can_fail_lose_nothing_and_sign_nothing_wrong(tmp_path):
    judge = soak(tmp_path, seconds=100.0, seed=1)
    assert judge.broken == [], json.dumps(judge.figures, indent=2)
