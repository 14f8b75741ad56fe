"""`synthetic`: matrix_mult_v1 with a validator's own seed (PROTOCOL.md, Payloads).

Unknown fields are ignored: the guide's own validators send this kind and may add fields.
"""

import hashlib
import re
from gettext import gettext as _

from engine.jobs.blobs import BlobRef, Blobs
from engine.jobs.fields import whole_number
from engine.jobs.kind import InvalidPayload, JobLimits, JobWork, Payload
from engine.tasks.defaults import DEFAULT_OPENINGS
from kernels.errors import InvalidTask
from kernels.task import MAX_ITERATIONS, MAX_SIZE, SEED_BYTES, Task
from kernels.work.synthetic import SyntheticWork

MAX_SEED_DIGITS = 65_536
_HEX = re.compile(r"([0-9a-f]{2})*")


class Synthetic:
    """The kind `synthetic`."""

    name = "synthetic"

    def blobs(self, payload: Payload, limits: JobLimits) -> tuple[BlobRef, ...]:  # noqa: ARG002
        """Return nothing: a seed is not a blob."""
        return ()

    def parse(self, payload: Payload, limits: JobLimits, blobs: Blobs) -> JobWork:  # noqa: ARG002
        """Return the task, with a proof of 16 openings."""
        size = whole_number(payload, "matrix_size", most=MAX_SIZE, allowed=limits.matrix_size)
        iterations = whole_number(
            payload, "iterations", most=MAX_ITERATIONS, allowed=limits.iterations, default=1
        )
        limits.check_cost(size**3 * iterations)
        try:
            return SyntheticWork(Task(_seed(payload), size, iterations), DEFAULT_OPENINGS)
        except InvalidTask as error:
            raise InvalidPayload(str(error)) from error

    def explain(self, payload: Payload, data: bytes | None, blobs: Blobs) -> str:  # noqa: ARG002
        """Return a sentence: a hash cannot be explained."""
        return _("a synthetic task: its result is its hash")


def _seed(payload: Payload) -> bytes:
    text = payload.get("seed")
    if not isinstance(text, str) or len(text) > MAX_SEED_DIGITS or not _HEX.fullmatch(text):
        message = _("seed must be lower-case hex, an even number of digits, at most {most}")
        raise InvalidPayload(message.format(most=MAX_SEED_DIGITS))
    seed = bytes.fromhex(text)
    return seed if len(seed) == SEED_BYTES else hashlib.sha256(seed).digest()


KIND = Synthetic()
