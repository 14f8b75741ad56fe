"""Compiled kernels, kept as files: a child that starts again must not compile for seconds.

    found = cubins.find(key)
    cubins.keep(key, Cubin(name, machine_code))

numba keeps compiled kernels of modules only; the products here are made by functions, one for each
tile configuration. The files lie in `cache_directory()`, in a folder named after everything that they
depend on: the source of this package, the card's architecture, the driver and the compiler's
packages. A file says its own SHA-256: one that is cut short or altered is not loaded. Whatever
cannot be read is compiled again, and whatever cannot be written is compiled at the next start.
"""

import hashlib
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kernels.cache import cache_directory, keep, read_kept
from kernels.cuda.tuning import package_versions

_FOLDER = "kernels-"
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Cubin:
    """A kernel's name in its machine code, and the code (a cubin)."""

    name: str
    code: bytes


class CubinCache:
    """The files for one architecture and driver."""

    def __init__(self, capability: tuple[int, int], driver: int) -> None:
        parts = [source_digest(), f"{capability}", f"{driver}", *package_versions()]
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        self._folder = cache_directory() / f"{_FOLDER}{digest[:16]}"

    def find(self, key: str) -> Cubin | None:
        """What was kept for this kernel."""
        content = read_kept(self._file(key))
        if content is None:
            return None
        digest, rest = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(rest).digest() != digest:
            return None
        name, _, code = rest.partition(b"\0")
        return Cubin(name.decode("ascii"), code)

    def keep(self, key: str, cubin: Cubin) -> None:
        """Write it down, whole or not at all."""
        rest = cubin.name.encode("ascii") + b"\0" + cubin.code
        new = not self._folder.exists()
        if keep(self._file(key), hashlib.sha256(rest).digest() + rest) and new:
            self._forget_older()

    def _file(self, key: str) -> Path:
        return self._folder / hashlib.sha256(key.encode()).hexdigest()[:24]

    def _forget_older(self) -> None:
        """Leave the newest few folders: another version, or another card, may use them."""
        folders = sorted(
            self._folder.parent.glob(f"{_FOLDER}*"), key=lambda one: one.stat().st_mtime
        )
        for folder in folders[:-4]:
            shutil.rmtree(folder, ignore_errors=True)


@cache
def source_digest() -> str:
    """A digest of this package's source, and of what it takes from the rest of `kernels`."""
    digest = hashlib.sha256()
    kernels = Path(__file__).parents[1]
    for path in sorted(
        [*kernels.glob("*.py"), *kernels.glob("commit/*.py"), *kernels.glob("cuda/**/*.py")]
    ):
        digest.update(path.relative_to(kernels).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
