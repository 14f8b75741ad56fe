"""Cards check each other: CPUs under cards' names, which lie, hang or die while they check."""

from concurrent.futures import wait
from dataclasses import replace

import pytest

from engine.monitor.events.pool import ChildEnded, ChildKilled, DeviceReady
from engine.pool import cross_check
from engine.pool.check_share import PROVING
from engine.pool.leaf_digests import LeafCheckers
from kernels.task import Task
from kernels.work.synthetic import SyntheticWork
from tests.engine.pool import checker_villains, villains
from tests.engine.pool.conftest import LIMITS, wait_for_state
from tests.processes import PATIENCE_SECONDS, wait_until
from tests.variants import quick_and_slow


def work(number, n=512):
    return SyntheticWork(Task(number.to_bytes(2) + bytes(range(30)), n), 16)


class Rig:
    """Two cards, and a CPU that is late while a file is there."""

    def __init__(self, open_pool, directory):
        self.directory, self.number = directory, 0
        self._checkers = LeafCheckers(1, entry=checker_villains.waits_while_told, patience=60.0)
        limits = replace(LIMITS, cross_check=True, quick=1e9)
        self.pool, self.log = open_pool(
            villains.card_that_is_told, ("cuda:0", "cuda:1"), limits=limits, checkers=self._checkers
        )
        wait_until(lambda: len(self.log.of(DeviceReady)) == 2, "both cards")

    def submit(self, n=512):
        self.number += 1
        return self.pool.submit(work(self.number, n))

    def make_late(self):
        """The first card has proved itself, and its answers wait for the CPU; the second is idle."""
        self.pool.pause("cuda:1", "so that the first card is given all")
        self.submit().result(PATIENCE_SECONDS)
        wait_until(lambda: self._checkers.ready, "a checker to be ready")
        done, _left = wait([self.submit(n=16) for _number in range(PROVING)], PATIENCE_SECONDS)
        assert len(done) == PROVING
        (self.directory / "late").touch()
        waiting = [self.submit() for _number in range(cross_check.BEHIND)]
        wait_for_state(self.pool, "cuda:0", "checking")
        self.pool.resume("cuda:1")
        return waiting

    def ended(self):
        return self.log.of((ChildEnded, ChildKilled))

    def make_right(self):
        for name in ("cuda:0", "cuda:1", "late"):
            (self.directory / name).unlink(missing_ok=True)


@pytest.fixture
def rig(open_pool, tmp_path, monkeypatch):
    monkeypatch.setattr(cross_check, "CPU_SHARE", 0.0)
    return Rig(open_pool, tmp_path)


def test_another_card_checks_what_the_cpu_is_late_for(rig):
    waiting = rig.make_late()
    done = rig.submit().result(PATIENCE_SECONDS)
    assert done.device == "cuda:0"
    assert not any(future.done() for future in waiting)
    rig.make_right()
    assert len(wait(waiting, PATIENCE_SECONDS).done) == len(waiting)
    assert not rig.ended()


@pytest.mark.parametrize(
    ("device", "how"),
    quick_and_slow(
        [("cuda:1", "lies")], [("cuda:0", "lies"), ("cuda:1", "dies"), ("cuda:1", "hangs")]
    ),
)
def test_a_card_that_goes_wrong_is_found_and_no_other_blamed(rig, cpu, device, how):
    """While it checks, or is checked: the CPU has the last word, and the result is right."""
    waiting = rig.make_late()
    (rig.directory / device).write_text(how)
    future = rig.submit()
    if how == "lies":
        wait_for_state(rig.pool, "cuda:1", "checking")  # its answer, too, waits for the CPU
    else:
        wait_until(rig.ended, "the card to be replaced")
    assert not future.done()
    rig.make_right()
    done = future.result(PATIENCE_SECONDS)
    assert done.outcome.result_hash == cpu.compute(work(rig.number).task).root
    assert len(wait(waiting, PATIENCE_SECONDS).done) == len(waiting)
    wait_until(rig.ended, "the card to be replaced")
    assert {ended.device for ended in rig.ended()} == {device}
    if how == "lies":
        assert all("wrong result" in ended.reason for ended in rig.ended())
