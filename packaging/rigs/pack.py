"""Makes the archives that HiveOS and mmpOS install, in build/rigs.

    python packaging/rigs/pack.py [DIRECTORY]

They hold the scripts alone: the engine is installed from its wheel, with a Python of its own.
"""

import sys
import tarfile
from gzip import GzipFile
from io import BytesIO
from pathlib import Path

from engine import __version__

HERE = Path(__file__).parent
SHARED = ("stats.jq", "find-engine.sh")


def pack(system: str, into: Path) -> Path:
    """Return the archive for "hiveos" or "mmpos"."""
    into.mkdir(parents=True, exist_ok=True)
    made = into / f"cpc-engine-{__version__}_{system}.tar.gz"
    files = [*sorted((HERE / system).iterdir()), *(HERE / name for name in SHARED)]
    # No time stamp: a release made twice from one commit is the same, byte for byte.
    with GzipFile(made, "wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for file in files:
            text = file.read_text(encoding="utf-8").replace("@VERSION@", __version__).encode()
            member = tarfile.TarInfo(f"cpc-engine/{file.name}")
            member.size, member.mode = len(text), file.stat().st_mode & 0o777
            archive.addfile(member, BytesIO(text))
    return made


if __name__ == "__main__":
    directory = Path(sys.argv[1]) if sys.argv[1:] else HERE.parent.parent / "build" / "rigs"
    for name in ("hiveos", "mmpos"):
        print(pack(name, directory))
