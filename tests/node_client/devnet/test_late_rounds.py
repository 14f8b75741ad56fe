"""Late rounds and catching up, as recorded from the real node in late_rounds.json."""

import pytest

from node_client.devnet import Chain, Faults

STEP = 0.05  # seconds between two looks of the proposer


def played(chain: Chain, clock, blocks: int) -> list[dict[str, int]]:
    """Heights, timestamps and rounds of the next blocks, made as soon as they are due."""
    made: list[dict[str, int]] = []
    while len(made) < blocks:
        if (block := chain.produce_if_due()) is None:
            clock.now += STEP
            continue
        header = block.header
        made.append({"height": header.height, "timestamp": header.timestamp, "round": header.round})
    return made


def shape(headers) -> list[tuple[int, int]]:
    """Timestamps in block times since the first block, and rounds."""
    first = headers[0]["timestamp"]
    return [((header["timestamp"] - first) // 5, header["round"]) for header in headers]


def test_a_late_block_and_the_catching_up_are_the_recorded_ones(vectors, clock) -> None:
    """Blocks 490 to 499: one two rounds late, then rounds 1 and 0, all with one timestamp."""
    recorded = vectors("late_rounds")[2]["headers"]
    chain = Chain({}, clock=clock, genesis_time=clock.now)
    faults = Faults()
    faults.bind(chain)
    found = played(chain, clock, 4)
    faults.late_rounds(2)
    found += played(chain, clock, len(recorded) - 4)
    assert shape(found) == shape(recorded)


def test_a_validator_that_is_down_half_of_the_time(vectors, clock) -> None:
    """Blocks 95 to 117: every other block one round late, the next one at once."""
    recorded = vectors("late_rounds")[3]["headers"]
    chain = Chain({}, clock=clock, genesis_time=clock.now)
    found = played(chain, clock, 5)
    while len(found) < len(recorded):
        chain.late_rounds(1)
        found += played(chain, clock, 2)
    assert shape(found) == shape(recorded)


@pytest.mark.parametrize("rounds", range(5))
def test_timestamp_less_rounds_is_the_slot_and_blocks_come_a_fifth_apart(clock, rounds) -> None:
    chain = Chain({}, clock=clock, genesis_time=clock.now)
    genesis = clock.now
    chain.late_rounds(rounds)
    arrivals = []
    for height in range(1, rounds + 5):
        (header,) = played(chain, clock, 1)
        arrivals.append(clock.now - genesis)
        assert header["timestamp"] - header["round"] * 5 == genesis + height * 5
    assert arrivals[0] == pytest.approx(5 + rounds * 5, abs=2 * STEP)
    if rounds:
        assert arrivals[1] - arrivals[0] == pytest.approx(1.0, abs=2 * STEP)
    assert arrivals[-1] == pytest.approx(5 * (rounds + 4), abs=2 * STEP), "at its slots again"
