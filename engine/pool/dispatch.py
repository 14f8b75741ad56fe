"""Which child is given which job: each its first before any its second, as many as it has room for.

Also what a card is given to check (`cross_check.py`), and what goes back into the line.
"""

from collections.abc import Callable, Iterable
from gettext import gettext as _

from engine.pool import messages
from engine.pool.actions import Action, GivenUp, Tell
from engine.pool.cross_check import CrossChecks, Recheck
from engine.pool.device_life import DeviceLife
from engine.pool.job_queue import URGENT, Backlog, Job, new_ticket
from engine.pool.limits import Limits
from engine.pool.worker_state import Assignment, State, Worker
from kernels.task import Task


class Dispatch(DeviceLife):
    """Gives jobs to devices. What is heard of them is the subclass's."""

    def __init__(
        self, devices: Iterable[str], limits: Limits, chance: Callable[[], float] | None
    ) -> None:
        super().__init__(devices, limits, chance)
        self._backlog = Backlog()
        self._cross = CrossChecks(self._limits, self._chance)
        self._some_refused = self._gathers = False

    def _hand_out(self, now: float) -> list[Action]:
        """Give jobs to the children that have room for them: each its first before any its second."""
        if self._gathers:
            return []
        actions: list[Action] = []
        takers = [one for one in self.workers.values() if one.is_able] if self._backlog else []
        able = {worker.device for worker in takers}
        depth = 0 if len(takers) > 1 else self._limits.queued_most
        while takers:
            loads: dict[Worker, int] = {}
            for worker in takers:
                job = self._backlog.first(worker.device, able)
                if job is None or not worker.may_take(job):
                    continue
                load, last = worker.load(job)
                if load >= worker.room(last, self._limits):
                    continue
                if load <= depth:
                    self._backlog.remove(job)
                    actions.append(self._give(worker, job, now))
                    load += 1
                loads[worker] = load
            takers = list(loads)
            depth = max(depth, min(loads.values(), default=0))
        return actions + self._give_up_what_fits_nowhere() + self._cross_check(now)

    def _cross_check(self, now: float) -> list[Action]:
        """Have answers checked by cards that were given nothing else, or by the CPU."""
        actions: list[Action] = []
        for check, card in self._cross.hand_out(self.workers.values()):
            if card is None:
                actions.append(check)
            else:
                recheck = Recheck(new_ticket(), check.job.work, check=check)
                actions.append(self._give(card, recheck, now))
        return actions

    def _give_up_what_fits_nowhere(self) -> list[Action]:
        if not self._some_refused:
            return []
        self._some_refused = any(job.refused_by for job in self._backlog)
        in_service = {w.device for w in self.workers.values() if w.state is not State.OUT}
        refused = self._backlog.drop(lambda job: set() < in_service <= job.refused_by.keys())
        return [GivenUp(job, "too_large", list(job.refused_by.values())[-1]) for job in refused]

    def _give(self, worker: Worker, job: Job, now: float) -> Action:
        at = worker.jobs[job.ticket] = Assignment(job, now)
        worker.orders.append(at)
        if len(worker.orders) == 1:
            self._begin_next(worker, now)
        if isinstance(job.work, Task):
            work = messages.Work(job.ticket, job.work, job.openings)
            return Tell(worker.device, worker.generation, work)
        run = messages.Run(job.ticket, job.work, job.priority >= URGENT)
        return Tell(worker.device, worker.generation, run)

    def _begin_next(self, worker: Worker, now: float) -> None:
        """The child comes to its next order, whose time runs from now on; or it has none."""
        if not worker.orders:
            worker.state = State.CHECKING if worker.jobs else State.IDLE
            return
        limits, head = self._limits, worker.orders[0]
        worker.began = now
        if head.computed is not None:
            worker.state, patience = State.OPENING, limits.work_margin
        else:
            worker.state = State.BUSY
            pace = worker.pace.get(head.job.kind)
            if pace is None:
                patience = limits.start + head.job.cost / limits.slowest_rate
            else:
                patience = limits.work_margin + limits.work_factor * pace * head.job.cost
        worker.deadline = now + patience

    def _put_back(
        self, jobs: list[Job], blamed: Job | None = None, reason: str = ""
    ) -> list[Action]:
        actions: list[Action] = []
        for job in reversed(jobs):  # each goes before the one that it was before
            if isinstance(job, Recheck):
                actions += job.settle()
                continue
            if job is blamed:
                job.failures.append(reason)
                if len(job.failures) >= self._limits.attempts:
                    why = _("it took {count} children down; {reason}").format(
                        count=len(job.failures), reason=reason
                    )
                    self._backlog.quarantine(job, why)
                    actions.append(GivenUp(job, "quarantined", why))
                    continue
            self._backlog.put_back(job)
        return actions
