"""Every message of the protocol as a frozen value, and its text.

>>> encode(Cancel(job_id="7"))
'{"type": "cancel", "job_id": "7"}'

Marked (guide) are the two that a validator of the chain's guide knows. The worker sends its
`JobResult` at any time, and everything else only after it has said `Hello`. Fields beyond the
guide's are left out where they have no value.
"""

import json
from gettext import gettext as _
from typing import Annotated, Any, ClassVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from engine.poc_protocol.constants import (
    CHUNK_BYTES,
    INLINE_BYTES,
    MAX_BLOB_BYTES,
    MAX_FRAME_BYTES,
    MAX_ID_LENGTH,
    MAX_OPENED_LEAVES,
    MAX_TEXT_LENGTH,
    ErrorCode,
    RefusalCode,
)


def _base64_length(size: int) -> int:
    return -(-size // 3) * 4


def _printable(text: str) -> str:
    """Refuse control characters, which could write on an operator's terminal, and lone surrogates."""
    if not text.isprintable():
        raise ValueError(_("it must be printable"))
    return text


def _encodable(text: str) -> str:
    text.encode()  # a lone surrogate raises UnicodeEncodeError, which is a ValueError
    return text


def _as_tuple(value: Any) -> Any:
    """Strict pydantic takes no list for a tuple, and JSON has lists only."""
    return tuple(value) if isinstance(value, list) else value


def _distinct(positions: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(positions)) != len(positions):
        raise ValueError(_("a leaf is named twice"))
    return positions


Id = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_ID_LENGTH), AfterValidator(_printable)
]
ChainId = Annotated[str, StringConstraints(pattern=r"\A[!-~]{1,50}\z")]
"""As in `node_client/v3/answers.py`."""
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT_LENGTH), AfterValidator(_encodable)]
"""Free text. Remove control characters before printing it: `one_line`."""
Digest = Annotated[str, StringConstraints(pattern=r"\A[0-9a-f]{64}\z")]
Signature = Annotated[str, StringConstraints(pattern=r"\A[0-9a-f]{128}\z")]
PublicKey = Annotated[str, StringConstraints(pattern=r"\A[0-9a-f]{66}\z")]
LowerHex = Annotated[
    str, StringConstraints(pattern=r"\A([0-9a-f]{2})*\z", max_length=MAX_FRAME_BYTES)
]
UnixTime = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
Leaves = Annotated[
    tuple[Annotated[int, Field(ge=0, lt=2**32)], ...],
    Field(min_length=1, max_length=MAX_OPENED_LEAVES),
    BeforeValidator(_as_tuple),
    AfterValidator(_distinct),
]
Count = Annotated[int, Field(ge=0, lt=2**63)]
Offset = Annotated[int, Field(ge=0, lt=MAX_BLOB_BYTES)]
BlobSize = Annotated[int, Field(ge=1, le=MAX_BLOB_BYTES)]
Names = Annotated[tuple[Id, ...], Field(max_length=64), BeforeValidator(_as_tuple)]


class Model(BaseModel):
    """Strict: no text becomes a number. Unknown fields are left out; `decoder.py` counts them."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class Frame(Model):
    """One message. `kind` is its "type"."""

    kind: ClassVar[str]

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON object, without the optional fields that have no value."""
        values = self.model_dump()  # as they are: mode="json" would make an infinite number null
        return {"type": self.kind} | {
            name: values[name]
            for name, field in type(self).model_fields.items()
            if values[name] is not None or field.is_required()
        }


class Capabilities(Model):
    """What a worker takes; the worker enforces it, too."""

    kinds: Names
    """Kinds of jobs: what `payload["challenge_type"]` may be."""
    devices: Names
    matrix_size: Count
    """The largest n."""
    iterations: Count
    product: Count
    """The most multiply-adds of one job: n^3 * iterations of a synthetic one."""
    jobs: Count
    """Jobs at once."""
    models: Annotated[tuple[Digest, ...], Field(max_length=64), BeforeValidator(_as_tuple)] = ()
    """SHA-256 of the models that it holds: it need not fetch them, nor make them ready."""


# From the validator to the worker


class JobRequest(Frame):
    """(guide) Work. `deadline`, ours, is in Unix seconds."""

    kind = "job"
    job_id: Id
    task_id: Id
    payload: dict[str, Any]
    deadline: UnixTime | None = None


class Challenge(Frame):
    """Asks the worker to show that it has its key. `nonce`: 32 bytes."""

    kind = "challenge"
    protocol: Count
    chain_id: ChainId
    nonce: Digest


class Open(Frame):
    """Asks for the siblings of these leaves of a job's result."""

    kind = "open"
    job_id: Id
    leaves: Leaves


class Cancel(Frame):
    """The job is no longer wanted."""

    kind = "cancel"
    job_id: Id


class Verdict(Frame):
    """The validator's final decision on a job."""

    kind = "verdict"
    job_id: Id
    accepted: bool
    reason: Text = ""


# From the worker to the validator


class Hello(Frame):
    """Answers a challenge: the worker's proven identity, and what it takes."""

    kind = "hello"
    worker_address: Id
    pub_key: PublicKey
    signature: Signature
    """r || s over `digests.hello_digest`."""
    capabilities: Capabilities
    version: Text


class ResultData(Model):
    """A result's data: in the frame itself, or for a `BlobRequest` until the verdict, or 60 s."""

    sha256: Digest
    size: BlobSize
    inline: Annotated[str, StringConstraints(max_length=_base64_length(INLINE_BYTES))] | None = None
    """base64, where there are at most 256 KiB"""


class JobResult(Frame):
    """(guide) A job's result. After a hello it is signed.

    `data`, ours, is the result itself, where the kind of job has one beside the hash.
    """

    kind = "job_result"
    job_id: Id
    worker_address: Id
    result_hash: Digest
    proof: LowerHex | None
    signature: Signature | None = None
    """r || s over `digests.result_digest`."""
    data: ResultData | None = None


class JobError(Frame):
    """The job has no result, or what was asked about it is refused.

    unsupported      a kind that this worker does not take
    invalid_payload  malformed, or another payload under a known job_id
    too_large        beyond the worker's capabilities, or its memory
    deadline         the deadline passed, or cannot be kept
    cancelled        as the validator asked
    expired          asked for leaves or data too late: they are held for 60 s, until the verdict
    failed           the devices could not do it
    busy             as many jobs as the worker takes are at work
    """

    kind = "job_error"
    job_id: Id
    worker_address: Id
    code: ErrorCode
    message: Text


class ProtocolError(Frame):
    """A frame without a usable job_id was refused."""

    kind = "protocol_error"
    code: RefusalCode


class OpenedLeaves(Frame):
    """The siblings of the leaves asked for, in the proof's order, as hex."""

    kind = "opening"
    job_id: Id
    leaves: Leaves
    siblings: LowerHex


# Both ways: the side that lacks bytes asks for them


class BlobRequest(Frame):
    """Asks for `length` bytes of the blob with this SHA-256, from `offset` on.

    The worker asks for what a payload names (a model, its input), the validator for a result's data.
    """

    kind = "blob_request"
    job_id: Id
    sha256: Digest
    offset: Offset
    length: Annotated[int, Field(ge=1, le=CHUNK_BYTES)]


class BlobChunk(Frame):
    """Bytes of a blob from `offset` on, as base64; null if they are not available."""

    kind = "blob_chunk"
    job_id: Id
    sha256: Digest
    offset: Offset
    data: Annotated[str, StringConstraints(max_length=_base64_length(CHUNK_BYTES))] | None


FromValidator = JobRequest | Challenge | Open | Cancel | Verdict | BlobRequest | BlobChunk
FromWorker = Hello | JobResult | JobError | ProtocolError | OpenedLeaves | BlobRequest | BlobChunk

FROM_VALIDATOR: tuple[type[Frame], ...] = get_args(FromValidator)
FROM_WORKER: tuple[type[Frame], ...] = get_args(FromWorker)


def encode(frame: Frame) -> str:
    """Return the frame's text. Raises ValueError for a number that is not finite."""
    return json.dumps(frame.to_wire(), allow_nan=False)


def one_line(text: str, most: int = 200) -> str:
    """Return a peer's text as it may be printed: one line, no control characters."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text[:most])
