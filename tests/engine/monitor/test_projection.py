"""Events projected onto a state, with a clock of the test's own."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.monitor.device_record import TASKS_FOR_RATE
from engine.monitor.events.mining import BlockSkipped
from engine.monitor.events.pool import DeviceCompiling, FarmConnected, FarmUnreachable
from engine.monitor.events.protection import DevicesResumed
from engine.monitor.events.run import Pulse, Stopping
from engine.monitor.events.sending import ChainRolledBack
from engine.monitor.events.trouble import MEANING, TroubleBegan, TroubleEnded, TroubleKind
from engine.monitor.histogram import Histogram
from engine.monitor.history import STEPS
from engine.monitor.http.health import health
from engine.monitor.projection import EVENTS_KEPT, Projection
from engine.monitor.snapshot import Snapshot
from engine.monitor.state import Monitor
from engine.monitor.troubles import Troubles
from tests.engine.monitor import story

NOW = story.START


@pytest.fixture
def projection():
    return story.tell(Projection(NOW), story.two_cards())


def test_what_two_cards_did_is_seen(projection):
    seen = projection.snapshot(NOW + 2.0)
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


def test_a_snapshot_survives_being_json(projection):
    seen = projection.snapshot(NOW)
    assert Snapshot.model_validate_json(seen.model_dump_json()) == seen


def test_a_block_that_is_due_is_due_in_no_time(projection):
    assert projection.snapshot(NOW + 60).chain.next_block_in == 0.0
    assert projection.snapshot(NOW - 60).chain.next_block_in == 5.0  # the clock was set back


def test_a_roll_back_counts_anew(projection):
    story.tell(projection, [ChainRolledBack(1, 2), story.totals(final=1, included=9)])
    results = projection.snapshot(NOW).results
    assert (results.confirmed, results.pending, results.given_up) == (1, 9, 0)


def test_a_block_of_several_skipped_tasks_is_one_skipped_block(projection):
    skipped = BlockSkipped(1408, "paused: asked for")
    story.tell(projection, [story.block(1408), skipped, skipped])
    assert projection.snapshot(NOW).blocks.skipped == 11


def test_the_rate_is_that_of_the_latest_tasks(projection):
    slow = [story.computed(height, seconds=1.0) for height in range(TASKS_FOR_RATE)]
    story.tell(projection, slow)
    assert projection.snapshot(NOW).devices[0].tops == pytest.approx(2 * 4096**3 / 1e12)


def test_fields_of_the_former_release_follow_the_troubles(projection):
    kinds = ("node_away", "balance_low")
    story.tell(projection, [TroubleBegan(kind, f"no {kind}", "", True) for kind in kinds])
    seen = projection.snapshot(NOW)
    assert not seen.chain.node_answers
    assert (seen.results.trouble, seen.chain.trouble) == ("no balance_low", "no node_away")
    story.tell(projection, [TroubleEnded(kind, "") for kind in kinds])
    seen = projection.snapshot(NOW)
    assert seen.chain.node_answers
    assert (seen.results.trouble, seen.chain.trouble) == ("", "")


def test_what_lasts_is_told_once_and_is_seen_until_it_is_over(projection):
    told = []
    troubles = Troubles(lambda event: (told.append(event), story.tell(projection, [event])))
    for _ in range(3):
        troubles.begin("node_behind", "the node is behind", "Wait.")
    troubles.begin("key_shared", "two engines use this key", stops=False)
    seen = projection.snapshot(NOW)
    assert [(one.kind, one.stops) for one in seen.troubles] == [
        ("node_behind", True),
        ("key_shared", False),
    ]
    assert health(seen).reasons == [MEANING["node_behind"]]
    for _ in range(3):
        troubles.end("node_behind")
    assert [one.kind for one in projection.snapshot(NOW).troubles] == ["key_shared"]
    assert [event.event for event in told] == ["trouble", "trouble", "trouble_over"]


@pytest.mark.parametrize("kind", get_args(TroubleKind))
@pytest.mark.parametrize("stops", [True, False])
def test_a_trouble_of_each_kind_is_a_reason_if_it_stops_and_no_word_of_a_node_is(kind, stops):
    projection = story.tell(Projection(NOW), [*story.two_cards(), Pulse()])
    said = f"http://10.0.0.7:8000 refuses {story.ADDRESS}"
    story.tell(projection, [TroubleBegan(kind, said, "Wait.", stops)])
    (seen,) = projection.snapshot(NOW).troubles
    assert (seen.kind, seen.message, seen.since) == (kind, said, NOW)
    found = health(projection.snapshot(NOW))
    assert found.reasons == ([MEANING[kind]] if stops else [])
    story.tell(projection, [TroubleBegan(kind, "still", "", stops)], NOW + 5)
    (seen,) = projection.snapshot(NOW).troubles
    assert (seen.message, seen.since) == ("still", NOW)
    story.tell(projection, [TroubleEnded(kind, said)])
    assert health(projection.snapshot(NOW)).healthy


def test_a_farm_that_is_away_is_a_trouble_until_it_is_back(projection):
    story.tell(projection, [FarmUnreachable("no route to host")])
    (seen,) = projection.snapshot(NOW).troubles
    assert (seen.kind, seen.stops) == ("farm_away", True)
    assert "no route to host" in seen.message
    story.tell(projection, [FarmConnected("10.0.0.7:6379")])
    assert projection.snapshot(NOW).troubles == []


def test_the_engine_is_paused_when_every_device_in_service_is(projection):
    out = story.device("cuda:0", "out", "Xid 79")
    seen = story.tell(projection, [out]).snapshot(NOW)
    assert (seen.state, seen.paused) == ("paused", "90 °C, and the limit is 88 °C")
    assert seen.devices[0].reason == "Xid 79"
    story.tell(projection, [DevicesResumed("cuda:1")])
    assert projection.snapshot(NOW).state == "degraded"  # one of two mines
    story.tell(projection, [story.device("cuda:0", "idle")])
    assert projection.snapshot(NOW).state == "mining"
    story.tell(projection, [story.device(name, "out", "Xid 79") for name in ("cuda:0", "cuda:1")])
    assert projection.snapshot(NOW).state == "out"
    story.tell(projection, [story.device("cuda:0", "idle"), story.device("cuda:1", "idle")])
    assert story.tell(projection, [Stopping()]).snapshot(NOW).state == "stopping"


def test_whatever_runs_for_months_stays_small(projection):
    for height in range(500):
        story.tell(projection, [story.block(height), story.computed(height)], NOW + 60 * height)
    seen = projection.snapshot(NOW + 30_000)
    history = projection.history.view("hour", NOW + 30_000)
    assert len(seen.events) == EVENTS_KEPT
    assert len(history.at) == STEPS
    assert sum(history.devices["cuda:0"].tasks) == 60


@given(st.lists(st.floats(0, 100), max_size=40))
def test_a_histogram_counts_what_is_not_above_its_bounds(values):
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    for bound, count in histogram.cumulative():
        assert count == sum(value <= float(bound) for value in values)


def test_every_event_can_be_taken():
    """A monitor stands before every other reporter, and passes everything on."""
    passed = []
    monitor = Monitor(passed.append, clock=lambda: NOW)
    for event in story.two_cards():
        monitor(event)
    assert passed == list(story.two_cards())
    assert monitor.snapshot().results.confirmed == 1240
    assert monitor.latency().cumulative()[-1] == ("+Inf", 6.0)


def test_a_child_that_is_heard_before_its_start_is_told_compiles_all_the_same(projection):
    said = [DeviceCompiling("cpu", 1, 4), story.device("cpu", "starting")]
    (*_cards, device) = story.tell(projection, said).snapshot(NOW).devices
    assert (device.state, device.compiled) == ("compiling", 0.25)
    over = [story.device("cpu", "backoff"), story.device("cpu", "starting")]
    (*_cards, device) = story.tell(projection, over).snapshot(NOW).devices
    assert (device.state, device.compiled) == ("starting", None)
