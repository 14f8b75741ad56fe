"""Phases in order, every item once, and errors of any thread out of the calling one."""

import threading
import time
import weakref
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.team import Team
from tests.processes import PATIENCE_SECONDS, wait_until


@settings(deadline=None, max_examples=50)
@given(
    threads=st.integers(1, 5),
    phases=st.lists(st.integers(0, 20), max_size=5),
)
def test_every_item_once_and_no_phase_before_the_last_one_ended(threads, phases):
    done = Counter()
    lock = threading.Lock()

    def work(item):
        phase, _ = item
        with lock:
            before = sum(count for (earlier, _), count in done.items() if earlier < phase)
            assert before == sum(phases[:phase])
            done[item] += 1

    with Team(threads) as team:
        team.run(*((work, [(i, k) for k in range(size)]) for i, size in enumerate(phases)))
    assert done == Counter((i, k) for i, size in enumerate(phases) for k in range(size))


def test_threads_work_side_by_side():
    met = threading.Barrier(3, timeout=PATIENCE_SECONDS)
    with Team(3) as team:
        team.run((lambda _: met.wait(), range(3)))


@pytest.mark.parametrize("threads", [1, 4])
def test_an_error_ends_the_run_and_not_the_team(threads):
    later = []

    def fail(item):
        if item == 2:
            raise KeyError(item)

    with Team(threads) as team:
        with pytest.raises(KeyError):
            team.run((fail, range(5)), (later.append, range(5)))
        assert later == []
        team.run((later.append, range(5)))
        assert sorted(later) == list(range(5))


def test_whoever_waits_long_goes_to_sleep():
    """Longer than a thread spins: it is woken, and the run ends all the same."""
    seen = []
    with Team(2) as team:
        team.run((lambda x: time.sleep(x), [0.05, 0]), (seen.append, [1, 2]))
    assert sorted(seen) == [1, 2]


def test_a_run_waits_for_no_thread_that_is_held_up():
    """As one that has not woken yet: the caller does it all, phase by phase."""
    held, free, seen = threading.Barrier(4, timeout=PATIENCE_SECONDS), threading.Event(), []

    def hold(_):
        held.wait()
        free.wait()

    with Team(3) as team:
        other = threading.Thread(target=team.run, args=((hold, range(3)),))
        mine = threading.Thread(target=team.run, args=((seen.append, [1, 2]), (seen.append, [3])))
        try:
            other.start()
            held.wait()
            mine.start()
            mine.join(PATIENCE_SECONDS)
            assert seen == [1, 2, 3]
            assert not mine.is_alive()
        finally:
            free.set()
            other.join()
    assert not other.is_alive()


def test_no_operands_are_kept_after_a_run():
    class Operand:
        pass

    with Team(3) as team:
        items = [Operand() for _ in range(6)]
        references = [weakref.ref(item) for item in items]
        team.run((lambda _: None, items))
        del items
        wait_until(lambda: not any(reference() for reference in references))


def test_threads_end_with_a_team_that_is_dropped():
    team = Team(3, "dropped")
    team.run((lambda _: None, range(3)))
    del team
    wait_until(lambda: not any(x.name.startswith("dropped") for x in threading.enumerate()))


def test_closing_twice():
    team = Team(2)
    team.close()
    team.close()
