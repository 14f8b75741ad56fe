"""The supervisor's policy as a pure state machine: events and a clock in, actions out.

    supervisor = Supervisor(["cpu"], draw=draw_leaves)
    actions = supervisor.start(now=0.0)  # [Spawn("cpu", 1)]
    actions = supervisor.heard("cpu", 1, Ready("cpu", 0.8), now=1.0)

It starts no process and reads no clock: `pool.py` does what the actions say, and the tests drive this
file without either. How children come and go is in `device_life.py`; here is what they do with jobs:

    IDLE --Work--> BUSY --Computed--> OPENING --Opened--> CHECKING --> IDLE
         --Run---> BUSY --Done--------------------------> CHECKING --> IDLE

A child may have several jobs. It answers its orders in turn, but for those that overtake (`Began`), and
the state is that of the first one.
"""

from collections.abc import Callable, Iterable
from gettext import gettext as _
from itertools import chain

from engine.pool import messages
from engine.pool.actions import Accepted, Action, Check, Foresee, GivenUp, Kill, Opening, Tell
from engine.pool.cross_check import Recheck, agree
from engine.pool.dispatch import Dispatch
from engine.pool.job_queue import Job
from engine.pool.limits import Limits
from engine.pool.worker_state import ALIVE, Assignment, State, Worker
from kernels.task import Task

_ENDS_THE_SAME_WAY = frozenset({"InvalidTask", "InvalidJob"})
_NO_ROOM = frozenset({"TaskTooLarge"})
"""Kinds of failure that cost no child: on every device, and on this one."""
_UNFIT = frozenset({"DeviceUnavailable", "TaskTooLarge", "ProgramUpdated"})
"""Kinds of failure at the start that another start would only repeat."""


class Supervisor(Dispatch):
    """Policy over a set of devices, one child each. Not thread-safe; call it from one thread."""

    def __init__(
        self,
        devices: Iterable[str],
        *,
        draw: Callable[[Task, messages.Computed], tuple[int, ...]],
        limits: Limits | None = None,
        chance: Callable[[], float] | None = None,
    ) -> None:
        """`draw` picks the leaves to open of a computed task, `chance` jobs that are checked."""
        super().__init__(devices, limits or Limits(), chance)
        self._draw = draw

    def gather(self) -> None:
        """Give out no job before `give_out`: what happens meanwhile is taken together."""
        self._gathers = True

    def give_out(self, now: float) -> list[Action]:
        """Give jobs out for all that was told since `gather`."""
        self._gathers = False
        given, workers = self._hand_out(now), self.workers.values()
        return [*given, *chain.from_iterable(self._check_last(one, now) for one in workers)]

    @property
    def idle(self) -> bool:
        """Whether there is neither a job that waits nor one at a device."""
        return not self._backlog and not any(
            not at.job.unwanted for worker in self.workers.values() for at in worker.jobs.values()
        )

    def submit(self, job: Job, now: float) -> list[Action]:
        """Take a job; those of one priority are done in order of submission."""
        if job.name and (reason := self._backlog.quarantined.get(job.name)) is not None:
            return [GivenUp(job, "quarantined", reason)]
        self._backlog.put(job)
        return self._hand_out(now)

    def cancel(self, ticket: int, now: float) -> list[Action]:
        """Cancel a job; no action if there is no such job."""
        return self._stop_jobs(
            lambda job: job.ticket == ticket, "cancelled", _("it was cancelled"), now
        )

    def drop_pending(self, owner: str = "") -> list[Job]:
        """Take back this owner's jobs that no child was given."""
        return self._backlog.drop(lambda job: job.owner == owner)

    def tick(self, now: float) -> list[Action]:
        """Look at the clock, also for jobs whose time is over."""
        expired = self._stop_jobs(
            lambda job: job.expires is not None and now >= job.expires,
            "expired",
            _("its deadline passed"),
            now,
        )
        return expired + super().tick(now)

    def heard(
        self, device: str, generation: int, message: messages.FromChild, now: float
    ) -> list[Action]:
        """A child said something."""
        worker = self.workers.get(device)
        if worker is None or generation != worker.generation or worker.state not in ALIVE:
            return []  # a late word from a child that was replaced
        worker.last_heard = now
        head = worker.orders[0] if worker.orders else None
        if head is not None and getattr(message, "ticket", None) != head.job.ticket:
            head = None  # not an answer to the order that is next
        if head is not None and head.computed is None:
            head.took = now - head.given
        match message:
            case messages.Beat() if worker.may_talk(now):
                return self._on_beat(worker, message, now)
            case messages.Began(ticket) if self._overtakes(worker, ticket):
                self._begin_next(worker, now)
                return self._end_unwanted(worker, now)
            case messages.Compiling() if worker.may_compile(now, self._limits):
                return []
            case messages.Ready() if worker.state is State.STARTING:
                worker.start_seconds, worker.base_memory = message.seconds, worker.memory or None
                worker.restarts.started()
                self._begin_next(worker, now)
                return self._hand_out(now)
            case messages.Computed() if head is not None and head.computed is None:
                return self._on_computed(worker, head, message, now)
            case messages.Opened() if head is not None and head.computed is not None:
                answer = Opening(head.computed, head.leaves, message.siblings)
                return self._check(worker, head, answer, now)
            case messages.Done() if head is not None and head.computed is None:
                if isinstance(head.job.work, Task):
                    return self._end(worker, _("answered for another kind of job"), now, kill=True)
                return self._check(worker, head, message, now)
            case messages.Failed():
                return self._on_failed(worker, message, now)
        return self._end(worker, _("sent a message out of turn"), now, kill=True)

    def _overtakes(self, worker: Worker, ticket: int) -> bool:
        """Move the order to the front, which the child begins before those that it was told earlier.

        Once for each order: its time, and that of the one before it, run from now on.
        """
        at = worker.jobs.get(ticket)
        orders = 1 if at is None or at.computed is None else 2  # the second opens its leaves
        if at is None or at.overtook == orders or at not in list(worker.orders)[1:]:
            return False
        at.overtook = orders
        worker.orders.remove(at)
        worker.orders.appendleft(at)
        return True

    def checked(self, check: Check, error: str | None, now: float) -> list[Action]:
        """The answer was checked; `error` is None where it is right."""
        worker, job = self.workers.get(check.device), check.job
        if worker is None or check.generation != worker.generation or job.ticket not in worker.jobs:
            return []
        if error is not None:
            worker.restarts.was_wrong(now)
            reason = _("computed a wrong result: {error}").format(error=error)
            return self._end(worker, reason, now, kill=True, blamed=job, wrong=True)
        if worker.restarts.in_a_row or worker.restarts.on_probation:
            worker.restarts.succeeded()
        result = check.answer.computed if isinstance(check.answer, Opening) else check.answer
        actions = self._accept(worker, job, result)
        if not isinstance(result, messages.Computed):
            for held in worker.answers.passed(job):
                actions += self._accept(worker, held.job, held.answer)
        return actions + self._hand_out(now) + self._check_last(worker, now)

    def _accept(
        self, worker: Worker, job: Job, result: messages.Computed | messages.Done
    ) -> list[Action]:
        at = worker.jobs.pop(job.ticket)
        worker.keep_pace(job, min(result.seconds, at.took))
        if not worker.jobs:
            worker.state = State.IDLE
        if job.unwanted or isinstance(job, Recheck):
            return []
        return [Accepted(job, result, worker.device)]

    def _check_last(self, worker: Worker, now: float) -> list[Action]:
        """Where the child has nothing left to do, nothing later would stand for what is held."""
        if self._gathers or (held := worker.answers.last(now, busy=bool(worker.orders))) is None:
            return []
        return [Check(worker.device, worker.generation, held.job, held.answer)]

    def _on_computed(
        self, worker: Worker, head: Assignment, computed: messages.Computed, now: float
    ) -> list[Action]:
        if not isinstance(head.job.work, Task):
            return self._end(worker, _("answered for another kind of job"), now, kill=True)
        head.computed = computed
        head.leaves = self._draw(head.job.work, computed)
        worker.orders.rotate(-1)  # the child opens it after the jobs that it was given meanwhile
        self._begin_next(worker, now)
        tell = Tell(worker.device, worker.generation, messages.Open(computed.ticket, head.leaves))
        foresee = Foresee(head.job, computed, head.leaves)
        return [tell, foresee, *self._end_unwanted(worker, now)]

    def _check(
        self, worker: Worker, head: Assignment, answer: Opening | messages.Done, now: float
    ) -> list[Action]:
        """Have it checked; of a flood of jobs, only some (`check_share.py`)."""
        worker.orders.popleft()
        self._begin_next(worker, now)
        job, quick = head.job, worker.is_quick(head.job, self._limits)
        check = Check(worker.device, worker.generation, job, answer)
        actions: list[Action] = [check]
        if isinstance(job, Recheck) and isinstance(answer, messages.Done):
            actions = self._compare(worker, job, answer, now)
        elif isinstance(answer, messages.Done) and (
            worker.answers.holds(job, answer, now, quick=quick)
            or self._cross.takes(worker, check, quick=quick)
        ):
            actions = []
        actions += self._end_unwanted(worker, now) + self._hand_out(now)
        return actions + self._check_last(worker, now)

    def _compare(
        self, worker: Worker, job: Recheck, again: messages.Done, now: float
    ) -> list[Action]:
        """Another card computed an answer again: where they differ, the CPU says who is wrong."""
        (check,) = job.settle()
        if agree(check, again.outcome):
            return self._accept(worker, job, again) + self.checked(check, None, now)
        return [check, Check(worker.device, worker.generation, job, again)]

    def _on_failed(self, worker: Worker, failed: messages.Failed, now: float) -> list[Action]:
        said = f"{failed.kind}: {failed.detail}"
        if failed.ticket is None:
            if failed.kind == "WrongResult":
                worker.restarts.was_wrong(now)
            if failed.kind == messages.SHORTAGE:
                return self._end(worker, said, now, kill=True, passes=True)
            return self._end(worker, said, now, kill=True, out=failed.kind in _UNFIT)
        at = worker.jobs.get(failed.ticket)
        if at is None or at not in worker.orders:
            return []
        job = at.job
        if failed.kind not in _ENDS_THE_SAME_WAY | _NO_ROOM:
            return self._end(worker, said, now, kill=True, blamed=job)
        del worker.jobs[job.ticket]
        was_first = worker.orders[0] is at
        worker.orders.remove(at)
        if was_first:
            self._begin_next(worker, now)
        actions = self._end_unwanted(worker, now)
        if isinstance(job, Recheck):
            actions += job.settle()
        elif failed.kind in _NO_ROOM:
            job.refused_by[worker.device] = said
            self._some_refused = True
            if not job.unwanted:
                self._backlog.put_back(job)
        elif not job.unwanted:
            actions.append(GivenUp(job, "invalid", said))
        return actions + self._hand_out(now) + self._check_last(worker, now)

    def _stop_jobs(
        self, wanted: Callable[[Job], bool], code: str, reason: str, now: float
    ) -> list[Action]:
        """Give up what is `wanted`. A child at work on it is left to end, unless that takes long."""
        actions: list[Action] = [GivenUp(job, code, reason) for job in self._backlog.drop(wanted)]
        for worker in list(self.workers.values()):
            stopped = [
                at.job for at in worker.jobs.values() if not at.job.unwanted and wanted(at.job)
            ]
            for job in stopped:
                job.unwanted = reason
                actions.append(GivenUp(job, code, reason))
            if stopped:
                actions += self._end_unwanted(worker, now)
        return actions

    def _end_unwanted(self, worker: Worker, now: float) -> list[Action]:
        """Replace a child that would be longer at a job nobody wants than another one is starting."""
        job = worker.orders[0].job if worker.state is State.BUSY else None
        if job is None or not job.unwanted or not worker.outlasts_a_restart(job, now):
            return []
        reason = _("its job is no longer wanted: {reason}").format(reason=job.unwanted)
        actions: list[Action] = [Kill(worker.device, worker.generation, reason)]
        self._put_back(worker.take_jobs())
        return actions + self._spawn(worker, now) + self._hand_out(now)
