"""The soak, in small: `python -m tests.engine.poc_worker.soak` is the long form."""

import pytest

from tests.engine.poc_worker.soak.run import soak


@pytest.mark.slow
def test_every_task_ends_once_and_right_whoever_is_killed(tmp_path):
    judge = soak(
        tmp_path,
        tasks=16,
        workers=2,
        seed=11,
        every=1.5,
        devices=("reference",),
        patience=100,
        most=3,
    )
    assert judge.wrong == []
    assert judge.figures["tasks"] == {"completed": 16}
