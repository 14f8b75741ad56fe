"""The container: safetensors (github.com/huggingface/safetensors), read and written strictly.

    8 bytes    length N of the header, little-endian
    N bytes    JSON: {"name": {"dtype", "shape", "data_offsets": [begin, end]}, ...,
                      "__metadata__": {string: string}}
    the rest   the tensors' bytes, little-endian, in C order, without gap or overlap

No pickle and no code: only lengths to be compared. Four integer types are enough here.
"""

import json
import math
from collections.abc import Mapping
from gettext import gettext as _
from gettext import ngettext
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.errors import InvalidNetwork

MAX_HEADER_BYTES = 1 << 20
MAX_TENSORS = 4096
MAX_DIMENSIONS = 6
DTYPES: dict[str, np.dtype[Any]] = {
    "I8": np.dtype("<i1"),
    "U8": np.dtype("<u1"),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
}

Tensor = npt.NDArray[Any]


def decode(content: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata. Raises InvalidNetwork for anything that is not exactly such a file."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or not 2 <= length <= min(MAX_HEADER_BYTES, len(content) - 8):
        raise InvalidNetwork(_("this is not a safetensors file: its header's length is wrong"))
    header = _read_json(content[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    if not _is_text_map(metadata):
        raise InvalidNetwork(_("__metadata__ must map strings to strings"))
    if len(header) > MAX_TENSORS:
        raise InvalidNetwork(
            _("there are more than {MAX_TENSORS} tensors: {count}").format(
                count=len(header), MAX_TENSORS=MAX_TENSORS
            )
        )
    data = memoryview(content)[8 + length :]
    spans = {name: _span(name, entry) for name, entry in header.items()}
    expected = 0
    for begin, end, *_rest in sorted(spans.values(), key=lambda span: span[:2]):
        if begin != expected:
            raise InvalidNetwork(_("the tensors overlap, or leave a gap"))
        expected = end
    if expected != len(data):
        raise InvalidNetwork(
            ngettext(
                "the tensors take {expected} byte, and {count} follow the header",
                "the tensors take {expected} bytes, and {count} follow the header",
                expected,
            ).format(expected=expected, count=len(data))
        )
    tensors = {
        name: np.frombuffer(data[begin:end], dtype).reshape(shape).copy()
        for name, (begin, end, dtype, shape) in spans.items()
    }
    return tensors, metadata


def encode(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """A file of these, in the order given."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    parts: list[bytes] = []
    offset = 0
    names = {dtype: name for name, dtype in DTYPES.items()}
    for name, tensor in tensors.items():
        little = tensor.dtype.newbyteorder("<")
        part = np.ascontiguousarray(tensor, little).tobytes()
        header[name] = {
            "dtype": names[little],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + len(part)],
        }
        parts.append(part)
        offset += len(part)
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)  # the format's own padding
    return len(text).to_bytes(8, "little") + text + b"".join(parts)


def read_json_object(text: bytes | str, what: str) -> dict[str, Any]:
    """A JSON object without a name given twice. Raises InvalidNetwork."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise InvalidNetwork(_("{what} gives a name twice").format(what=what))
        return dict(pairs)

    try:
        value = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise InvalidNetwork(_("{what} is not valid JSON").format(what=what)) from error
    if not isinstance(value, dict):
        raise InvalidNetwork(_("{what} is not a JSON object").format(what=what))
    return value


def _read_json(text: bytes) -> dict[str, Any]:
    if not text.startswith(b"{"):
        raise InvalidNetwork(_("this is not a safetensors file: its header is not a JSON object"))
    return read_json_object(text, _("the header"))


def _is_text_map(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _span(name: str, entry: object) -> tuple[int, int, np.dtype[Any], tuple[int, ...]]:
    """Begin, end, type and shape of a tensor, which fit one another."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise InvalidNetwork(
            _("tensor {name!r} needs dtype, shape and data_offsets").format(name=name[:60])
        )
    dtype = DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if dtype is None:
        raise InvalidNetwork(
            _("tensor {name!r} must be one of {names}").format(
                name=name[:60], names=", ".join(DTYPES)
            )
        )
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _are_counts(shape) or not 1 <= len(shape) <= MAX_DIMENSIONS or 0 in shape:
        raise InvalidNetwork(_("tensor {name!r} has no usable shape").format(name=name[:60]))
    if not _are_counts(offsets) or len(offsets) != 2:
        raise InvalidNetwork(_("tensor {name!r} has no usable data_offsets").format(name=name[:60]))
    begin, end = offsets
    if end - begin != math.prod(shape) * dtype.itemsize:
        raise InvalidNetwork(
            _("tensor {name!r} has another size than its shape").format(name=name[:60])
        )
    return begin, end, dtype, tuple(shape)


def _are_counts(value: object) -> bool:
    return isinstance(value, list) and all(
        type(number) is int and 0 <= number < 1 << 40 for number in value
    )
