"""Many blocks and jobs leave nothing behind in the engine: `bench/memory_soak.py` in small."""

import pytest

from bench.memory_soak import soak

A_BLOCK = 5
"""Objects that a block may leave for good: far fewer than the hundreds that it makes."""


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [None, 32])
def test_many_blocks_leave_no_objects_and_no_descriptors(jobs):
    blocks, rows = 600, 6
    found = list(soak(blocks, 0.1, rows, jobs))
    late, last = found[rows // 2], found[-1]
    assert last[0] - late[0] > blocks // 6, "too few blocks were answered to say anything"
    assert jobs is None or last[1] > late[1]
    grown = last[2]["objects"] - late[2]["objects"]
    assert grown < A_BLOCK * (last[0] - late[0])
    assert last[2]["descriptors"] <= late[2]["descriptors"] + 4
    assert last[2]["threads"] <= late[2]["threads"]
