"""What a bug report needs of this machine, without what is its owner's: `doctor --bundle FILE`.

    Redaction.here()(described())

Kept are versions, hardware, checks, settings, states of running engines, and counts of a week. Left out
or made the same for everybody: names of user and host, home directories, hosts of URLs with their
passwords, IP addresses beyond this machine, and all but the beginning of addresses and hashes. Files
with keys, passphrases and tokens are not opened; of variables only the names are listed.
"""

import contextlib
import getpass
import os
import platform
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from engine.node.preflight import Check
from engine.runtime.errors import EngineError

KIND, VERSION = "cpc-engine host report", 1
_WEEK_SECONDS = 7 * 86400
_LEAST_NAME = 3
"""Letters of a name that is looked for in the text: shorter ones are part of other words."""
_EVERYBODYS = frozenset({"root", "localhost"})
_URL = re.compile(
    r"\b(?P<scheme>[a-z][a-z0-9+.-]*)://[^\s/?#\"']*(?P<rest>[^\s\"']*)", re.IGNORECASE
)
_ADDRESS = re.compile(r"\b(cpc[a-z]*1[a-z0-9]{4})[a-z0-9]{10,}")
_HASH = re.compile(r"\b((?:0x)?[0-9a-fA-F]{8})[0-9a-fA-F]{24,}\b")
_IP4 = re.compile(r"\b(?!127\.|0\.0\.0\.0)\d{1,3}(?:\.\d{1,3}){3}\b")
_IP6 = re.compile(r"(?<![\w:])(?:[0-9a-fA-F]{1,4}:+){3,7}[0-9a-fA-F:]{1,4}(?![\w:])")
_NEAR = re.compile(r"://(localhost|127\.[\d.]+|\[::1\])(:\d+)?(?=[/\s?#]|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Redaction:
    """Replaces what would tell who somebody is, in every string of a JSON value."""

    words: Mapping[str, str]
    """What stands for each of these names, wherever it stands as a word of its own."""

    @classmethod
    def here(cls) -> "Redaction":
        """Know this user, this host and this home."""
        host = socket.gethostname()
        words = {str(Path.home()): "~", host: "HOST", host.partition(".")[0]: "HOST"}
        with contextlib.suppress(OSError, KeyError):  # a user without a name, as containers have it
            words[getpass.getuser()] = "USER"
        named = {word: put for word, put in words.items() if len(word) >= _LEAST_NAME}
        return cls({word: named[word] for word in named.keys() - _EVERYBODYS})

    def __call__(self, value: Any) -> Any:
        """Return the value with every string redacted, the keys of objects included."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return {self._text(str(key)): self(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self(item) for item in value]
        return value

    def _text(self, text: str) -> str:
        text = _URL.sub(_without_host, text)
        text = _HASH.sub(r"\1...", _ADDRESS.sub(r"\1...", text))
        text = _IP6.sub("IP", _IP4.sub("IP", text))
        for word in sorted(self.words, key=len, reverse=True):
            text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", self.words[word], text)
        return text


def _without_host(found: re.Match[str]) -> str:
    if _NEAR.search(found[0]):
        return found[0]
    path = found["rest"].partition("?")[0].partition("#")[0]
    return f"{found['scheme']}://HOST{path}"


def described(checks: list[Check], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that is known, not redacted yet."""
    return {
        "kind": KIND,
        "version": VERSION,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "system": {
            "platform": platform.platform(),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "usable_cores": len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count(),
            "cpu": _cpu(),
        },
        "packages": _packages(),
        "variables": sorted(name for name in os.environ if name.startswith("CPC_")),
        "checks": [check.to_json() for check in checks],
        "settings": settings,
        "engines": _engines(),
        "days": _days(),
    }


def _packages() -> dict[str, str]:
    found = {one.metadata["Name"]: one.version for one in metadata.distributions()}
    return dict(sorted(found.items(), key=lambda pair: pair[0].lower()))


def _cpu() -> dict[str, Any]:
    from kernels.cpu.features import usable_features

    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            model = next((line for line in file if line.startswith("model name")), "")
    except OSError:
        model = platform.processor()
    return {"model": model.partition(":")[2].strip(), "features": sorted(usable_features())}


def _engines() -> list[dict[str, Any]]:
    from engine.monitor.http.control_client import running_engines

    found, silent = running_engines()
    return [seen.model_dump() for _engine, seen in found] + [
        {"pid": one.pid, "does_not_answer": one.reason} for one in silent
    ]


def _days() -> list[dict[str, Any]] | dict[str, str]:
    from engine.runtime.paths import state_directory
    from engine.txmgr.history import read_days

    try:
        days = read_days(state_directory(), since=time.time() - _WEEK_SECONDS)
    except EngineError as error:  # a damaged ledger is what such a report may be about
        return {"error": str(error)}
    return [asdict(day) | {"fees": str(day.fees)} for day in days]
