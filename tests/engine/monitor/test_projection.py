"""Events folded into a state, with a clock of the test's own."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.monitor.histogram import Histogram
from engine.monitor.history import STEP_SECONDS, STEPS, History
from engine.monitor.projection import EVENTS_KEPT, TASKS_FOR_RATE, Fold
from engine.monitor.reporter import _LINES, QUIET
from engine.monitor.snapshot import Snapshot
from engine.monitor.state import Board
from tests.engine.monitor import story

NOW = story.START


@pytest.fixture
def fold():
    return story.tell(Fold(NOW), story.two_cards())


def test_what_two_cards_did_is_seen(fold):
    seen = fold.snapshot(NOW + 2.0)
    first, second = seen.devices
    assert first.tops == pytest.approx(2 * 4096**3 / 0.0125 / 1e12)
    assert (first.tasks, first.last_height, first.temperature) == (6, 1407, 61.0)
    assert (first.state, second.state) == ("idle", "paused")
    assert second.reason == "90 °C, and the limit is 88 °C"
    assert (seen.state, seen.tops) == ("mining", first.tops)
    assert (seen.results.confirmed, seen.results.pending, seen.results.given_up) == (1240, 3, 2)
    assert (seen.blocks.seen, seen.blocks.skipped, seen.blocks.missed) == (1306, 10, 55)
    assert seen.balance == "99.999916000000000001"
    assert seen.fees == "0.00010000048"
    assert (seen.chain.height, seen.chain.next_block_in) == (1407, 3.0)
    assert seen.events[-1].line == "task 582f6ae1…: final, in block 1402, transaction eeeeeeee…"


def test_a_snapshot_survives_being_json(fold):
    seen = fold.snapshot(NOW)
    assert Snapshot.model_validate_json(seen.model_dump_json()) == seen


def test_a_block_that_is_due_is_due_in_no_time(fold):
    assert fold.snapshot(NOW + 60).chain.next_block_in == 0.0
    assert fold.snapshot(NOW - 60).chain.next_block_in == 5.0  # the clock was set back


def test_a_roll_back_counts_anew(fold):
    story.tell(fold, [("rolled_back", {"first": 1, "last": 2}), story.totals(final=1, included=9)])
    results = fold.snapshot(NOW).results
    assert (results.confirmed, results.pending, results.given_up) == (1, 9, 0)


def test_a_block_of_several_skipped_tasks_is_one_skipped_block(fold):
    skipped = ("skipped", {"height": 1408, "reason": "paused: asked for"})
    story.tell(fold, [story.block(1408), skipped, skipped])
    assert fold.snapshot(NOW).blocks.skipped == 11


def test_the_rate_is_that_of_the_latest_tasks(fold):
    slow = [story.computed(height, seconds=1.0) for height in range(TASKS_FOR_RATE)]
    story.tell(fold, slow)
    assert fold.snapshot(NOW).devices[0].tops == pytest.approx(2 * 4096**3 / 1e12)


def test_troubles_come_and_go(fold):
    trouble = {"message": "insufficient balance", "advice": ""}
    story.tell(fold, [("node_trouble", trouble), ("sender_trouble", trouble)])
    seen = fold.snapshot(NOW)
    assert not seen.chain.node_answers
    assert seen.results.trouble == "insufficient balance"
    signed = ("signed", {"task_id": "x", "nonce": 1, "tx_hash": "y"})
    story.tell(fold, [("node_well", {}), signed])
    seen = fold.snapshot(NOW)
    assert seen.chain.node_answers
    assert (seen.results.trouble, seen.chain.trouble) == ("", "")


def test_the_engine_is_paused_when_every_device_in_service_is(fold):
    out = story.device("cuda:0", "out", "Xid 79")
    seen = story.tell(fold, [out]).snapshot(NOW)
    assert (seen.state, seen.paused) == ("paused", "90 °C, and the limit is 88 °C")
    assert seen.devices[0].reason == "Xid 79"
    story.tell(fold, [("resumed", {"devices": "cuda:1"})])
    assert fold.snapshot(NOW).state == "mining"
    assert story.tell(fold, [("stopping", {})]).snapshot(NOW).state == "stopping"


def test_whatever_runs_for_months_stays_small(fold):
    for height in range(500):
        story.tell(fold, [story.block(height), story.computed(height)], NOW + 60 * height)
    seen, history = fold.snapshot(NOW + 30_000), fold.history(NOW + 30_000)
    assert len(seen.events) == EVENTS_KEPT
    assert len(history.at) == STEPS
    assert sum(history.devices["cuda:0"].tasks) == 60


def test_the_history_has_rates_temperatures_and_gaps():
    history = History(0.0)
    tally = history.device("cpu", 3.0)
    tally.tasks, tally.operations, tally.seconds, tally.temperature = 2, 4e12, 2.0, 70.0
    history.device("cpu", 25.0).tasks = 1
    history.confirm(29.0)
    seen = history.view(30.0)
    assert seen.at == [10.0, 20.0, 30.0]
    assert seen.devices["cpu"].tasks == [2, 0, 1]
    assert seen.devices["cpu"].tops == [2.0, None, None]
    assert seen.devices["cpu"].temperature == [70.0, None, None]
    assert seen.confirmed == [0, 0, 1]


@given(st.lists(st.floats(-5000, 5000), max_size=30))
def test_no_clock_that_is_set_breaks_the_history(steps):
    history, now = History(0.0), 0.0
    for step in steps:
        now += step
        history.device("cpu", now).tasks += 1
        seen = history.view(now)
        assert len(seen.at) <= STEPS
        assert all(later > earlier for earlier, later in pairwise(seen.at))
    assert len(history.view(now + 8 * STEP_SECONDS).at) > 0


@given(st.lists(st.floats(0, 100), max_size=40))
def test_a_histogram_counts_what_is_not_above_its_bounds(values):
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    for bound, count in histogram.cumulative():
        assert count == sum(value <= float(bound) for value in values)


def test_every_event_can_be_taken():
    """A board stands before every other reporter: what they know may not stop it."""
    passed = []
    board = Board(lambda event, **fields: passed.append(event), clock=lambda: NOW)
    for event, fields in story.two_cards():
        board(event, **fields)
    assert len(passed) == len(list(story.two_cards()))
    assert set(passed) & QUIET
    assert set(passed) - QUIET <= {*_LINES, "block"}
    assert board.snapshot().results.confirmed == 1240
    assert board.latency().cumulative()[-1] == ("+Inf", 6.0)
