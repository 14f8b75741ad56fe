"""The desk and the workshop: work from several threads, done by one real child."""

import threading
import time
from concurrent.futures import CancelledError, wait

import pytest

from engine.pool.limits import Limits
from engine.pool.messages import Computed, Setup
from engine.pool.pool import WorkshopThread
from engine.runtime.errors import JobGivenUp, NoDevice
from kernels.task import Task
from tests.engine.pool.works import Bug, Echo, Lie, Nap, Poison, Stop

TASK = Task(bytes(range(32)), 64)


class Log:
    def __init__(self):
        self.events = []

    def __call__(self, event, **fields):
        self.events.append((event, fields))

    def reasons(self):
        return [fields["reason"] for _, fields in self.events if "reason" in fields]


@pytest.fixture
def shop():
    """`shop(**limits)` is a workshop with one child on the CPU."""
    opened = []

    def open_shop(**limits):
        log = Log()
        limits = Limits(**{"restarts": 100, "slowest_rate": 1e9, "start": 30.0} | limits)
        made = WorkshopThread(["cpu"], log, setup=Setup(1, TASK), limits=limits)
        made.start()
        opened.append(made)
        return made, log

    yield open_shop
    for made in opened:
        made.stop()


def test_several_threads_share_one_child_and_everybody_gets_their_own(shop):
    made, _ = shop()
    futures = {}

    def hand_in(first):
        for length in range(first, first + 20, 2):
            futures[length] = made.desk.submit(Echo(bytes(length)))

    threads = [threading.Thread(target=hand_in, args=(first,)) for first in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    task = made.desk.submit(TASK, openings=4)
    assert isinstance(task.result(60), Computed)
    for length, future in futures.items():
        assert int.from_bytes(future.result(60).outcome.result_hash) == length


def test_what_is_cancelled_or_late_is_given_up_and_the_next_job_done(shop):
    made, log = shop()
    assert made.desk.submit(Echo(b"warm")).result(60)
    late = made.desk.submit(Nap(b""), seconds=0.5)
    with pytest.raises(JobGivenUp, match="deadline") as caught:
        late.result(60)
    assert caught.value.code == "expired"
    hung = made.desk.submit(Nap(b""))
    waiting = made.desk.submit(Nap(b""))
    assert waiting.cancel()
    while made._workshop.children.states()["cpu"][0] != "busy":
        time.sleep(0.02)
    assert hung.cancel()
    with pytest.raises(CancelledError):
        hung.result(1)
    assert made.desk.submit(Echo(b"next")).result(60).outcome.data == b"next"
    assert sum("not wanted" in reason for reason in log.reasons()) == 2


def test_a_full_pipe_to_a_stopped_child_holds_nobody_up(shop):
    made, log = shop(silence=2.0)
    stopped = made.desk.submit(Stop(b""))
    large = made.desk.submit(Echo(bytes(2**24)))
    with pytest.raises(JobGivenUp, match="2 children"):
        stopped.result(60)
    assert int.from_bytes(large.result(60).outcome.result_hash) == 2**24
    assert sum("silent" in reason for reason in log.reasons()) == 2


@pytest.mark.parametrize(
    ("work", "said"),
    [(Poison(b""), "ILLEGAL_ADDRESS"), (Bug(b""), "IndexError"), (Lie(b"x"), "another length")],
    ids=["poison", "bug", "lie"],
)
def test_work_that_takes_children_down_is_quarantined(shop, work, said):
    made, _ = shop()
    with pytest.raises(JobGivenUp, match=said) as caught:
        made.desk.submit(work, name="bad").result(60)
    assert caught.value.code == "quarantined"
    if said != "another length":  # a second wrong result takes the device out, and the shop with it
        again = made.desk.submit(work, name="bad")
        assert again.exception(60).code == "quarantined"
        assert made.desk.submit(Echo(b"")).result(60)
    else:
        made.join(30)
        assert isinstance(made.error, NoDevice)
        assert made.desk.submit(Echo(b"")).exception(1).code == "stopped"


def test_stopping_tells_whoever_waits(shop):
    made, _ = shop()
    futures = [made.desk.submit(Nap(b"")) for _ in range(3)]
    made.stop()
    assert not wait(futures, 1).not_done
    assert {future.exception().code for future in futures} == {"stopped"}
