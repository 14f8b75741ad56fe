"""Makes what a release consists of, from a tagged, clean commit, in dist/.

    git tag v0.2.0 && python packaging/release.py [DIRECTORY]

The wheel (tried out by mining a block), the source archive, the rigs' archives, a bill of materials
(CycloneDX 1.6, https://cyclonedx.org/specification) of the locked dependencies, NOTES.md with this
version's part of CHANGELOG.md, and SHA256SUMS over all of them. The version is the tag's; files that
say another one end it. With the same commit and the same tools the same bytes are made. Nothing is
signed, and nothing is published.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

ROOT = Path(__file__).parent.parent
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


class Refused(SystemExit):
    """What is wrong, in one sentence, and exit code 2."""

    def __init__(self, sentence: str) -> None:
        print(f"error: {sentence}", file=sys.stderr)
        super().__init__(2)


def tagged_version(root: Path) -> str:
    """Return the version of the tag at a clean HEAD, which the files must say, too."""
    if changed := _git(root, "status", "--porcelain"):
        raise Refused(f"the tree has changes: commit them first ({changed.splitlines()[0]})")
    tags = [tag for tag in _git(root, "tag", "--points-at", "HEAD").split() if tag[:1] == "v"]
    if len(tags) != 1:
        found = ", ".join(tags) or "none"
        raise Refused(f"one tag such as v1.2.3 must point at HEAD; found: {found}")
    version = tags[0][1:]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    said = {
        "pyproject.toml": project["project"]["version"],
        "engine/__init__.py": _search(
            r'^__version__ = "(.+)"', (root / "engine" / "__init__.py").read_text("utf-8")
        ),
    }
    for file, other in said.items():
        if other != version:
            raise Refused(f"the tag says {version}, {file} says {other}: make them equal")
    return version


def notes(root: Path, version: str) -> str:
    """Return this version's part of CHANGELOG.md."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    part = _search(rf"^## \[{re.escape(version)}\].*\n((?:(?!## ).*\n?)*)", text)
    if not part.strip():
        raise Refused(f"CHANGELOG.md has no part ## [{version}]: rename ## [Unreleased]")
    return part.strip() + "\n"


def bill_of_materials(lock: str, version: str) -> str:
    """Return CycloneDX JSON of what a lock file pins, each with the hashes that pip accepts."""
    bom = Bom()
    bom.metadata.component = root = Component(
        name="cpc-engine", version=version, type=ComponentType.APPLICATION, bom_ref="cpc-engine"
    )
    starts = [*_PINNED.finditer(lock)]
    ends = [*(found.start() for found in starts[1:]), len(lock)]
    for found, end in zip(starts, ends, strict=True):
        name, number = found.groups()
        hashes = sorted(_HASH.findall(lock[found.start() : end]))
        component = Component(
            name=name,
            version=number,
            type=ComponentType.LIBRARY,
            bom_ref=f"{name}=={number}",
            purl=PackageURL("pypi", None, name, number),
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=one) for one in hashes],
        )
        bom.components.add(component)
        bom.register_dependency(root, [component])
    # Its serial number is random, and its time now: neither says anything of the release.
    made = json.loads(JsonV1Dot6(bom).output_as_string())
    del made["serialNumber"], made["metadata"]["timestamp"]
    return json.dumps(made, indent=1) + "\n"


def sums(directory: Path) -> str:
    """Return the lines of SHA256SUMS, as `sha256sum --check` reads them."""
    files = sorted(path for path in directory.iterdir() if path.name != "SHA256SUMS")
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files
    )


def release(root: Path, into: Path) -> None:
    """Make everything, or raise Refused before anything is made."""
    version = tagged_version(root)
    told = notes(root, version)
    if into.exists() and any(into.iterdir()):
        raise Refused(f"{into} is not empty: name another directory, or remove it")
    into.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "SOURCE_DATE_EPOCH": _git(root, "log", "-1", "--format=%ct"),
        "PYTHONPATH": str(root),
    }
    for command in (
        [root / "packaging" / "try_wheel.py", into],
        ["-m", "build", "--sdist", "--no-isolation", "--outdir", into, root],
        [root / "packaging" / "rigs" / "pack.py", into],
    ):
        done = subprocess.run(  # noqa: S603 - our own
            [sys.executable, *map(str, command)], env=environment, cwd=root
        )
        if done.returncode:
            raise Refused(f"{Path(str(command[0])).name} failed; what it said stands above")
    lock = (root / "requirements.lock").read_text(encoding="utf-8")
    (into / f"cpc-engine-{version}.cdx.json").write_text(bill_of_materials(lock, version), "utf-8")
    (into / "NOTES.md").write_text(told, encoding="utf-8")
    (into / "SHA256SUMS").write_text(sums(into), encoding="utf-8")


def _search(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found[1] if found else ""


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own
        ["git", "-C", str(root), *words],  # noqa: S607
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise Refused(f"git {words[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


if __name__ == "__main__":
    release(ROOT, Path(sys.argv[1]).absolute() if sys.argv[1:] else ROOT / "dist")
