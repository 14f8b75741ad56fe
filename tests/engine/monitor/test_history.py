"""The charts' history: its steps, its spans, and what of it outlives a run."""

import os
import threading
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from engine.monitor.history import SPANS, STEP_SECONDS, STEPS, History, Kept, Step, Tally
from engine.monitor.history_file import kept_history
from engine.monitor.state import Monitor
from tests.engine.monitor import story
from tests.processes import wait_until

HOUR = STEP_SECONDS["hour"]


def add(history, now, tasks=1, device="cpu"):
    history.add(device, now, tasks=tasks, operations=4e12, seconds=2.0)


def test_a_step_has_rates_the_highest_temperature_and_the_mean_power():
    history = History(0.0)
    add(history, 3.0, tasks=2)
    for temperature, power in ((70.0, 100.0), (60.0, 200.0), (None, None)):
        history.read("cpu", 4.0, temperature, power)
    history.add("cpu", 25.0, tasks=1, operations=0.0, seconds=0.0)
    history.confirm(29.0)
    seen = history.view("hour", 30.0)
    assert seen.at == [10.0, 20.0, 30.0]
    assert seen.devices["cpu"].tasks == [2, 0, 1]
    assert seen.devices["cpu"].tops == [2.0, None, None]
    assert seen.devices["cpu"].temperature == [70.0, None, None]
    assert seen.devices["cpu"].power == [150.0, None, None]
    assert seen.confirmed == [0, 0, 1]


@given(st.lists(st.floats(-5000, 5000), max_size=30))
def test_no_clock_that_is_set_breaks_it(steps):
    history, now = History(0.0), 0.0
    for step in steps:
        now += step
        add(history, now)
        for span in SPANS:
            seen = history.view(span, now)
            assert len(seen.at) <= STEPS
            assert all(later > earlier for earlier, later in pairwise(seen.at))
    assert len(history.view("hour", now + 8 * HOUR).at) > 0


@given(st.lists(st.floats(0.0, 3000.0), min_size=1, max_size=60))
def test_every_span_counts_the_same_work(waits):
    """Thinning adds up: a task within the shortest span is in each of them once."""
    history, now, last = History(0.0), 0.0, 0.0
    for wait in waits:
        now += wait
        last = now
        add(history, now)
        history.confirm(now)
    now = last + STEP_SECONDS["month"]
    for span in ("day", "month"):
        seen = history.view(span, now)
        began = now - STEPS * STEP_SECONDS[span]
        if began <= 0:
            assert sum(seen.devices["cpu"].tasks) == len(waits)
            assert sum(seen.confirmed) == len(waits)


STEPS_OF_A_FILE = st.lists(
    st.builds(
        Step,
        st.floats(allow_nan=False),
        st.integers(0, 10**9),
        st.dictionaries(st.text(max_size=5), st.builds(Tally, st.integers(0, 9)), max_size=3),
    ),
    max_size=20,
)


@given(st.dictionaries(st.sampled_from([*SPANS, "year"]), STEPS_OF_A_FILE))
def test_whatever_a_file_has_the_steps_are_in_order_and_in_the_past(spans):
    history = History(1000.0)
    add(history, 1500.0)
    history.restore(Kept(spans=spans), 2000.0)
    for span in SPANS:
        seen = history.view(span, 2000.0)
        assert len(seen.at) <= STEPS
        assert all(later > earlier for earlier, later in pairwise(seen.at))
        assert all(at <= 2000.0 for at in seen.at)


def test_a_run_goes_on_with_the_charts_of_the_one_before(tmp_path):
    path = tmp_path / "state" / "charts.json"
    now = story.START
    first = Monitor(clock=lambda: now)
    with kept_history(first, path):
        first(story.computed(7))
        now += 2 * STEP_SECONDS["month"]
    second = Monitor(clock=lambda: now)
    with kept_history(second, path):
        assert sum(second.history("month").devices["cuda:0"].tasks) == 1
        assert sum(second.history("hour").confirmed) == 0
    assert path.stat().st_mode & 0o077 == 0


def test_it_is_written_while_it_runs_and_a_damaged_file_is_put_aside(tmp_path):
    path = tmp_path / "charts.json"
    path.write_bytes(b'{"version": 1, "spans": {"day": [[' + os.urandom(40))
    monitor = Monitor()
    with kept_history(monitor, path, every=0.05):
        assert path.with_suffix(".damaged").exists()
        wait_until(path.exists, "the file to be written")
        assert msgspec.json.decode(path.read_bytes(), type=Kept).version == 1
    assert not [one for one in threading.enumerate() if one.name == "charts"]


def test_a_place_that_cannot_be_written_stops_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    with kept_history(Monitor(), tmp_path / "file" / "charts.json", every=0.01):
        pass
