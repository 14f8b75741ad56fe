"""Every message of the protocol as a frozen value, and its text.

>>> encode(Cancel(job_id="7"))
'{"type":"cancel","job_id":"7"}'

Marked (guide) are the two that a validator of the chain's guide knows. The worker sends its
`JobResult` at any time, and everything else only after it has said `Hello`. Fields beyond the
guide's are left out where they have no value.

What a field may hold is checked where a frame is decoded (`decoder.py`), and what an annotation cannot
say wherever one is made. Nothing here is converted: no text becomes a number.
"""

import json
from gettext import gettext as _
from typing import Annotated, Any, ClassVar, get_args

from msgspec import Meta, Struct, to_builtins
from msgspec.json import Encoder

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


Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_LENGTH)]
"""Printable: control characters could write on an operator's terminal."""
ChainId = Annotated[str, Meta(pattern=r"\A[!-~]{1,50}\Z")]
"""As in `node_client/v3/answers.py`."""
Text = Annotated[str, Meta(max_length=MAX_TEXT_LENGTH)]
"""Free text. Remove control characters before printing it: `one_line`."""
Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Signature = Annotated[str, Meta(pattern=r"\A[0-9a-f]{128}\Z")]
PublicKey = Annotated[str, Meta(pattern=r"\A[0-9a-f]{66}\Z")]
LowerHex = Annotated[str, Meta(max_length=MAX_FRAME_BYTES)]
"""Bytes, as lower-case hex."""
UnixTime = Annotated[float, Meta(ge=0, le=1e11)]
Leaves = Annotated[
    tuple[Annotated[int, Meta(ge=0, lt=2**32)], ...],
    Meta(min_length=1, max_length=MAX_OPENED_LEAVES),
]
"""Distinct."""
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Offset = Annotated[int, Meta(ge=0, lt=MAX_BLOB_BYTES)]
BlobSize = Annotated[int, Meta(ge=1, le=MAX_BLOB_BYTES)]
Names = Annotated[tuple[Id, ...], Meta(max_length=64)]


class Part(Struct, frozen=True, omit_defaults=True, gc=False):
    """A message, or an object in one. Unknown fields are left out; `decoder.py` counts them.

    Names the fields that are checked where one is made: those that must be printable, the free
    texts, and those of hex digits. Raises ValueError.
    """

    _printable: ClassVar[tuple[str, ...]] = ()
    _texts: ClassVar[tuple[str, ...]] = ()
    _hex: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for name in self._printable:
            value = getattr(self, name)
            if not (value if isinstance(value, str) else "".join(value)).isprintable():
                raise ValueError(_("{name}: it must be printable").format(name=name))
        for name in self._texts:
            getattr(self, name).encode()  # a lone surrogate raises UnicodeEncodeError, a ValueError
        for name in self._hex:
            value = getattr(self, name)
            if value is not None and not _is_lower_hex(value):
                raise ValueError(_("{name}: it must be lower-case hex").format(name=name))


class Frame(Part, frozen=True, tag_field="type"):
    """One message. `kind_of` gives its "type"."""

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON object, without the optional fields that have no value."""
        wire: dict[str, Any] = to_builtins(self)
        return wire


def kind_of(frame: Frame | type[Frame]) -> str:
    """Return the "type" of a message."""
    return str(frame.__struct_config__.tag)


def _is_lower_hex(text: str) -> bool:
    return (
        len(text) % 2 == 0
        and text.isascii()
        and not text.encode().translate(None, b"0123456789abcdef")
    )


class Capabilities(Part, frozen=True):
    """What a worker takes; the worker enforces it, too."""

    _printable = ("kinds", "devices")

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
    models: Annotated[tuple[Digest, ...], Meta(max_length=64)] = ()
    """SHA-256 of the models that it holds: it need not fetch them, nor make them ready."""


# From the validator to the worker


class JobRequest(Frame, frozen=True, tag="job"):
    """(guide) Work. `deadline`, ours, is in Unix seconds."""

    _printable = ("job_id", "task_id")

    job_id: Id
    task_id: Id
    payload: dict[str, Any]
    deadline: UnixTime | None = None


class Challenge(Frame, frozen=True, tag="challenge"):
    """Asks the worker to show that it has its key. `nonce`: 32 bytes."""

    protocol: Count
    chain_id: ChainId
    nonce: Digest


class _OfLeaves(Frame, frozen=True):
    _printable = ("job_id",)

    job_id: Id
    leaves: Leaves

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.leaves)) != len(self.leaves):
            raise ValueError(_("a leaf is named twice"))


class Open(_OfLeaves, frozen=True, tag="open"):
    """Asks for the siblings of these leaves of a job's result."""


class Cancel(Frame, frozen=True, tag="cancel"):
    """The job is no longer wanted."""

    _printable = ("job_id",)

    job_id: Id


class Verdict(Frame, frozen=True, tag="verdict"):
    """The validator's final decision on a job."""

    _printable = ("job_id",)
    _texts = ("reason",)

    job_id: Id
    accepted: bool
    reason: Text = ""


# From the worker to the validator


class Hello(Frame, frozen=True, tag="hello"):
    """Answers a challenge: the worker's proven identity, and what it takes."""

    _printable = ("worker_address",)
    _texts = ("version",)

    worker_address: Id
    pub_key: PublicKey
    signature: Signature
    """r || s over `digests.hello_digest`."""
    capabilities: Capabilities
    version: Text


class ResultData(Part, frozen=True):
    """A result's data: in the frame itself, or for a `BlobRequest` until the verdict, or 60 s."""

    sha256: Digest
    size: BlobSize
    inline: Annotated[str, Meta(max_length=_base64_length(INLINE_BYTES))] | None = None
    """base64, where there are at most 256 KiB"""


class JobResult(Frame, frozen=True, tag="job_result"):
    """(guide) A job's result. After a hello it is signed.

    `data`, ours, is the result itself, where the kind of job has one beside the hash.
    """

    _printable = ("job_id", "worker_address")
    _hex = ("proof",)

    job_id: Id
    worker_address: Id
    result_hash: Digest
    proof: LowerHex | None
    signature: Signature | None = None
    """r || s over `digests.result_digest`."""
    data: ResultData | None = None


class JobError(Frame, frozen=True, tag="job_error"):
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

    _printable = ("job_id", "worker_address")
    _texts = ("message",)

    job_id: Id
    worker_address: Id
    code: ErrorCode
    message: Text


class ProtocolError(Frame, frozen=True, tag="protocol_error"):
    """A frame without a usable job_id was refused."""

    code: RefusalCode


class OpenedLeaves(_OfLeaves, frozen=True, tag="opening"):
    """The siblings of the leaves asked for, in the proof's order, as hex."""

    _hex = ("siblings",)

    siblings: LowerHex


# Both ways: the side that lacks bytes asks for them


class BlobRequest(Frame, frozen=True, tag="blob_request"):
    """Asks for `length` bytes of the blob with this SHA-256, from `offset` on.

    The worker asks for what a payload names (a model, its input), the validator for a result's data.
    """

    _printable = ("job_id",)

    job_id: Id
    sha256: Digest
    offset: Offset
    length: Annotated[int, Meta(ge=1, le=CHUNK_BYTES)]


class BlobChunk(Frame, frozen=True, tag="blob_chunk"):
    """Bytes of a blob from `offset` on, as base64; null if they are not available."""

    _printable = ("job_id",)

    job_id: Id
    sha256: Digest
    offset: Offset
    data: Annotated[str, Meta(max_length=_base64_length(CHUNK_BYTES))] | None


FromValidator = JobRequest | Challenge | Open | Cancel | Verdict | BlobRequest | BlobChunk
FromWorker = Hello | JobResult | JobError | ProtocolError | OpenedLeaves | BlobRequest | BlobChunk

FROM_VALIDATOR: tuple[type[Frame], ...] = get_args(FromValidator)
FROM_WORKER: tuple[type[Frame], ...] = get_args(FromWorker)


_encoder = Encoder()


def encode(frame: Frame) -> str:
    """Return the frame's text. Raises ValueError for a number that is not finite."""
    if isinstance(frame, JobRequest):  # msgspec would write null for such a number
        return json.dumps(frame.to_wire(), allow_nan=False, separators=(",", ":"))
    return _encoder.encode(frame).decode()


def one_line(text: str, most: int = 200) -> str:
    """Return a peer's text as it may be printed: one line, no control characters."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text[:most])
