"""cuBLASLt through its own interface: its heuristics, a workspace, and every answer to choose from.

    library = CublasLt()                          # raises NotAvailable with the reason
    matmul = library.matmul(4096, 4096, 4096)
    for algorithm in matmul.algorithms:
        matmul.enqueue(algorithm, stream, a, b, c, workspace)

`torch._int_mm` calls the same library without workspace and takes its first answer. Types and numbers
are those of cublasLt.h, the same in CUDA 12 and 13. The library comes with PyTorch, or with
`pip install nvidia-cublas` (`nvidia-cublas-cu12`); cuda-pathfinder, which numba-cuda needs, finds it.
"""

import ctypes
import importlib
from collections.abc import Sequence
from ctypes import POINTER, byref, c_float, c_int, c_int32, c_int64, c_size_t, c_uint64, c_void_p
from gettext import gettext as _
from typing import Any

WORKSPACE_BYTES = 64 * 2**20
MOST_ANSWERS = 64

_R_8I, _R_32I, _COMPUTE_32I = 3, 10, 72
_OP_T = 1
_DESC_TRANSA = 3
_PREF_MAX_WORKSPACE_BYTES = 1
_CONFIG = {"algorithm": 0, "tile": 1, "split-K": 2, "stages": 6, "cluster": 8}
"""What an algorithm's name says: attributes of cublasLtMatmulAlgoConfigAttributes_t, as its ids."""


class NotAvailable(Exception):
    """cuBLASLt cannot be used here, in one sentence."""


class Algorithm(ctypes.Structure):
    """cublasLtMatmulHeuristicResult_t: an opaque algorithm, and what it needs."""

    _fields_ = (
        ("algorithm", c_uint64 * 8),
        ("workspace_bytes", c_size_t),
        ("state", c_int),
        ("waves", c_float),
        ("reserved", c_int * 4),
    )


_SIGNATURES: dict[str, Sequence[Any]] = {
    "cublasLtCreate": (POINTER(c_void_p),),
    "cublasLtMatmulDescCreate": (POINTER(c_void_p), c_int, c_int),
    "cublasLtMatmulDescSetAttribute": (c_void_p, c_int, c_void_p, c_size_t),
    "cublasLtMatrixLayoutCreate": (POINTER(c_void_p), c_int, c_uint64, c_uint64, c_int64),
    "cublasLtMatmulPreferenceCreate": (POINTER(c_void_p),),
    "cublasLtMatmulPreferenceSetAttribute": (c_void_p, c_int, c_void_p, c_size_t),
    "cublasLtMatmulAlgoGetHeuristic": (
        *(c_void_p,) * 7, c_int, POINTER(Algorithm), POINTER(c_int),
    ),
    "cublasLtMatmulAlgoConfigGetAttribute": (
        c_void_p, c_int, c_void_p, c_size_t, POINTER(c_size_t),
    ),
    # handle, operation, alpha, A, its layout, B, its layout, beta, C, its layout, D, its layout,
    # algorithm, workspace, its size, stream
    "cublasLtMatmul": (*(c_void_p,) * 14, c_size_t, c_void_p),
}  # fmt: skip


class CublasLt:
    """The library and a handle in the CUDA context that is current. `version`: like "13.1.0"."""

    def __init__(self) -> None:
        """Raise NotAvailable where it is not installed or does not start."""
        self._library = load()
        handle = c_void_p()
        self.call("cublasLtCreate", byref(handle))
        self.handle = handle
        number = self._library.cublasLtGetVersion()
        self.version = f"{number // 10000}.{number // 100 % 100}.{number % 100}"

    def matmul(self, m: int, n: int, k: int) -> "Matmul":
        """Return the product of these sizes. Raise NotAvailable where it has no algorithm for them."""
        return Matmul(self, m, n, k)

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function. Raise NotAvailable unless it says CUBLAS_STATUS_SUCCESS."""
        status = getattr(self._library, name)(*arguments)
        if status:
            raise NotAvailable(
                _("{name} of cuBLASLt returned status {status} (cublasStatus_t)").format(
                    name=name, status=status
                )
            )


class Matmul:
    """C = A * transpose(B): A is m x k and B n x k int8, C m x n int32, all row-major.

    cuBLASLt counts columns first: there a row-major matrix is its transpose, and this product is
    transpose(C) = B * transpose(A), its first operand transposed ("TN", which int8 asks for).
    """

    def __init__(self, library: CublasLt, m: int, n: int, k: int) -> None:
        self._library = library
        self._operation = self._made("cublasLtMatmulDescCreate", _COMPUTE_32I, _R_32I)
        transposed = c_int32(_OP_T)
        library.call(
            "cublasLtMatmulDescSetAttribute", self._operation, _DESC_TRANSA, byref(transposed), 4
        )
        self._a = self._made("cublasLtMatrixLayoutCreate", _R_8I, k, n, k)
        self._b = self._made("cublasLtMatrixLayoutCreate", _R_8I, k, m, k)
        self._c = self._made("cublasLtMatrixLayoutCreate", _R_32I, n, m, n)
        self._alpha, self._beta = c_int32(1), c_int32(0)
        self.algorithms = self._ask()
        """What its heuristics answered, the one that they expect to be the fastest first."""

    def enqueue(
        self, algorithm: Algorithm, stream: int, a: int, b: int, c: int, workspace: int
    ) -> None:
        """Put the product onto a stream; addresses are the device's, WORKSPACE_BYTES at `workspace`."""
        self._library.call(
            "cublasLtMatmul", self._library.handle, self._operation, byref(self._alpha),
            b, self._a, a, self._b, byref(self._beta), c, self._c, c, self._c,
            byref(algorithm), workspace, WORKSPACE_BYTES, stream,
        )  # fmt: skip

    def name(self, algorithm: Algorithm) -> str:
        """Return the ids that make up an algorithm."""
        found = []
        for word, attribute in _CONFIG.items():
            value, size = c_int32(0), c_size_t()
            self._library.call(
                "cublasLtMatmulAlgoConfigGetAttribute",
                byref(algorithm), attribute, byref(value), 2 if word == "cluster" else 4, byref(size),
            )  # fmt: skip
            found.append(f"{word} {value.value}")
        return ", ".join(found)

    def _made(self, function: str, *arguments: int) -> c_void_p:
        made = c_void_p()
        self._library.call(function, byref(made), *arguments)
        return made

    def _ask(self) -> list[Algorithm]:
        preference = self._made("cublasLtMatmulPreferenceCreate")
        most = c_uint64(WORKSPACE_BYTES)
        self._library.call(
            "cublasLtMatmulPreferenceSetAttribute",
            preference, _PREF_MAX_WORKSPACE_BYTES, byref(most), 8,
        )  # fmt: skip
        answers, count = (Algorithm * MOST_ANSWERS)(), c_int()
        self._library.call(
            "cublasLtMatmulAlgoGetHeuristic",
            self._library.handle, self._operation, self._a, self._b, self._c, self._c,
            preference, MOST_ANSWERS, answers, byref(count),
        )  # fmt: skip
        found = [answer for answer in answers[: count.value] if not answer.state]
        if not found:
            raise NotAvailable(_("cuBLASLt has no algorithm for this product"))
        return found


def load() -> Any:
    """Return the library with its functions declared. Raise NotAvailable where it is not installed."""
    try:
        pathfinder = importlib.import_module("cuda.pathfinder")
        library = ctypes.CDLL(pathfinder.load_nvidia_dynamic_lib("cublasLt").abs_path)
    except (ImportError, OSError, RuntimeError) as error:
        raise NotAvailable(
            _("cuBLASLt is not installed: pip install nvidia-cublas (CUDA 12: nvidia-cublas-cu12)")
        ) from error
    for name, arguments in _SIGNATURES.items():
        getattr(library, name).argtypes = arguments
    library.cublasLtGetVersion.restype = c_size_t
    return library
