"""The soak in small: one child and one parent killed. `python -m tests.engine.soak` is the long one."""

from tests.engine.soak import Soak


def test_killed_child_and_killed_parent_lose_no_block_and_answer_none_twice(tmp_path):
    found = Soak(tmp_path, blocks=14, block_time=0.5, kill_children=1, kill_parents=1).run()
    assert found["answered_twice"] == 0
    assert found["neither"] == []
    assert found["both"] == []
    assert found["answered"] + found["skipped"] == found["blocks"]
    assert found["answered"] > found["blocks"] // 2
