"""Limits that both ends of the protocol keep, and the codes of errors."""

from typing import Literal

PROTOCOL = 1

MAX_FRAME_BYTES = 16 * 2**20
"""The longest text frame, in bytes of UTF-8."""
MAX_ITEMS = 2**18
"""Values in one frame: 16 MiB of brackets would grow to gigabytes of Python objects."""
FIRST_FRAME_BYTES = 64 * 2**10
"""The longest frame of a worker that has signed no hello yet."""
FIRST_ITEMS = 2**10
"""Values in one such frame."""
MAX_DEPTH = 32
"""How deep objects and lists may be nested."""
MAX_ID_LENGTH = 256
"""Characters of a job's or a task's id."""
MAX_TEXT_LENGTH = 1000
"""Characters of a reason, a message, a version."""

MAX_OPENED_LEAVES = 1024
"""Leaves of one `open`."""
MAX_OPENS = 4
"""How often a job may be opened."""
OPEN_SECONDS = 60.0
"""How long after its result a job can be opened, where no verdict comes before."""

CHUNK_BYTES = 2**20
"""The most bytes that one `blob_chunk` carries, before base64."""
INLINE_BYTES = 256 * 2**10
"""The most bytes of a result's data that its `job_result` itself may carry, before base64."""
MAX_BLOB_BYTES = 256 * 2**20
"""The most bytes that a model, an input or a result's data may have."""

ErrorCode = Literal[
    "unsupported",
    "invalid_payload",
    "too_large",
    "deadline",
    "cancelled",
    "expired",
    "failed",
    "busy",
]
"""Why a job has no result: see `frames.JobError`."""

RefusalCode = Literal["too_large", "not_text", "not_json", "invalid_field"]
"""Why a frame was refused, where it names no job: see `frames.ProtocolError`."""
