"""Another card checks what the CPU is late for: which answers, which card, and who is blamed."""

from collections import deque
from dataclasses import replace
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from engine.pool import cross_check
from engine.pool.actions import Accepted, Check, Kill, Tell
from engine.pool.cross_check import BEHIND, CPU_SHARE, card_of
from engine.pool.job_queue import URGENT, Job
from engine.pool.limits import Limits
from engine.pool.messages import Done, Failed, Ready, Run
from engine.pool.supervisor import Supervisor
from engine.pool.worker_state import State
from kernels.task import Task
from kernels.work import Outcome
from kernels.work.synthetic import SyntheticWork
from tests.engine.pool.test_supervisor import DEVICES, TASK, Life

WORK = SyntheticWork(Task(bytes(range(32)), 1024), 16)
RIGHT = Outcome(b"r" * 32, "01")
WRONG = Outcome(b"w" * 32, "02")


class Rig:
    """Two cards that have proved themselves. `cuda:0` answers jobs, for which the CPU is late."""

    def __init__(self, devices=("cuda:0", "cuda:1"), **limits):
        self.draws = deque()
        limits = Limits(**{"cross_check": True, "queued_quick": 9} | limits)
        self.supervisor = Supervisor(
            devices,
            draw=lambda _task, _computed: (),
            limits=limits,
            chance=lambda: self.draws.popleft() if self.draws else CPU_SHARE,
        )
        self.supervisor.start(0.0)
        self.tickets = 0
        self.accepted, self.checks, self.told, self.killed = [], [], [], []
        for device, worker in self.supervisor.workers.items():
            self.take(self.supervisor.heard(device, 1, Ready(device, 1.0), 0.0))
            worker.answers.unproven = 0
            worker.pace["SyntheticWork"] = 1e-4 / WORK.cost
        self.first, self.second, *_others = self.supervisor.workers.values()

    def take(self, actions):
        for action in actions:
            match action:
                case Accepted():
                    self.accepted.append(action.job.ticket)
                case Check():
                    self.checks.append(action)
                case Tell():
                    self.told.append((action.device, action.message))
                case Kill():
                    self.killed.append((action.device, action.reason))

    def answer(self, outcome=RIGHT, work=WORK, priority=0):
        """A job's answer of the first card: return the job's ticket."""
        self.tickets -= 1  # those of checks are positive
        for worker in list(self.supervisor.workers.values())[1:]:
            worker.paused = worker.paused or "for now"
        self.take(self.supervisor.submit(Job(self.tickets, work, priority=priority), 0.0))
        for worker in list(self.supervisor.workers.values())[1:]:
            worker.paused = "" if worker.paused == "for now" else worker.paused
        self.told.clear()
        done = Done(self.tickets, outcome, "cuda:0", 1e-4)
        self.take(self.supervisor.heard("cuda:0", 1, done, 0.0))
        return self.tickets

    def make_late(self):
        """So many answers wait for the CPU."""
        for _number in range(BEHIND):
            self.answer()
        assert len(self.checks) == BEHIND
        self.checks.clear()

    def recheck(self):
        """The one order that the second card was given."""
        ((device, run),) = self.told
        assert device == "cuda:1"
        assert isinstance(run, Run)
        assert run.work == WORK
        self.told.clear()
        return run.ticket

    def say(self, message, now=0.0):
        self.take(self.supervisor.heard("cuda:1", 1, message, now))

    def decide(self):
        """The CPU's checks are done."""
        checks, self.checks = self.checks, []
        for check in checks:
            wrong = None if check.answer.outcome == RIGHT else "other leaves"
            self.take(self.supervisor.checked(check, wrong, 0.0))


@pytest.fixture
def rig():
    rig = Rig()
    rig.make_late()
    return rig


def test_what_the_cpu_is_late_for_is_accepted_when_another_card_agrees(rig):
    ticket = rig.answer()
    again = rig.recheck()
    assert rig.accepted == rig.checks == []
    rig.say(Done(again, RIGHT, "cuda:1", 1e-4))
    assert rig.accepted == [ticket]
    assert not rig.second.jobs
    assert rig.second.state is State.IDLE


def test_where_the_cpu_keeps_up_no_card_is_asked():
    rig = Rig()
    for _number in range(BEHIND):
        rig.answer()
    assert len(rig.checks) == BEHIND
    rig.decide()
    rig.answer()
    assert len(rig.checks) == 1
    assert rig.told == []


@pytest.mark.parametrize(
    ("mine", "other"), [(RIGHT, WRONG), (WRONG, RIGHT), (WRONG, replace(WRONG, proof="03"))]
)
def test_where_cards_disagree_the_cpu_says_who_is_wrong(rig, mine, other):
    ticket = rig.answer(mine)
    rig.say(Done(rig.recheck(), other, "cuda:1", 1e-4))
    assert rig.accepted == rig.killed == []
    assert [check.device for check in rig.checks] == ["cuda:0", "cuda:1"]
    rig.decide()
    blamed = [name for name, said in (("cuda:0", mine), ("cuda:1", other)) if said != RIGHT]
    assert [device for device, _reason in rig.killed] == blamed
    assert all("other leaves" in reason for _device, reason in rig.killed)
    assert rig.checks == []
    assert rig.accepted == ([ticket] if mine == RIGHT else [])


def test_the_same_root_with_other_leaves_or_another_proof_is_no_agreement(rig):
    for other in (replace(RIGHT, proof="02"), replace(RIGHT, proof=None)):
        rig.answer()
        rig.say(Done(rig.recheck(), other, "cuda:1", 1e-4))
        assert [check.device for check in rig.checks] == ["cuda:0", "cuda:1"]
        rig.supervisor.checked(rig.checks[1], None, 0.0)
        rig.checks.clear()
    rig.answer(replace(RIGHT, leaves=bytes(32)))
    rig.say(Done(rig.recheck(), RIGHT, "cuda:1", 1e-4))
    assert len(rig.checks) == 2


@pytest.mark.parametrize("how", ["dies", "hangs", "fails", "has no room", "leaves", "is withdrawn"])
def test_a_card_that_does_not_check_leaves_it_to_the_cpu_and_nobody_else_is_blamed(rig, how):
    ticket = rig.answer()
    again = rig.recheck()
    match how:
        case "dies":
            rig.take(rig.supervisor.exited("cuda:1", 1, -9, 0.0))
        case "hangs":
            rig.supervisor.workers["cuda:0"].last_heard = 99.0
            rig.supervisor.workers["cuda:1"].last_heard = 99.0
            rig.take(rig.supervisor.tick(1.5))
            assert rig.checks == []
            for now in (3.0, 4.5):
                rig.take(rig.supervisor.tick(now))
        case "fails":
            rig.say(Failed(again, "DeviceFault", "an illegal address"))
        case "has no room":
            rig.say(Failed(again, "TaskTooLarge", "too large"))
        case "leaves":
            rig.take(rig.supervisor.remove("cuda:1", 0.0, "gone"))
        case "is withdrawn":
            rig.take(rig.supervisor.withdraw("cuda:1", "Xid 79", 0.0))
    (check,) = rig.checks
    assert (check.device, check.job.ticket) == ("cuda:0", ticket)
    assert not {device for device, _reason in rig.killed} - {"cuda:1"}
    assert rig.supervisor._backlog.first("cuda:0") is None
    rig.decide()
    assert rig.accepted == [ticket]


def test_what_is_drawn_for_the_cpu_goes_there_however_late_it_is(rig):
    drawn = 0
    for number in range(64):
        rig.draws += (0.0, number / 64)  # the first is for the share that is checked at all
        rig.answer()
        drawn += len(rig.checks)
        rig.decide()
        for _device, run in rig.told:
            rig.say(Done(run.ticket, RIGHT, "cuda:1", 1e-4))
    assert drawn == CPU_SHARE * 64
    assert len(rig.accepted) == 64


@pytest.mark.parametrize(
    ("devices", "limits", "answer"),
    [
        (("cuda:0", "cuda:1"), {"cross_check": False}, {}),
        (("cuda:0", "cuda:1"), {}, {"priority": URGENT}),
        (("cuda:0", "cuda:1"), {}, {"work": SyntheticWork(Task(bytes(range(32)), 64), 16)}),
        (("cuda:0", "cuda"), {}, {}),
        (("cuda:0", "cpu"), {}, {}),
        (("cuda:0", "reference"), {}, {}),
    ],
    ids=["switched off", "urgent", "small", "the same card", "a CPU", "a reference"],
)
def test_what_no_other_card_checks(devices, limits, answer):
    rig = Rig(devices, **limits)
    rig.make_late()
    rig.answer(**answer)
    assert len(rig.checks) == 1
    assert rig.told == []


@pytest.mark.parametrize("why", ["has work", "is paused", "starts", "has as many as are soon done"])
def test_a_card_that_is_not_idle_is_not_asked(rig, why):
    match why:
        case "has work":
            rig.first.paused = "for now"
            rig.take(rig.supervisor.submit(Job(-1000, WORK), 0.0))
            rig.first.paused = ""
            assert rig.second.orders
        case "is paused":
            rig.second.paused = "heat"
        case "starts":
            rig.take(rig.supervisor.exited("cuda:1", 1, -9, 0.0))
        case "has as many as are soon done":
            rig.second.pace["SyntheticWork"] = 1.0
            rig.answer()
            rig.recheck()
    rig.answer()
    assert len(rig.checks) == 1
    assert rig.told == []


def test_an_answer_of_a_card_that_has_to_prove_itself_is_the_cpus(rig):
    rig.first.answers.unproven = 1
    rig.answer()
    assert len(rig.checks) == 1


def test_the_idlest_card_is_asked():
    rig = Rig(("cuda:0", "cuda:1", "farm-1a2b3c/gpu0"))
    rig.make_late()
    for _number in range(4):
        rig.answer()
    asked = [len(worker.orders) for worker in rig.supervisor.workers.values()]
    assert asked == [0, 2, 2]


def test_own_jobs_come_to_a_card_that_checks(rig):
    rig.answer()
    rig.recheck()
    rig.first.paused = "for now"
    rig.take(rig.supervisor.submit(Job(-1000, WORK), 0.0))
    ((device, run),) = rig.told
    assert (device, run.ticket) == ("cuda:1", -1000)


def test_a_check_that_comes_back_for_a_lost_job_changes_nothing(rig):
    rig.answer()
    again = rig.recheck()
    rig.take(rig.supervisor.exited("cuda:0", 1, -9, 0.0))
    rig.say(Done(again, RIGHT, "cuda:1", 1e-4))
    assert rig.accepted == rig.checks == []


def test_cards_are_known_by_what_the_driver_calls_them(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-aa,GPU-bb,GPU-aa,MIG-1,MIG-2")
    assert card_of("cuda") == card_of("cuda:0") == card_of("cuda:2") != card_of("cuda:1")
    assert card_of("cuda:3") == card_of("cuda:4") != card_of("cuda:5")
    assert card_of("farm-1a2b3c/gpu0") != card_of("farm-1a2b3c/gpu1")
    assert {card_of(name) for name in ("cpu", "reference", "farm-1a2b3c/cpu")} == {None}


class LifeOfCards(Life):
    """Cards that check each other, the CPU always late; each gives wrong results now and then."""

    queued = 3
    works = (WORK, TASK)
    first = 10**9 + 1  # those of checks are counted from 1

    def __init__(self):
        self.options = {"cross_check": True, "quick": 1e9, "chance": Random(1).random}
        self.lying, self.liars = set(), set()
        self.late, cross_check.BEHIND = cross_check.BEHIND, 0
        super().__init__()

    def teardown(self):
        cross_check.BEHIND = self.late

    def take(self, actions):
        for action in actions:
            if isinstance(action, Kill) and "wrong result: other" in action.reason:
                assert action.device in self.liars
        super().take(actions)

    def was_right(self, accepted):
        if isinstance(accepted.result, Done):
            return accepted.result.outcome == RIGHT
        return super().was_right(accepted)

    def outcome_of(self, _work, device):
        return replace(RIGHT, result_hash=device.encode()) if device in self.lying else RIGHT

    @rule(device=st.sampled_from(DEVICES))
    def lies(self, device):
        self.lying ^= {device}
        self.liars.add(device)

    @precondition(lambda self: self.checks)
    @rule()
    def check_ends_by_what_was_answered(self):
        check = self.checks.pop()
        if not isinstance(check.answer, Done):
            self.passed.add(check.job.ticket)
        wrong = isinstance(check.answer, Done) and check.answer.outcome != RIGHT
        error = "other leaves" if wrong else None
        self.take(self.supervisor.checked(check, error, self.now))

    check_ends = None

    @rule(answers=st.integers(0, 3))
    def flood(self, answers):
        """All cards are ready, one gets a job, and some orders are answered."""
        for device in DEVICES:
            self.child_gets_ready(device)
        self.give(WORK)
        for device in [*DEVICES, *DEVICES][:answers]:
            self.child_answers(device, None)

    @invariant()
    def every_answer_is_with_the_cpu_or_a_card(self):
        waiting, known = set(), {check.job.ticket for check in self.checks}
        for worker in self.supervisor.workers.values():
            for at in worker.jobs.values():
                if at not in worker.orders:
                    waiting.add(at.job.ticket)
                elif isinstance(at.job, cross_check.Recheck):
                    known.add(at.job.check.job.ticket)
        assert waiting <= known

    @invariant()
    def all_have_proved_themselves(self):
        for worker in self.supervisor.workers.values():
            worker.answers.unproven = 0
            worker.pace.setdefault("SyntheticWork", 0.5 / WORK.cost)


TestLifeOfCards = LifeOfCards.TestCase
TestLifeOfCards.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
