"""Which task goes to which worker, when, and what is sent: `matching.py` with store and connections."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from engine.poc_protocol.frames import Capabilities, JobRequest
from engine.poc_protocol.strict_json import canonical
from engine.validator.market.actions import Action, Send
from engine.validator.market.connections import Connection, Connections
from engine.validator.market.matching import FEW_JOBS, Candidate, Need, choose
from engine.validator.store.database import Store
from engine.validator.store.jobs import JobRow
from engine.validator.store.requirements import Kinds, Requirements
from engine.validator.store.tasks import TaskRow
from engine.validator.store.workers import WorkerRow

LOOK_AHEAD = 256
"""Pending tasks considered at once when a worker is idle. The next look takes the first page and what
is behind these, so that tasks that no worker can do delay no other, however many they are.
"""
LOOK_AHEAD_BUSY = 4
"""The same where each has a next job: these tasks are for when it has done some of what it has."""
PAGE, LARGEST_PAGE = 16, 128
"""Pending tasks that are read at once: as many as are wanted, but once some were passed over `PAGE`."""

Tried = Mapping[str | None, float | None]
"""Workers that had a job of a task, and when their last one ended; None: it has not."""

MOST_JOBS = 128
"""Jobs at once over one connection, whatever its worker offers to take: no worker can hold all tasks,
and all jobs fit into the outbox of the connection.
"""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Times in seconds, and the number of attempts."""

    hello: float = 3.0
    """Until a worker without a hello is treated as one that knows only the guide's messages."""
    grace: float = 30.0
    lease: float = 60.0
    """For a job, on top of what the slowest worker needs."""
    slowest_rate: float = 1e9
    """Multiply-adds per second that any worker reaches."""
    rest: float = 5.0
    """Before a worker that said it is busy gets another job."""
    again: float = 30.0
    """Before a worker that failed a task may get it again."""
    attempts: int = 10


class Dispatch:
    """See the module."""

    def __init__(
        self,
        store: Store,
        kinds: Kinds,
        connections: Connections,
        *,
        timeouts: Timeouts,
        chance: random.Random,
        job_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._kinds = kinds
        self._connections = connections
        self._timeouts = timeouts
        self._chance = chance
        self._job_id = job_id
        self._passed_over = 0  # tasks that the looks before found nobody for

    def offer(self) -> tuple[list[Action], list[TaskRow]]:
        """Give pending tasks to free workers. Return also the tasks with too many attempts."""
        actions: list[Action] = []
        if not self._connections.changed:
            return [], []
        candidates = self._candidates()
        left_over: dict[str, TaskRow] = {}
        behind = first = 0
        while candidates and len(left_over) < self._look_ahead(candidates):
            room = sum(_room(one.capabilities, one.busy) for one in candidates)
            most = min(LARGEST_PAGE, max(room, PAGE) if left_over else room)
            # Each that is passed over would be kept from other validators: only the first are locked.
            pending = self._store.tasks.pending(
                most + len(left_over), behind, lock=not (left_over or behind)
            )
            page = [one for one in pending if one[0].task_id not in left_over]
            sent, left = self._offer(page, candidates, len(left_over))
            actions += sent
            left_over |= {task.task_id: task for task in left}
            if len(page) < most:
                break
            if behind < self._passed_over:
                behind, first = self._passed_over, len(left_over)
        seen = behind + len(left_over) - first
        self._passed_over = seen if len(left_over) >= LOOK_AHEAD else 0
        self._connections.changed = self._passed_over > 0  # the next look goes on behind these
        exhausted = [one for one in left_over.values() if one.attempts >= self._timeouts.attempts]
        return actions, exhausted

    @staticmethod
    def _look_ahead(candidates: list[Candidate]) -> int:
        """Return how many tasks that none of them takes are passed over."""
        if not candidates:
            return 0
        return LOOK_AHEAD if any(one.busy < FEW_JOBS for one in candidates) else LOOK_AHEAD_BUSY

    def _offer(
        self, page: list[tuple[TaskRow, bool]], candidates: list[Candidate], passed_over: int
    ) -> tuple[list[Action], list[TaskRow]]:
        """Give tasks to these workers, which are then busier. Return also the tasks that none takes.

        `page`: tasks, and whether each was tried. `passed_over`: so many were before.
        """
        again = [task.task_id for task, tried in page if tried]
        tried = self._store.jobs.tried(again) if again else {}
        chosen: list[tuple[TaskRow, Candidate]] = []
        left: list[TaskRow] = []
        for task, _tried in page:
            if passed_over + len(left) >= self._look_ahead(candidates):
                break
            worker = None
            if task.attempts < self._timeouts.attempts:
                worker = self._choose(task, candidates, tried.get(task.task_id, {}))
            if worker is None:
                left.append(task)
                continue
            chosen.append((task, worker))
            candidates.remove(worker)
            if _room(worker.capabilities, worker.busy + 1):
                candidates.append(replace(worker, busy=worker.busy + 1))
        if not chosen:
            return [], left
        actions: list[Action] = []
        with self._store.database.write():
            texts = self._store.tasks.claim([task for task, _worker in chosen])
            for task, worker in chosen:
                if (text := texts.get(task.task_id)) is not None:
                    actions += self._send(task, text, self._connection(worker), "first")
        lost = [task for task, _worker in chosen if task.task_id not in texts]
        if lost:  # another validator was first: its worker has room for the next
            candidates[:] = self._candidates()
        return actions, left + lost

    def to_second(self, task: TaskRow, other_than: str) -> list[Action] | None:
        """Give a task to a second worker, drawn by lot so that the first one cannot choose it."""
        candidates = [
            Candidate(one.connection, one.capabilities, one.busy, score=0.0, rate=one.rate)
            for one in self._candidates()
            if self._connection(one).address not in (None, other_than)
        ]
        tried = self._store.jobs.tried([task.task_id])[task.task_id]
        chosen = self._choose(task, candidates, tried)
        if chosen is None:
            return None
        text = self._store.tasks.text(task.task_id)
        return self._send(task, text, self._connection(chosen), "second")

    def send_again(self, job: JobRow, connection: Connection) -> list[Action]:
        """Send the job again: its worker is back, on this connection."""
        task = self._store.tasks.existing(job.task_id)
        connection.jobs.add(job.job_id)
        self._store.jobs.send_again(job.job_id, connection.nonce, self._lease(task.requirements))
        return [_send(connection, job, task, self._store.jobs.payload(job.job_id))]

    def _choose(self, task: TaskRow, candidates: list[Candidate], tried: Tried) -> Candidate | None:
        """Choose a worker that has not tried this task, else one that tried it a while ago."""
        now = self._store.clock()
        need = Need(task.requirements, task.deadline - now, self._timeouts.slowest_rate)
        fresh = [one for one in candidates if self._connection(one).address not in tried]
        found = choose(need, fresh, self._chance)
        if found is not None or not tried:
            return found
        rested = [
            one
            for one in candidates
            if now - (tried.get(self._connection(one).address, 0.0) or now) >= self._timeouts.again
        ]
        return choose(need, rested, self._chance)

    def _candidates(self) -> list[Candidate]:
        """Return the workers that may get another job now."""
        now = self._store.clock()
        free = [one for one in self._connections if _has_room(one, now)]
        addresses = {one.address for one in free if one.address is not None}
        workers = self._store.workers.find_all(addresses)
        found = (self._candidate(one, workers.get(one.address or "")) for one in free)
        return [candidate for candidate in found if candidate is not None]

    def _candidate(self, connection: Connection, worker: WorkerRow | None) -> Candidate | None:
        """Return the worker at this connection, unless it gets no jobs."""
        able, busy = connection.capabilities, len(connection.jobs)
        assert able is not None
        if connection.address is None:
            return Candidate(connection.id, able, busy, score=0.0, rate=None)
        if worker is None or worker.banned_at is not None:
            return None
        score = self._store.workers.score(worker)
        if score < self._store.policy.least_score:
            return None
        models = frozenset(connection.models)
        return Candidate(connection.id, able, busy, score, worker.rate, models)

    def _send(self, task: TaskRow, text: str, connection: Connection, role: str) -> list[Action]:
        job_id, posted = self._job_id(), json.loads(text)
        payload = self._kinds.for_worker(posted, job_id)
        own = payload is not posted
        job = self._store.jobs.send(
            job_id,
            task.task_id,
            text=canonical(payload) if own else text,
            own=own,
            role=role,
            worker=connection.address,
            nonce=connection.nonce,
            lease=self._lease(task.requirements),
        )
        connection.jobs.add(job_id)
        return [_send(connection, job, task, payload)]

    def _lease(self, requirements: Requirements) -> float:
        return self._timeouts.lease + requirements.cost / self._timeouts.slowest_rate

    def _connection(self, candidate: Candidate) -> Connection:
        connection = self._connections.find(candidate.connection)
        assert connection is not None
        return connection


def _has_room(connection: Connection, now: float) -> bool:
    able = connection.capabilities
    if able is None or connection.rests_until > now:
        return False
    return _room(able, len(connection.jobs)) > 0


def _room(able: Capabilities, busy: int) -> int:
    """Return how many more jobs a worker with so many takes."""
    return max(0, min(able.jobs, MOST_JOBS) - busy)


def _send(connection: Connection, job: JobRow, task: TaskRow, payload: dict[str, Any]) -> Send:
    frame = JobRequest(
        job_id=job.job_id, task_id=job.task_id, payload=payload, deadline=task.deadline
    )
    return Send(connection.id, frame)
