"""`matmul`: the exact int32 product of a customer's two int8 matrices (docs/jobs.md)."""

from gettext import gettext as _
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.jobs.arrays import load_matrix
from engine.jobs.blobs import BlobCache, BlobRef, Blobs
from engine.jobs.fields import carry, check_known, data_of, flag, named_blobs, whole_number
from engine.jobs.kind import InvalidPayload, JobLimits, JobWork, Payload
from engine.runtime.errors import BadInput
from kernels.commit.rows import MatrixForm
from kernels.errors import InvalidTask
from kernels.product import MAX_SUM_LENGTH
from kernels.work.matmul import MAX_SIDE, MatrixWork

FIELDS = ("m", "k", "n", "a", "b", "return_data")


class MatMul:
    """The kind `matmul`."""

    name = "matmul"

    def blobs(self, payload: Payload, limits: JobLimits) -> tuple[BlobRef, ...]:
        """Return A and B, if they are named."""
        check_known(payload, FIELDS)
        _sides(payload, limits)
        return named_blobs(payload, ("a", "b"), limits)

    def parse(self, payload: Payload, limits: JobLimits, blobs: Blobs) -> JobWork:
        """Return the product as work."""
        check_known(payload, FIELDS)
        m, k, n = _sides(payload, limits)
        returns_data = flag(payload, "return_data", default=True)
        a, b = (data_of(payload, name, limits, blobs) for name in ("a", "b"))
        try:
            return MatrixWork(m, k, n, a, b, returns_data)
        except InvalidTask as error:
            raise InvalidPayload(str(error)) from error

    def explain(self, payload: Payload, data: bytes | None, blobs: Blobs) -> str:  # noqa: ARG002
        """Return the shape and a corner of the product."""
        m, k, n = (payload.get(side) for side in ("m", "k", "n"))
        said = _("the {m} x {n} product of {m} x {k} and {k} x {n}").format(m=m, k=k, n=n)
        if data is None:
            return said
        C = decode(payload, data)
        return said + "\n" + np.array2string(C, threshold=64, edgeitems=3)


def build_payload(
    a: Path, b: Path, *, return_data: bool = True, blobs: BlobCache | None = None
) -> dict[str, Any]:
    """Return a payload from two .npy files of int8 matrices, stored in `blobs` if given.

    Raise BadInput for a file that is not a matrix, or two that have no product.
    """
    A, B = load_matrix(a), load_matrix(b)
    if A.shape[1] != B.shape[0]:
        message = _("{a} is {shape_a} and {b} is {shape_b}: A B needs A's columns to be B's rows")
        raise BadInput(message.format(a=a, b=b, shape_a=_text(A), shape_b=_text(B)))
    a_field, b_field = (
        carry(M.tobytes()) if blobs is None else blobs.put(M.tobytes()).to_json() for M in (A, B)
    )
    return {
        "challenge_type": MatMul.name,
        "m": A.shape[0],
        "k": A.shape[1],
        "n": B.shape[1],
        "a": a_field,
        "b": b_field,
        "return_data": return_data,
    }


def decode(payload: Payload, data: bytes) -> npt.NDArray[np.int32]:
    """Return the product, m x n, from a result's data."""
    form = MatrixForm(payload["m"], payload["n"], entry_bytes=4)
    return form.entries(data).astype(np.int32)


def _text(M: npt.NDArray[np.integer]) -> str:
    return " x ".join(map(str, M.shape))


def _sides(payload: Payload, limits: JobLimits) -> tuple[int, int, int]:
    """Return m, k and n. Cost and size are checked here, before any data is fetched."""
    m, n = (
        whole_number(payload, side, most=MAX_SIDE, allowed=limits.matrix_size)
        for side in ("m", "n")
    )
    k = whole_number(payload, "k", most=MAX_SUM_LENGTH, allowed=limits.matrix_size)
    limits.check_cost(m * k * n)
    limits.check_data(_("the product"), MatrixForm(m, n, entry_bytes=4).data_bytes)
    return m, k, n


KIND = MatMul()
