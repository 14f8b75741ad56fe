"""A worker's commitment: whether the result is the worker's own, and what is drawn for its check."""

import random

from engine.poc_protocol.digests import result_digest, text_digest
from engine.poc_protocol.frames import JobResult
from engine.validator.market.connections import Connection
from engine.validator.store.database import Store
from engine.validator.store.jobs import JobRow
from engine.validator.store.tasks import TaskRow
from node_client.address import is_address
from node_client.keys import verify_digest


def fault_of(store: Store, connection: Connection, job: JobRow, frame: JobResult) -> str | None:
    """Return why a result does not count as the worker's of this connection; None where it does."""
    if connection.address is None:
        return None if is_address(frame.worker_address) else "its address is not valid"
    if frame.worker_address != connection.address:
        return "its address is not that of its hello"
    digest = result_digest(
        connection.nonce,
        job_id=job.job_id,
        task_id=job.task_id,
        payload=text_digest(store.jobs.text(job.job_id)),
        worker_address=frame.worker_address,
        result_hash=frame.result_hash,
        proof=frame.proof,
    )
    if not verify_digest(connection.public_key, digest, frame.signature or ""):
        return "its signature does not fit"
    return None


def draw(
    store: Store,
    chance: random.Random,
    job: JobRow,
    task: TaskRow,
    connection: Connection,
    frame: JobResult,
) -> JobRow:
    """Write down the commitment with all that is drawn for it; return the job as it is then.

    Drawn are leaves to be opened, and whether the whole is computed again: here ("self"), or by a
    second worker, with whose result the first one's is compared.
    """
    policy, requirements = store.policy, task.requirements
    worker = connection.address or frame.worker_address
    openable = requirements.leaves > 0 and not job.guest
    # A second worker's result is compared with the first's, or computed again.
    count = policy.openings_of(requirements.leaves) if openable and job.role == "first" else 0
    withheld = 0 if openable else store.rewards.withheld(worker)
    q = policy.full_probability(task.reward, withheld, openable=openable)
    full = "none"
    if job.guest:
        full = "self"
    elif job.role == "first" and chance.random() < q:
        share = 0.0 if requirements.own_seed else policy.second_probability(q, openable=openable)
        full = "second" if chance.random() < share else "self"
    return store.jobs.commit(
        job,
        worker,
        frame,
        leaves=sorted(chance.sample(range(requirements.leaves), count)),
        full=full,
        with_data=requirements.returns_data,
        public_key=connection.public_key or None,
    )
