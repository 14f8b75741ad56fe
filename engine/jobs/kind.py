"""Interfaces of a kind of job and of a parsed job, and how a payload is refused.

JobRefused
├── InvalidPayload   invalid_payload  malformed, or it contradicts itself
├── TooLarge         too_large        beyond this worker's limits
└── Unsupported      unsupported      a kind, or a feature of one, that is not here
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from gettext import gettext as _
from typing import Any, Protocol

from engine.jobs.blobs import BlobRef, Blobs
from engine.runtime.errors import EngineError
from kernels.work import DeviceWork

Payload = Mapping[str, Any]


class JobRefused(EngineError):
    """A payload that is refused. `code` is the protocol's."""

    code = "invalid_payload"


class InvalidPayload(JobRefused):
    """Malformed, or it contradicts itself."""


class TooLarge(JobRefused):
    """More than this worker's limits allow."""

    code = "too_large"


class Unsupported(JobRefused):
    """A kind of job that is not here, or not enabled."""

    code = "unsupported"


@dataclass(frozen=True, slots=True)
class JobLimits:
    """Upper bounds for one job."""

    matrix_size: int = 16_384
    """Longest side of a matrix."""
    iterations: int = 4096
    multiply_adds: int = 1 << 42
    """n^3 * iterations, or whatever a kind counts."""
    data_bytes: int = 64 << 20
    """Each input, and the result: bytes."""
    memory_bytes: int = 4 << 30
    """What the work needs while it runs, by its own estimate."""

    def check_cost(self, multiply_adds: int) -> None:
        """Raise TooLarge for more multiply-adds than one job may take."""
        if multiply_adds > self.multiply_adds:
            sentence = _("the job takes more than {most} multiply-adds: {size}")
            raise TooLarge(sentence.format(size=multiply_adds, most=self.multiply_adds))

    def check_data(self, what: str, size: int) -> None:
        """Raise TooLarge for more bytes than one input or result may have."""
        if size > self.data_bytes:
            sentence = _("{what} has more than {most} bytes: {size}")
            raise TooLarge(sentence.format(size=size, most=self.data_bytes, what=what))

    def check_memory(self, size: int) -> None:
        """Raise TooLarge for more memory than one job may take."""
        if size > self.memory_bytes:
            sentence = _("the job takes more than {most} bytes of memory: {size}")
            raise TooLarge(sentence.format(size=size, most=self.memory_bytes))


class JobWork(DeviceWork, Protocol):
    """Parsed work. Worker and validator parse the same payload and get equal values."""

    @property
    def leaf_count(self) -> int:
        """Return the number of leaves of the result's tree."""

    @property
    def returns_data(self) -> bool:
        """Return whether `Outcome.data` is sent with the result."""

    def opening(self, result_hash: bytes, leaves: Sequence[int]) -> DeviceWork:
        """Return the work that answers `open`: its outcome's data are the siblings."""

    def check_leaves(self, result_hash: bytes, leaves: Sequence[int], siblings: bytes) -> None:
        """Check leaves that the validator drew. Raise InvalidProof or WrongResult."""


class JobKind(Protocol):
    """A plug-in for one `challenge_type`: parses payloads, and explains results to people."""

    name: str

    def blobs(self, payload: Payload, limits: JobLimits) -> tuple[BlobRef, ...]:
        """Return the blobs that the payload names. Raise JobRefused."""

    def parse(self, payload: Payload, limits: JobLimits, blobs: Blobs) -> JobWork:
        """Return the job. Raise JobRefused, or MissingBlob for data that is not in `blobs`."""

    def explain(self, payload: Payload, data: bytes | None, blobs: Blobs) -> str:
        """Return the result in words. `data` is the result's data, if it was sent."""
