"""The supervisor's policy, driven without processes and with a clock of the test's own."""

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.pool.actions import Accepted, Check, Ended, GivenUp, Kill, OutOfService, Spawn, Tell
from engine.pool.job_queue import BLOCK_PRIORITY, URGENT, Job
from engine.pool.limits import Limits
from engine.pool.messages import (
    Beat,
    Began,
    Compiling,
    Computed,
    Done,
    Failed,
    Open,
    Opened,
    Ready,
    Run,
    Work,
)
from engine.pool.supervisor import Supervisor
from engine.pool.worker_state import ALIVE, MOST_UNCHECKED, State
from kernels.errors import WrongResult
from kernels.task import Task
from kernels.work import Outcome

TASK = Task(bytes(range(32)), 64)
LEAVES = (3, 5)
DEVICES = ("cuda:0", "cuda:1", "cuda:2")


def make(devices=("a",), *, chance=None, **limits):
    limits.setdefault("queued_quick", limits.get("queued", 1))
    return Supervisor(
        list(devices),
        draw=lambda task, computed: LEAVES,
        limits=Limits(**limits),
        chance=chance,
    )


def computed(ticket, seconds=0.5):
    return Computed(ticket, b"r" * 32, "01", "a", seconds)


def ready(supervisor, device="a", generation=1, now=1.0):
    return supervisor.heard(device, generation, Ready(device, 1.0), now)


@dataclass(frozen=True)
class Sum:
    """Work that is no block's task."""

    upto: int
    cost: int = 64**3
    bytes_needed: int = 0
    outcome_bytes: int = 32

    def run(self, device):
        return Outcome(self.upto.to_bytes(32))

    def check(self, outcome):
        if outcome != self.run(None):
            raise WrongResult("another number")


def do(supervisor, job, seconds, now=2.0):
    """The device `a` does it in so many seconds."""
    supervisor.submit(job, now - seconds)
    supervisor.heard("a", 1, computed(job.ticket, seconds), now)
    check = only(supervisor.heard("a", 1, Opened(job.ticket, b""), now), Check)
    only(supervisor.checked(check, None, now), Accepted)


def only(actions, kind):
    found = [action for action in actions if isinstance(action, kind)]
    assert len(found) == 1, actions
    return found[0]


@pytest.mark.parametrize(
    ("seconds", "given"), [(0.001, [2, 3, 4, 5]), (0.004, [2, 3, 4]), (1.0, [2])]
)
def test_a_quick_child_is_given_its_next_jobs_before_it_is_done(seconds, given):
    supervisor = make(queued_quick=3)
    supervisor.start(0.0)
    ready(supervisor)
    for ticket in range(1, 6):
        supervisor.submit(Job(ticket, TASK, 4), 1.5)
    orders = supervisor.workers["a"].orders
    assert [at.job.ticket for at in orders] == [1]  # its pace is not known
    supervisor.heard("a", 1, computed(1, seconds=seconds), 2.0)
    check = only(supervisor.heard("a", 1, Opened(1, b""), 2.1), Check)
    assert [at.job.ticket for at in orders] == [2]  # it goes on while its answer is checked
    supervisor.checked(check, None, 2.2)
    assert [at.job.ticket for at in orders] == given


def test_what_happens_in_one_turn_is_followed_by_one_look_at_what_each_child_may_have():
    """Also at whether a held answer is the last: not where jobs wait that were not given out yet."""
    supervisor = make(("a", "b"), check_share=0.0, queued_most=1)
    supervisor.start(0.0)
    for device in "ab":
        ready(supervisor, device)
    for worker in supervisor.workers.values():
        worker.answers.unproven, worker.pace["Sum"] = 0, 1e-9
    supervisor.gather()
    assert [supervisor.submit(Job(ticket, Sum(1), 0), 2.0) for ticket in (1, 2, 3)] == [[], [], []]
    told = [(tell.device, tell.message.ticket) for tell in supervisor.give_out(2.0)]
    assert told == [("a", 1), ("b", 2)]  # each its first before any its second
    answers = [Done(ticket, Sum(1).run(None), "", 0.1) for ticket in (1, 2)]
    supervisor.gather()
    assert supervisor.heard("a", 1, answers[0], 2.1) == []
    assert supervisor.heard("b", 1, answers[1], 2.1) == []
    tell, check = supervisor.give_out(2.1)
    assert (tell.device, tell.message.ticket) == ("a", 3)
    assert (check.device, check.job.ticket) == ("b", 2)  # nothing follows there


def opens(actions):
    """What the child is told of a task that it computed; its leaves are foreseen to be checked."""
    told, foreseen = actions
    message = told.message
    answer = foreseen.job.ticket, foreseen.computed.ticket, foreseen.leaves
    assert answer == (message.ticket, message.ticket, message.leaves)
    return told


def test_a_job_goes_from_work_to_accepted():
    supervisor = make()
    assert supervisor.start(0.0) == [Spawn("a", 1)]
    assert supervisor.submit(Job(7, TASK, 4), 0.5) == []  # waits until the child is ready
    assert ready(supervisor) == [Tell("a", 1, Work(7, TASK, 4))]
    assert opens(supervisor.heard("a", 1, computed(7), 2.0)) == Tell("a", 1, Open(7, LEAVES))
    check = only(supervisor.heard("a", 1, Opened(7, b""), 2.1), Check)
    assert not supervisor.idle
    accepted = only(supervisor.checked(check, None, 2.2), Accepted)
    assert accepted.job.ticket == 7
    assert supervisor.idle


def test_a_child_that_says_it_took_no_time_does_not_make_its_device_infinitely_fast():
    supervisor = make()
    supervisor.start(0.0)
    ready(supervisor)
    supervisor.submit(Job(1, TASK, 4), 1.5)
    supervisor.heard("a", 1, computed(1, seconds=0.0), 2.0)
    check = only(supervisor.heard("a", 1, Opened(1, b""), 2.1), Check)
    supervisor.checked(check, None, 2.2)
    assert all(pace > 0 for pace in supervisor.workers["a"].pace.values())


def test_a_dead_child_is_replaced_and_its_job_given_out_again():
    supervisor = make()
    supervisor.start(0.0)
    ready(supervisor)
    supervisor.submit(Job(1, TASK, 0), 2.0)
    assert supervisor.exited("a", 1, -9, 3.0) == [
        Ended("a", 1, "its process ended (signal 9)"),
        Spawn("a", 2),
    ]
    assert ready(supervisor, generation=2, now=4.0) == [Tell("a", 2, Work(1, TASK, 0))]


def test_a_wrong_result_is_never_accepted_and_its_child_is_killed():
    supervisor = make()
    supervisor.start(0.0)
    ready(supervisor)
    supervisor.submit(Job(1, TASK, 0), 2.0)
    supervisor.heard("a", 1, computed(1), 3.0)
    check = only(supervisor.heard("a", 1, Opened(1, b""), 3.0), Check)
    actions = supervisor.checked(check, "the leaves do not give the root", 3.1)
    assert only(actions, Kill).generation == 1
    assert not any(isinstance(action, Accepted) for action in actions)


def test_a_second_wrong_result_takes_the_device_out_of_service():
    supervisor = make()
    supervisor.start(0.0)
    supervisor.submit(Job(1, TASK, 0), 0.0)
    actions = []
    for generation in (1, 2):
        ready(supervisor, generation=generation)
        supervisor.heard("a", generation, computed(1), 2.0)
        check = only(supervisor.heard("a", generation, Opened(1, b""), 2.0), Check)
        actions = supervisor.checked(check, "wrong", 2.0)
        supervisor.tick(2.0)
    assert only(actions, OutOfService).device == "a"
    assert supervisor.all_out


def test_a_late_word_from_a_replaced_child_is_ignored():
    supervisor = make()
    supervisor.start(0.0)
    ready(supervisor)
    supervisor.submit(Job(1, TASK, 0), 2.0)
    supervisor.exited("a", 1, 1, 3.0)
    assert supervisor.heard("a", 1, computed(1), 3.1) == []
    assert supervisor.exited("a", 1, 1, 3.2) == []


def test_hang_is_seen_though_the_heart_beats():
    supervisor = make(work_margin=5.0, work_factor=2.0, silence=10.0)
    supervisor.start(0.0)
    ready(supervisor)
    job = Job(1, TASK, 0)
    supervisor.submit(job, 2.0)
    supervisor.heard("a", 1, computed(1, seconds=1.0), 3.0)
    check = only(supervisor.heard("a", 1, Opened(1, b""), 3.0), Check)
    supervisor.checked(check, None, 3.0)
    supervisor.tick(4.0)
    supervisor.submit(Job(2, TASK, 0), 4.0)  # known speed: 5 s + 2 * 1 s
    actions = []
    for second in range(5, 13):
        supervisor.heard("a", 1, Beat(), float(second))
        actions += supervisor.tick(float(second))
        if actions:
            break
    assert only(actions, Kill).reason.startswith("hung")
    assert second == 11


def test_a_job_gets_the_time_that_its_kernels_take_to_compile_but_not_for_ever():
    supervisor = make(start=180.0, silence=1e6, sleep=1e6)
    supervisor.start(0.0)
    ready(supervisor)
    do(supervisor, Job(1, TASK, 4), seconds=0.001)  # the next may take little more than 3 s
    supervisor.submit(Job(2, TASK, 4), 10.0)
    assert supervisor.heard("a", 1, Compiling(0, 2), 11.0) == []
    assert supervisor.tick(190.0) == []
    assert supervisor.heard("a", 1, Compiling(1, 2), 190.5) == []
    assert supervisor.tick(369.0) == []
    assert supervisor.heard("a", 1, Compiling(2, 2), 369.5) == []  # it had its time
    assert only(supervisor.tick(370.1), Kill).reason.startswith("hung")


def test_a_child_without_work_has_nothing_to_compile():
    supervisor = make()
    supervisor.start(0.0)
    ready(supervisor)
    assert only(supervisor.heard("a", 1, Compiling(0, 2), 1.1), Kill).reason.startswith("sent")


def test_a_job_that_took_a_child_down_waits_for_another_device():
    """One that fails at whatever it gets would have it quarantined before the other is free."""
    supervisor = make(("a", "b"))
    supervisor.start(0.0)
    for device in "ab":
        ready(supervisor, device)
    for ticket in (1, 2, 3):
        supervisor.submit(Job(ticket, TASK, 4), 2.0)
    supervisor.exited("a", 1, -9, 2.0)
    told = [only(ready(supervisor, "a", 2, 3.0), Tell)]
    computed_too = Computed(2, b"r" * 32, "01", "b", 0.5)
    supervisor.heard("b", 1, computed_too, 4.0)
    told.append(only(supervisor.heard("b", 1, Opened(2, b""), 4.0), Tell))
    assert [(tell.device, tell.message.ticket) for tell in told] == [("a", 3), ("b", 1)]


def test_a_job_that_took_a_child_down_is_tried_there_again_where_no_other_device_works():
    supervisor = make(("a", "b"))
    supervisor.start(0.0)
    ready(supervisor)
    supervisor.submit(Job(1, TASK, 4), 2.0)
    supervisor.exited("a", 1, -9, 2.0)
    assert only(ready(supervisor, "a", 2, 3.0), Tell).message.ticket == 1


def test_a_child_may_say_what_its_pipe_holds_and_not_go_on_so():
    supervisor = make()
    supervisor.start(0.0)
    ready(supervisor)
    for _beat in range(3000):  # the parent was stopped for so many seconds
        assert supervisor.heard("a", 1, Beat(), 3000.0) == []
    for second in range(1000):
        assert supervisor.heard("a", 1, Beat(), 3000.0 + second) == []
    said = (supervisor.heard("a", 1, Beat(), 4000.0) for _beat in range(5000))
    assert only(next(filter(None, said)), Kill).reason.startswith("sent")
    generation = supervisor.workers["a"].generation
    assert supervisor.heard("a", generation, Compiling(0, 2), 4000.0) == []


def test_silence_is_seen_before_the_deadline():
    supervisor = make(silence=3.0)
    supervisor.start(0.0)
    ready(supervisor, now=1.0)
    for tenths in range(10, 41, 5):
        assert supervisor.tick(tenths / 10) == []
    assert only(supervisor.tick(4.1), Kill).reason == "silent for 3 s"


def test_a_parent_that_slept_does_not_blame_its_children():
    supervisor = make(silence=3.0)
    supervisor.start(0.0)
    ready(supervisor, now=1.0)
    supervisor.tick(1.0)
    assert supervisor.tick(500.0) == []  # SIGSTOP, or the lid was closed
    assert only(supervisor.tick(501.4) + supervisor.tick(502.8) + supervisor.tick(504.1), Kill)


def test_restart_intensity_takes_a_device_out_and_the_cool_down_brings_it_back():
    supervisor = make(restarts=3, period=100.0, cooldown=50.0, backoff_most=0.0, sleep=1000.0)
    supervisor.start(0.0)
    actions = []
    for fall in range(4):
        generation = supervisor.workers["a"].generation
        ready(supervisor, generation=generation, now=float(fall))
        actions = supervisor.exited("a", generation, 1, float(fall))
        supervisor.tick(float(fall))
    assert only(actions, OutOfService).reason == (
        "its process ended (exit code 1); 4 failures within 1 min 40 s, and 3 is the most"
        " (--device-failures); it is tried again after 50 s"
    )
    assert supervisor.all_out
    assert only(supervisor.tick(53.0), Spawn)


def test_backoff_grows_and_success_resets_it():
    supervisor = make(restarts=100, starts=100)
    supervisor.start(0.0)
    waits = []
    now = 0.0
    for _ in range(6):
        worker = supervisor.workers["a"]
        supervisor.exited("a", worker.generation, 1, now)
        waits.append(worker.deadline - now if worker.state is State.BACKOFF else 0.0)
        while worker.state is State.BACKOFF:
            now += 1.0
            supervisor.tick(now)
    assert waits == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0]


def test_a_job_that_kills_its_children_is_given_up():
    supervisor = make(attempts=2, restarts=100)
    supervisor.start(0.0)
    supervisor.submit(Job(1, TASK, 0), 0.0)
    ready(supervisor)
    supervisor.exited("a", 1, -11, 2.0)
    ready(supervisor, generation=2, now=3.0)
    given_up = only(supervisor.exited("a", 2, -11, 4.0), GivenUp)
    assert "2 children" in given_up.reason
    assert supervisor.idle


def test_a_device_that_is_not_there_is_out_at_once():
    supervisor = make(("a", "b"))
    supervisor.start(0.0)
    actions = supervisor.heard("a", 1, Failed(None, "DeviceUnavailable", "no driver"), 1.0)
    assert "no driver" in only(actions, OutOfService).reason
    assert not supervisor.all_out


def test_a_task_too_large_does_not_cost_the_child():
    supervisor = make()
    supervisor.start(0.0)
    ready(supervisor)
    supervisor.submit(Job(1, TASK, 0), 1.0)
    actions = supervisor.heard("a", 1, Failed(1, "TaskTooLarge", "needs 12 GB"), 2.0)
    assert "12 GB" in only(actions, GivenUp).reason
    assert supervisor.workers["a"].state is State.IDLE


def test_a_child_that_never_gets_ready_takes_its_device_out_though_it_falls_rarely():
    supervisor = make(start=180.0, starts=3, period=300.0, silence_starting=1000.0, sleep=1000.0)
    supervisor.start(0.0)
    found = []
    for second in range(0, 2000, 10):
        found += [a for a in supervisor.tick(float(second)) if isinstance(a, OutOfService)]
        if found:
            break
    assert found[0].reason.startswith(
        "not ready after 180 s; 3 starts in a row failed, and 2 is the"
    )
    assert second < 3 * 190


def test_after_the_cool_down_one_fall_takes_a_device_out_again_and_for_longer():
    supervisor = make(restarts=0, cooldown=50.0, cooldown_most=150.0, sleep=1000.0)
    supervisor.start(0.0)
    now, waits = 0.0, []
    for _ in range(4):
        worker = supervisor.workers["a"]
        only(supervisor.exited("a", worker.generation, 1, now), OutOfService)
        waits.append(worker.deadline - now)
        now = worker.deadline
        only(supervisor.tick(now), Spawn)
    assert waits == [50.0, 100.0, 150.0, 150.0]
    # A job done right ends the probation.
    supervisor.submit(Job(1, TASK, 0), now)
    generation = supervisor.workers["a"].generation
    ready(supervisor, generation=generation, now=now)
    supervisor.heard("a", generation, computed(1), now)
    check = only(supervisor.heard("a", generation, Opened(1, b""), now), Check)
    supervisor.checked(check, None, now)
    assert not supervisor.workers["a"].restarts.on_probation


def test_a_child_whose_memory_grows_is_replaced_and_its_job_done_by_another():
    supervisor = make(memory=2**30)
    supervisor.start(0.0)
    ready(supervisor)
    supervisor.submit(Job(1, TASK, 0), 1.0)
    assert supervisor.heard("a", 1, Beat(2**30), 2.0) == []
    actions = supervisor.heard("a", 1, Beat(2**30 + 2**20), 3.0)
    assert only(actions, Kill).reason == "its memory grew to 1025 MiB, over its limit of 1024 MiB"
    assert ready(supervisor, generation=2, now=4.0) == [Tell("a", 2, Work(1, TASK, 0))]


def test_other_work_is_run_and_checked_by_itself():
    supervisor = make()
    supervisor.start(0.0)
    ready(supervisor)
    work = Sum(3)
    assert supervisor.submit(Job(1, work), 1.0) == [Tell("a", 1, Run(1, work))]
    done = Done(1, work.run(None), "a", 0.5)
    check = only(supervisor.heard("a", 1, done, 2.0), Check)
    assert check.answer is done
    assert only(supervisor.checked(check, None, 2.0), Accepted).result is done


@pytest.mark.parametrize("work", [TASK, "sum"])
def test_an_answer_for_another_kind_of_job_is_out_of_turn(work):
    supervisor = make()
    supervisor.start(0.0)
    ready(supervisor)
    supervisor.submit(Job(1, Sum(3) if work == "sum" else work), 1.0)
    answer = computed(1) if work == "sum" else Done(1, Outcome(bytes(32)), "a", 0.5)
    assert "another kind" in only(supervisor.heard("a", 1, answer, 2.0), Kill).reason


def test_the_more_urgent_job_comes_first_and_an_owner_drops_only_its_own():
    supervisor = make()
    supervisor.start(0.0)
    for ticket, owner, priority in ((1, "", 0), (2, "", 0), (3, "jobs", 1), (4, "jobs", 1)):
        supervisor.submit(Job(ticket, TASK, owner=owner, priority=priority), 0.0)
    assert only(ready(supervisor), Tell).message.ticket == 3
    assert [job.ticket for job in supervisor.drop_pending()] == [1, 2]
    assert (
        only(supervisor.heard("a", 1, Failed(3, "InvalidTask", "no"), 2.0), Tell).message.ticket
        == 4
    )


def test_a_job_past_its_deadline_is_given_up_wherever_it_is():
    supervisor = make(sleep=1000.0, silence=1000.0)
    supervisor.start(0.0)
    ready(supervisor)
    do(supervisor, Job(9, TASK), seconds=1.0)  # so that the device's pace is known
    supervisor.submit(Job(1, TASK, expires=10.0), 3.0)
    supervisor.submit(Job(2, TASK, expires=10.0), 3.0)
    assert supervisor.tick(9.9) == []
    assert {(a.job.ticket, a.code) for a in supervisor.tick(10.0)} == {
        (1, "expired"),
        (2, "expired"),
    }
    assert supervisor.idle
    # The child was nearly done: it is left to end, and what it says is thrown away.
    supervisor.heard("a", 1, computed(1), 10.5)
    check = only(supervisor.heard("a", 1, Opened(1, b""), 10.5), Check)
    assert supervisor.checked(check, None, 10.5) == []


def test_a_cancelled_job_that_outlasts_a_restart_ends_with_its_child():
    supervisor = make()
    supervisor.start(0.0)
    ready(supervisor)
    do(supervisor, Job(9, TASK), seconds=100.0)
    supervisor.submit(Job(1, TASK), 3.0)
    actions = supervisor.cancel(1, 4.0)
    assert only(actions, GivenUp).code == "cancelled"
    assert only(actions, Kill).generation == 1
    assert only(actions, Spawn).generation == 2
    assert supervisor.cancel(1, 4.0) == []


def test_a_quarantined_name_is_not_given_out_again():
    supervisor = make(restarts=100)
    supervisor.start(0.0)
    supervisor.submit(Job(1, TASK, name="poison"), 0.0)
    for generation in (1, 2):
        ready(supervisor, generation=generation)
        actions = supervisor.exited("a", generation, -11, 2.0)
        supervisor.tick(4.0)
    assert only(actions, GivenUp).code == "quarantined"
    ready(supervisor, generation=3)
    assert only(supervisor.submit(Job(2, TASK, name="poison"), 5.0), GivenUp).code == "quarantined"
    assert only(supervisor.submit(Job(3, TASK, name="fine"), 5.0), Tell)


def test_a_job_too_large_for_one_device_is_done_by_another_and_given_up_by_all():
    supervisor = make(("a", "b"))
    supervisor.start(0.0)
    ready(supervisor, "a")
    ready(supervisor, "b")
    supervisor.submit(Job(1, TASK), 1.0)
    told = only(supervisor.heard("a", 1, Failed(1, "TaskTooLarge", "needs 12 GB"), 2.0), Tell)
    assert told.device == "b"
    actions = supervisor.heard("b", 1, Failed(1, "TaskTooLarge", "needs 12 GB"), 3.0)
    assert only(actions, GivenUp).code == "too_large"
    assert supervisor.idle


def test_devices_come_and_go():
    supervisor = make(())
    assert supervisor.start(0.0) == []
    supervisor.submit(Job(1, TASK), 0.0)
    assert supervisor.add("a", 1.0) == [Spawn("a", 1)]
    assert supervisor.add("a", 1.0) == []
    ready(supervisor)
    assert supervisor.remove("a", 2.0, "the node left") == [Kill("a", 1, "the node left")]
    assert supervisor.heard("a", 1, computed(1), 2.1) == []
    assert supervisor.add("a", 3.0) == [Spawn("a", 2)]
    job = only(ready(supervisor, generation=2, now=4.0), Tell)
    assert job.message.ticket == 1


def working(queued, tickets, devices=("a",), **limits):
    """A supervisor whose first device has these jobs, at most `queued` of them at its child."""
    supervisor = make(devices, queued=queued, **limits)
    supervisor.start(0.0)
    for ticket in tickets:
        supervisor.submit(Job(ticket, TASK), 0.5)
    return supervisor, ready(supervisor)


def tickets(actions):
    return [action.message.ticket for action in actions if isinstance(action, Tell)]


def test_several_jobs_wait_at_a_child_and_are_answered_in_turn():
    supervisor, actions = working(3, [1, 2, 3, 4])
    assert actions == [Tell("a", 1, Work(ticket, TASK, 0)) for ticket in (1, 2, 3)]
    assert opens(supervisor.heard("a", 1, computed(1), 2.0)) == Tell("a", 1, Open(1, LEAVES))
    assert supervisor.workers["a"].state is State.BUSY  # with the second, which was there before
    assert opens(supervisor.heard("a", 1, computed(2), 3.0)) == Tell("a", 1, Open(2, LEAVES))
    assert opens(supervisor.heard("a", 1, computed(3), 4.0)) == Tell("a", 1, Open(3, LEAVES))
    assert supervisor.workers["a"].state is State.OPENING
    check, told = supervisor.heard("a", 1, Opened(1, b""), 4.1)
    assert check.answer.computed == computed(1)
    assert told == Tell("a", 1, Work(4, TASK, 0))  # it does not wait for the check
    assert only(supervisor.checked(check, None, 4.2), Accepted).job.ticket == 1
    check = only(supervisor.heard("a", 1, Opened(2, b""), 4.3), Check)
    assert only(supervisor.checked(check, None, 4.3), Accepted).job.ticket == 2


@pytest.mark.parametrize(
    "message", [computed(2), Opened(1, b""), Done(1, Outcome(bytes(32)), "a", 0.5), Opened(2, b"")]
)
def test_an_answer_before_its_turn_costs_the_child(message):
    supervisor, _ = working(2, [1, 2])
    reason = "another kind" if isinstance(message, Done) else "out of turn"
    assert reason in only(supervisor.heard("a", 1, message, 2.0), Kill).reason


def test_the_jobs_of_a_dead_child_are_given_out_again_in_order_and_one_is_blamed():
    supervisor, _ = working(3, [1, 2, 3, 4], restarts=100)
    supervisor.heard("a", 1, computed(1), 2.0)  # so the second one is at work
    supervisor.exited("a", 1, -9, 3.0)
    assert tickets(ready(supervisor, generation=2, now=4.0)) == [1]  # the second has to be alone
    supervisor.heard("a", 2, computed(1), 5.0)
    actions = supervisor.heard("a", 2, Opened(1, b""), 5.0)
    assert tickets(actions) == [2]
    (suspect,) = supervisor.workers["a"].orders
    assert suspect.job.failures == ["a: its process ended (signal 9)"]
    supervisor.heard("a", 2, computed(2), 6.0)
    actions = supervisor.heard("a", 2, Opened(2, b""), 6.0)
    assert tickets(actions) == [3, 4]
    assert not any(at.job.failures for at in supervisor.workers["a"].orders)


def test_an_urgent_job_overtakes_what_waits_at_the_child_and_has_its_own_time():
    supervisor, _ = working(3, [1, 2, 3], start=10.0, slowest_rate=1e9, silence=1e9, sleep=1e9)
    supervisor.submit(Job(4, TASK), 1.0)
    (told,) = supervisor.submit(Job(5, TASK, priority=BLOCK_PRIORITY), 2.0)
    assert told == Tell("a", 1, Work(5, TASK, 0))  # though the child has as many as it may
    supervisor.heard("a", 1, computed(1), 8.0)
    assert supervisor.heard("a", 1, Began(5), 8.0) == []
    assert [at.job.ticket for at in supervisor.workers["a"].orders] == [5, 2, 3, 1]
    assert supervisor.tick(17.0) == []
    assert opens(supervisor.heard("a", 1, computed(5), 17.0)) == Tell("a", 1, Open(5, LEAVES))
    supervisor.heard("a", 1, Began(5), 17.0)  # its leaves, before the second
    assert only(supervisor.heard("a", 1, Opened(5, b""), 17.0), Check).job.ticket == 5
    assert supervisor.tick(26.0) == []
    assert only(supervisor.tick(28.0), Kill).reason.startswith("hung")
    told = [action.message.ticket for action in ready(supervisor, generation=2, now=29.0)]
    assert told == [5, 1]  # the second, which the child was at, has to be alone


@pytest.mark.parametrize("told", [[1], [2, 2], [9]])
def test_a_child_that_says_it_began_what_it_cannot_have_begun_goes(told):
    supervisor, _ = working(3, [1, 2, 3])
    actions = [action for one in told for action in supervisor.heard("a", 1, Began(one), 2.0)]
    assert "out of turn" in only(actions, Kill).reason


def test_only_the_job_that_takes_children_down_is_quarantined():
    supervisor, _ = working(3, [1, 2, 3], restarts=100, attempts=2, sleep=1e9)
    supervisor.exited("a", 1, -9, 2.0)
    ready(supervisor, generation=2, now=3.0)
    assert only(supervisor.exited("a", 2, -9, 4.0), GivenUp).job.ticket == 1
    supervisor.tick(5.0)
    assert tickets(ready(supervisor, generation=3, now=6.0)) == [2, 3]


def test_each_job_has_its_own_deadline_which_begins_with_it():
    supervisor, _ = working(2, [1, 2], start=10.0, slowest_rate=1e9, silence=1e9, sleep=1e9)
    assert supervisor.tick(10.9) == []
    supervisor.heard("a", 1, computed(1), 10.9)
    assert supervisor.tick(11.1) == []  # the first one's would be over
    supervisor.heard("a", 1, computed(2), 20.0)
    assert supervisor.tick(22.9) == []
    assert only(supervisor.tick(23.1), Kill).reason.startswith("hung")  # it does not open the first


def test_each_device_gets_its_first_job_before_another_gets_a_second():
    supervisor = make(("a", "b"), queued=2)
    supervisor.start(0.0)
    ready(supervisor, "a")
    ready(supervisor, "b")
    supervisor.pause("a", "hot")
    supervisor.pause("b", "hot")
    for ticket in (1, 2, 3):
        assert supervisor.submit(Job(ticket, TASK), 1.0) == []
    assert supervisor.resume("a", 2.0)[0].message.ticket == 1
    assert tickets(supervisor.resume("b", 2.0)) == [3]
    supervisor, actions = working(2, [1, 2, 3], devices=("a", "b"))
    assert tickets(actions) == [1, 2]
    assert tickets(ready(supervisor, "b")) == [3]


def test_what_a_child_was_given_is_not_dropped():
    supervisor, _ = working(2, [1, 2, 3])
    assert [job.ticket for job in supervisor.drop_pending()] == [3]


def test_an_unwanted_job_that_waited_at_a_child_costs_it_when_it_begins_and_would_take_long():
    supervisor = make(queued=2)
    supervisor.start(0.0)
    ready(supervisor)
    do(supervisor, Job(9, TASK), seconds=100.0)
    for ticket in (1, 2, 3):
        supervisor.submit(Job(ticket, TASK), 3.0)
    assert only(supervisor.cancel(2, 4.0), GivenUp).job.ticket == 2  # it waits there
    actions = supervisor.heard("a", 1, computed(1), 5.0)
    assert "no longer wanted" in only(actions, Kill).reason
    only(actions, Spawn)
    assert tickets(ready(supervisor, generation=2, now=6.0)) == [1, 3]


class Life(RuleBasedStateMachine):
    """Random lives of three children: jobs end once, and never without a check that was right."""

    queued = 1
    works = (TASK, Sum(3))
    options: ClassVar = {}
    first = 1
    """Its jobs' first ticket."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.supervisor = make(
            DEVICES,
            silence=5.0,
            restarts=3,
            period=60.0,
            cooldown=30.0,
            memory=2**30,
            queued=self.queued,
            **self.options,
        )
        self.tickets = self.first - 1
        self.submitted, self.ended, self.dropped = set(), [], set()
        self.passed = set()
        self.checks = []
        self.processes = {}  # device -> generation of the live process
        self.told = defaultdict(deque)  # what it has not answered yet
        self.paused, self.withdrawn = set(), set()
        self.take(self.supervisor.start(self.now))

    def take(self, actions):
        for action in actions:
            match action:
                case Spawn():
                    assert action.device not in self.processes, "two children of one device"
                    assert action.device not in self.withdrawn, "a faulty device came back"
                    self.processes[action.device] = action.generation
                    self.told.pop(action.device, None)
                case Kill():
                    assert self.processes.pop(action.device) == action.generation
                    self.told.pop(action.device, None)
                case Tell():
                    assert self.processes[action.device] == action.generation
                    assert action.device not in self.paused or isinstance(action.message, Open)
                    self.told[action.device].append(action.message)
                case Check():
                    self.checks.append(action)
                case Accepted():
                    assert self.was_right(action)
                    self.ended.append(action.job.ticket)
                case GivenUp():
                    self.ended.append(action.job.ticket)

    def was_right(self, accepted):
        return accepted.job.ticket in self.passed

    def outcome_of(self, work, _device):
        return work.run(None)

    @rule(
        work=st.data(),
        priority=st.sampled_from([0, 1, BLOCK_PRIORITY]),
        seconds=st.none() | st.floats(0.5, 60.0),
        name=st.sampled_from(["", "n", "m"]),
    )
    def submit(self, work, priority, seconds, name):
        self.give(work.draw(st.sampled_from(self.works)), priority, seconds, name)

    def give(self, work, priority=0, seconds=None, name=""):
        self.tickets += 1
        self.submitted.add(self.tickets)
        job = Job(
            self.tickets,
            work,
            name=name,
            owner="jobs" if priority else "",
            priority=priority,
            expires=None if seconds is None else self.now + seconds,
        )
        self.take(self.supervisor.submit(job, self.now))

    @precondition(lambda self: self.submitted)
    @rule(data=st.data())
    def cancel(self, data):
        ticket = data.draw(st.integers(self.first, self.tickets))
        over = ticket in self.ended or ticket in self.dropped
        actions = self.supervisor.cancel(ticket, self.now)
        assert [a.job.ticket for a in actions if isinstance(a, GivenUp)] == [ticket] * (not over)
        self.take(actions)

    @rule(device=st.sampled_from(DEVICES))
    def child_gets_ready(self, device):
        worker = self.supervisor.workers.get(device)
        if worker is not None and worker.state is State.STARTING:
            self.take(
                self.supervisor.heard(device, self.processes[device], Ready(device, 1.0), self.now)
            )

    @rule(device=st.sampled_from(DEVICES))
    def child_overtakes(self, device):
        """It reads its queue, and begins an opening or something urgent before the rest."""
        told = self.told[device]
        later = list(told)[1:] if device in self.processes else []
        for order in later:
            if isinstance(order, Open) or (isinstance(order, Run) and order.urgent):
                told.remove(order)
                told.appendleft(order)
                began = Began(order.ticket)
                self.take(self.supervisor.heard(device, self.processes[device], began, self.now))
                return

    @rule(
        device=st.sampled_from(DEVICES),
        fails=st.sampled_from([None, None, None, "Oops", "TaskTooLarge", "InvalidTask"]),
    )
    def child_answers(self, device, fails):
        if device not in self.processes or not self.told[device]:
            return
        match self.told[device].popleft():
            case Work(ticket=ticket) | Run(ticket=ticket) if fails:
                message = Failed(ticket, fails, "no")
            case Work(ticket=ticket):
                message = computed(ticket)
            case Run(ticket=ticket, work=work):
                message = Done(ticket, self.outcome_of(work, device), device, 0.5)
            case Open(ticket=ticket):
                message = Opened(ticket, b"")
        self.take(self.supervisor.heard(device, self.processes[device], message, self.now))

    @precondition(lambda self: self.checks)
    @rule(right=st.booleans())
    def check_ends(self, right):
        check = self.checks.pop()
        if right:
            self.passed.add(check.job.ticket)
        error = None if right else "wrong"
        self.take(self.supervisor.checked(check, error, self.now))

    @rule(device=st.sampled_from(DEVICES), code=st.sampled_from([-9, -11, 0, 1, None]))
    def child_dies(self, device, code):
        if device in self.processes:
            generation = self.processes.pop(device)
            self.told.pop(device, None)
            self.take(self.supervisor.exited(device, generation, code, self.now))

    @rule(seconds=st.sampled_from([0.1, 1.0, 2.4, 30.0]), heard=st.booleans())
    def time_passes(self, seconds, heard):
        self.now += seconds
        if heard:
            for device, generation in list(self.processes.items()):
                self.take(self.supervisor.heard(device, generation, Beat(), self.now))
        self.take(self.supervisor.tick(self.now))

    @rule(device=st.sampled_from(DEVICES))
    def pause(self, device):
        if device not in self.supervisor.workers:
            return
        self.paused.add(device)
        self.supervisor.pause(device, "it is hot")

    @rule(device=st.sampled_from(DEVICES))
    def resume(self, device):
        if device not in self.supervisor.workers:
            return
        self.paused.discard(device)
        self.take(self.supervisor.resume(device, self.now))

    @precondition(
        lambda self: len(self.submitted) > 3 and not self.withdrawn
    )  # late, and not all three
    @rule(device=st.sampled_from(DEVICES))
    def withdraw(self, device):
        if device not in self.supervisor.workers:
            return
        self.withdrawn.add(device)
        self.take(self.supervisor.withdraw(device, "its memory is broken", self.now))
        worker = self.supervisor.workers[device]
        assert (worker.state, worker.reason) == (State.OUT, "its memory is broken")

    @rule(device=st.sampled_from(DEVICES))
    def child_grows(self, device):
        if device in self.processes:
            fat = Beat(2**40)
            self.take(self.supervisor.heard(device, self.processes[device], fat, self.now))
            assert device not in self.processes or not self.told[device]

    @rule(device=st.sampled_from(DEVICES[1:]))
    def device_goes(self, device):
        self.take(self.supervisor.remove(device, self.now, "unplugged"))
        self.withdrawn.discard(device)
        self.paused.discard(device)

    @rule(device=st.sampled_from(DEVICES[1:]))
    def device_comes(self, device):
        self.take(self.supervisor.add(device, self.now))

    @rule()
    def drop(self):
        self.dropped |= {job.ticket for job in self.supervisor.drop_pending()}

    @invariant()
    def every_job_ends_at_most_once(self):
        assert len(self.ended) == len(set(self.ended))
        assert not self.dropped & set(self.ended)
        if self.supervisor.idle:
            assert self.submitted == self.dropped | set(self.ended)

    @invariant()
    def a_child_lives_exactly_where_the_policy_says_so(self):
        workers = self.supervisor.workers
        assert {name for name in workers if workers[name].state in ALIVE} == set(self.processes)

    @invariant()
    def what_a_child_is_told_is_what_the_policy_waits_for(self):
        for device, worker in self.supervisor.workers.items():
            awaited = [at.job.ticket for at in worker.orders]
            assert awaited == [message.ticket for message in self.told[device]]
            assert set(awaited) <= worker.jobs.keys()
            urgent = [at for at in worker.orders if at.job.priority >= URGENT]
            assert len(urgent) <= self.queued
            assert len(worker.orders) - len(urgent) <= self.queued
            assert len(worker.jobs) < 2 * self.queued + MOST_UNCHECKED


class LifeOfThree(Life):
    """The same with up to three jobs at a child."""

    queued = 3


TestLife = Life.TestCase
TestLifeOfThree = LifeOfThree.TestCase
TestLife.settings = TestLifeOfThree.settings = settings(
    max_examples=120, stateful_step_count=60, deadline=None
)
