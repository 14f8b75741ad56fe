"""Compiling kernels with Numba, and keeping the machine code on disk.

    jit = Jit(variant="amx")

    @jit.kernel("void(int8[:,::1], int64)")
    def negate(X, m): ...

    finish([jit], progress)

Not with Numba's own `cache=True`, which knows a function by its source file alone: what it calls in
another file, a constant frozen into it or an intrinsic may change, and the old code is loaded. Here
a directory stands for everything that decides about the code: the sources of this package, the
versions of Python, Numba and llvmlite, the CPU's name and features, Numba's own
settings (NUMBA_*); and a file's name for the
function, its variant and its signature. So a home directory that machines share, or another
`NUMBA_CPU_FEATURES`, gives another directory, and nothing in it can be of the wrong path. A file
that is damaged is not loaded.

This file alone knows Numba's inner seam, `Dispatcher._cache`.
"""

import hashlib
import itertools
import os
import pickle
import platform
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core.caching import NullCache, dumps
from numba.core.compiler import CompileResult
from numba.core.runtime.nrt import rtsys

from kernels.cache import cache_directory, is_kept, keep, read_kept
from kernels.compiling import Compiling, Progress
from kernels.cpu.features import target

KEPT_DIRECTORIES = 8
"""Code for so many versions and machines stays on disk; what was made longest ago goes first."""
_NO_CODE = {"NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER"}
"""Numba's variables that do not change the code of these kernels."""
_DIGEST_BYTES = hashlib.sha256().digest_size


class Jit:
    """Compiles the kernels of one variant, at once and for one signature each."""

    def __init__(self, variant: str) -> None:
        self._variant = variant
        self._kernels: list[tuple[Any, str]] = []
        self._names: set[str] = set()

    def kernel(self, signature: str) -> Callable[[Callable[..., Any]], Any]:
        """Decorator: a kernel that lets go of the GIL, compiled by `finish`."""

        def decorate(function: Callable[..., Any]) -> Any:
            dispatcher = self.helper(function)
            self._kernels.append((dispatcher, signature))
            return dispatcher

        return decorate

    def helper(self, function: Callable[..., Any]) -> Any:
        """Decorator: a function that kernels call, compiled with them."""
        name = function.__name__
        if name in self._names:
            raise AssertionError(f"two functions {name} would share one file")
        self._names.add(name)
        # A symbol is made of this name, the types and a number that each process counts anew: by that
        # alone, code of two variants that two processes compiled would be one symbol, and the first
        # that is loaded would run for both.
        function.__qualname__ = f"{self._variant}.{function.__qualname__}"
        dispatcher = numba.njit(nogil=True)(function)
        dispatcher._cache = _DiskCache(f"{name}-{self._variant}")
        return dispatcher

    def missing(self) -> int:
        """How many of its kernels are not on disk."""
        return sum(not dispatcher._cache.holds(kinds(signature)) for dispatcher, signature in self)

    def __iter__(self) -> Iterator[tuple[Any, str]]:
        return iter(self._kernels)


def finish(jits: Sequence[Jit], progress: Progress | None = None) -> None:
    """Load or compile everything. `progress`, or who is told of it, hears of what must be compiled."""
    missing = sum(jit.missing() for jit in jits)
    with Compiling(missing, progress) if missing else nullcontext() as compiling:
        for dispatcher, signature in itertools.chain(*jits):
            new = not dispatcher._cache.holds(kinds(signature))
            dispatcher.compile(signature)
            dispatcher.disable_compile()
            if new and compiling is not None:
                compiling.one_done()


def kinds(signature: Any) -> Any:
    """The types of a signature's arguments."""
    return numba.core.sigutils.normalize_signature(signature)[0]


def code_directory() -> Path:
    """Where this version's machine code for this CPU lies."""
    return cache_directory() / "kernels" / _key()


@cache
def _key() -> str:
    digest = hashlib.sha256()
    versions = (platform.python_version(), numba.__version__, llvmlite.__version__, np.__version__)
    digest.update(repr((versions, target(), _settings())).encode())
    here = Path(__file__).parent
    for source in sorted(here.rglob("*.py")):
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    return digest.hexdigest()[:32]


def _settings() -> list[tuple[str, str]]:
    """What Numba was told by variables and its own file, but for what changes no code."""
    told = {**numba.core.config._env_reloader.old_environ}
    told |= {name: value for name, value in os.environ.items() if name.startswith("NUMBA_")}
    return sorted((name, str(told[name])) for name in told.keys() - _NO_CODE)


class _DiskCache(NullCache):  # type: ignore[misc]
    """One file for each signature of one function: SHA-256 of the rest, then the compiled code."""

    def __init__(self, name: str) -> None:
        self._name = name

    def holds(self, arguments: Any) -> bool:
        """Whether there is a file for these types of arguments."""
        return is_kept(self._file(arguments))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function, or None."""
        content = read_kept(self._file(kinds(sig)))
        if content is None:
            return None
        digest, code = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(code).digest() != digest:
            return None
        # In place of target_context.refresh(), which makes ready to compile, 0.3 s of imports: code
        # that is ready asks for Numba's run-time library and nothing else.
        rtsys.initialize(target_context)
        return CompileResult._rebuild(target_context, *pickle.loads(code))  # noqa: S301 - our own

    def save_overload(self, sig: Any, cres: Any) -> None:
        """Write the file, whole or not at all; a disk that cannot be written is not an error."""
        if cres.library.has_dynamic_globals:
            raise AssertionError(f"{self._name} holds an address: it cannot be kept")
        code = dumps(cres._reduce())
        file = self._file(kinds(sig))
        new = not file.parent.exists()
        if keep(file, hashlib.sha256(code).digest() + code) and new:
            _forget_the_oldest(file.parent)

    def _file(self, arguments: Any) -> Path:
        types = hashlib.sha256(str(arguments).encode()).hexdigest()[:16]
        return code_directory() / f"{self._name}-{types}.bin"


def _forget_the_oldest(new: Path) -> None:
    others = [path for path in new.parent.iterdir() if path.is_dir() and path != new]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[KEPT_DIRECTORIES - 1 :]:
        shutil.rmtree(path, ignore_errors=True)
