"""A release is made from a clean commit whose tag, files and changelog say the same version."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "__pycache__", ".*_cache", "build", "dist", "*.mo"
)
VERSION = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]


def git(tree, *words):
    identity = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_CONFIG_GLOBAL": os.devnull}
    identity |= {name.replace("AUTHOR", "COMMITTER"): word for name, word in identity.items()}
    subprocess.run(["git", "-C", tree, *words], check=True, env=os.environ | identity)


@pytest.fixture
def tree(tmp_path):
    made = tmp_path / "tree"
    shutil.copytree(ROOT, made, ignore=LEFT_OUT)
    changelog = made / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace("## [Unreleased]", f"## [{VERSION}]", 1))
    git(made, "init", "--quiet")
    git(made, "add", "--all")
    git(made, "commit", "--quiet", "--message", "first")
    return made


def release(tree, into):
    return subprocess.run(
        [sys.executable, tree / "packaging" / "release.py", into], capture_output=True, text=True
    )


def test_what_does_not_fit_is_refused_before_anything_is_made(tree, tmp_path):
    def refused(sentence):
        done = release(tree, tmp_path / "dist")
        assert done.returncode == 2
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "dist").exists()

    refused("one tag such as v1.2.3 must point at HEAD; found: none")
    git(tree, "tag", "v99.0")
    refused(f"the tag says 99.0, pyproject.toml says {VERSION}")
    git(tree, "tag", "--delete", "v99.0")
    git(tree, "tag", f"v{VERSION}")
    (tree / "README.md").write_text("changed")
    refused("the tree has changes: commit them first")
    git(tree, "checkout", "--quiet", "README.md")
    git(tree, "tag", "--delete", f"v{VERSION}")
    (tree / "CHANGELOG.md").write_text("# Changelog\n")
    git(tree, "commit", "--quiet", "--all", "--message", "second")
    git(tree, "tag", f"v{VERSION}")
    refused(f"CHANGELOG.md has no part ## [{VERSION}]")


@pytest.mark.slow
def test_everything_is_there_twice_the_same_and_its_sums_fit(tree, tmp_path):
    git(tree, "tag", f"v{VERSION}")
    made = []
    for name in ("first", "second"):
        done = release(tree, tmp_path / name)
        assert done.returncode == 0, done.stderr
        made.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    first, second = made
    assert first == second
    assert {"NOTES.md", "SHA256SUMS", f"cpc_engine-{VERSION}.tar.gz"} < set(first)
    assert len(first) == 7
    for line in first["SHA256SUMS"].decode().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256(first[name]).hexdigest() == digest
    bom = json.loads(first[f"cpc-engine-{VERSION}.cdx.json"])
    pinned = len(re.findall(r"^[\w.-]+==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert bom["specVersion"] == "1.6"
    assert len(bom["components"]) == pinned
    assert all(component["hashes"] for component in bom["components"])
