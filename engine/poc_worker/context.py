"""What the sessions with all validators share: key, devices, limits, ledger, blobs.

The limits are the worker's own. It tells them to validators in its hello, and holds to them whatever
a validator asks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from engine.jobs.blobs import BlobCache
from engine.jobs.kind import JobKind, JobLimits
from engine.monitor.reporter import Reporter
from engine.poc_protocol.constants import MAX_FRAME_BYTES
from engine.poc_protocol.frames import Capabilities
from engine.poc_worker.job_ledger import JobLedger, Known
from engine.poc_worker.standing import MOST_FAILURES
from engine.poc_worker.tally import Tally
from engine.pool.executor import Executor
from engine.runtime.completions import Completions
from engine.runtime.right_of_way import RightOfWay
from node_client.keys import PrivateKey

SILENT_JOBS = 64
"""Jobs of a validator that never challenged: it does not know `busy`, so its jobs wait in a line."""
MOST_WAITING_BYTES = 4 * MAX_FRAME_BYTES
"""Of a validator's payloads that are not answered yet."""
MOST_DEVICES_TOLD = 64
MOST_MODELS_TOLD = 64


class JobSlots:
    """How many jobs of one validator are at work, and how large they are.

    Each has its own, so that none can take the others' context.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self.inside = 0
        self._bytes = 0

    def enter(self, size: int, *, silent: bool) -> bool:
        """Take a job of `size` bytes in; False where there is no room. `silent`: without a hello."""
        most = max(self._jobs, SILENT_JOBS) if silent else self._jobs
        if self.inside >= most or self._bytes + size > MOST_WAITING_BYTES:
            return False
        self.inside += 1
        self._bytes += size
        return True

    def leave(self, size: int) -> None:
        """That job is answered, or will not be."""
        self.inside -= 1
        self._bytes -= size


@dataclass(slots=True)
class WorkerContext:
    """See the module.

    `jobs`: at once, of each validator. `failures`: of one that are allowed (`standing.py`).
    `chain_id`: where it is known, no other one is signed.
    """

    key: PrivateKey
    executor: Executor
    kinds: Mapping[str, JobKind]
    limits: JobLimits
    ledger: JobLedger
    blobs: BlobCache
    report: Reporter
    devices: tuple[str, ...] = ()
    jobs: int = 2
    failures: int = MOST_FAILURES
    chain_id: str | None = None
    cards: Mapping[str, int] = field(default_factory=dict)
    """Bytes of memory that each card has, as far as its sensors say."""
    tally: Tally = field(default_factory=Tally)
    completions: Completions = field(default_factory=Completions)
    """Of jobs that the executor was given."""
    answered: Callable[[Known], None] = field(default=lambda _known: None)
    """Told of each result that stands, maybe twice: see `engine/poc_worker/submission.py`."""
    way: RightOfWay = field(default_factory=RightOfWay)
    """A block's tasks pass before the next frame, answer or group of changes."""

    models: dict[str, None] = field(default_factory=dict)
    """SHA-256 of the models of the last jobs, the newest last."""

    def hold(self, model: str) -> None:
        """Take note that the model with this SHA-256 is here."""
        self.models.pop(model, None)
        self.models[model] = None
        while len(self.models) > MOST_MODELS_TOLD:
            del self.models[next(iter(self.models))]

    def capabilities(self) -> Capabilities:
        """What the hello says."""
        return Capabilities(
            kinds=tuple(sorted(self.kinds)),
            devices=self.devices[:MOST_DEVICES_TOLD],
            matrix_size=self.limits.matrix_size,
            iterations=self.limits.iterations,
            product=self.limits.multiply_adds,
            jobs=self.jobs,
            models=tuple(self.models),
        )
