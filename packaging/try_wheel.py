"""Builds the wheel, installs it where nothing of this tree can be seen, and mines a block with it.

    python packaging/try_wheel.py [DIRECTORY]    # the wheel stays in DIRECTORY; build/wheel else

The packages that it needs are those of this environment, found by their path: no index is asked.
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
KERNELS = ROOT / ".pytest_cache" / "d" / "cpc-engine"
"""Where the tests keep compiled kernels: the wheel's are the same, and take ten seconds to make."""


def build(into: Path) -> Path:
    """The wheel, made by the environment's own hatchling."""
    _run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(into), str(ROOT)
    )
    return max(into.glob("*.whl"), key=lambda wheel: wheel.stat().st_mtime)


def install(wheel: Path, where: Path) -> Path:
    """A new environment with the wheel in it; gives its directory of programs."""
    venv.create(where, symlinks=True)
    python = where / "bin" / "python"
    _run(
        sys.executable, "-m", "pip", "--python", str(python),
        "install", "--quiet", "--no-index", "--no-deps", str(wheel),
    )  # fmt: skip
    (purelib,) = where.glob("lib/python*/site-packages")
    # A plain path: the .pth files over there, this tree's editable one among them, do not count.
    (purelib / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


def try_out(programs: Path, home: Path) -> None:
    """Version, both languages, the man page, and a block mined to the end."""
    engine = str(programs / "cpc-engine")
    version = _run(engine, "--version", home=home)
    assert version.startswith("cpc-engine "), version
    assert "Параметры" in _run(engine, "--lang", "ru", "mine", "--help", home=home)
    assert (programs.parent / "share" / "man" / "man1" / "cpc-engine.1").exists()
    where = _run(str(programs / "python"), "-c", "import engine; print(engine.__file__)", home=home)
    assert where.startswith(str(programs.parent.resolve())), where
    mined = _run(engine, "mine", "--devnet", "--blocks", "1", "--depth", "1", home=home)
    assert "1 result" in mined, mined


def _run(*command: str, home: Path | None = None) -> str:
    environment = dict(os.environ)
    if home is not None:
        environment = {"PATH": os.defpath, "HOME": str(home), "LC_ALL": "C.UTF-8"}
        environment["CPC_CACHE"] = str(KERNELS)
    done = subprocess.run(  # noqa: S603 - our own commands
        command, env=environment, cwd=home, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    return done.stdout


def main(arguments: list[str]) -> None:
    """Build, install, try; the wheel's name is printed."""
    into = Path(arguments[0]) if arguments else ROOT / "build" / "wheel"
    wheel = build(into)
    with tempfile.TemporaryDirectory(prefix="cpc-engine-wheel-") as scratch:
        home = Path(scratch) / "home"
        home.mkdir()
        try_out(install(wheel, Path(scratch) / "venv"), home)
    print(f"{wheel.name} builds, installs and mines")


if __name__ == "__main__":
    main(sys.argv[1:])
