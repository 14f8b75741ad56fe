"""A report of one machine's figures that its owner can publish or send: `bench --report FILE`.

    path.write_bytes(encode(bench, table))
    read(path)["bench"]["product_tops"]      # raises BadInput for a file that was cut or changed

It is JSON: the figures of the stages and, on a GPU, the table of products beside cuBLASLt; names and
versions of CPU, card, driver and packages. It names nobody: no host, user, path, address or serial
number, and nothing that another library said. The checksum tells an altered file from a whole one; it
proves nothing about who wrote it.
"""

import hashlib
import importlib.metadata
import json
import platform
from dataclasses import asdict
from gettext import gettext as _
from pathlib import Path
from typing import Any

import pynvml

from engine.benchmark.product_table import Table
from engine.benchmark.stages import Report
from engine.runtime.errors import BadInput

KIND, VERSION = "cpc-engine bench report", 1
_MOST_BYTES = 2**20
_LIBRARIES_WORDS = ("note", "why_not")
"""Fields that may hold what another library said, and with it a path."""


def encode(bench: Report, products: Table | None) -> bytes:
    """Return the report as JSON, with its checksum."""
    content: dict[str, Any] = {
        "kind": KIND,
        "version": VERSION,
        "engine": importlib.metadata.version("cpc-engine"),
        "system": f"{platform.system()} {platform.machine()}",
        "driver": _driver(),
        "bench": asdict(bench),
        "products": None if products is None else products.to_json(),
    }
    for rows in (content["bench"]["rows"], (content["products"] or {}).get("cells", [])):
        for row in rows:
            for name in _LIBRARIES_WORDS:
                row.pop(name, None)
    content["checksum"] = checksum(content)
    return json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n"


def read(path: Path) -> dict[str, Any]:
    """Return a report that is whole. Raise BadInput for any other file."""
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_MOST_BYTES))
    except OSError as error:
        raise BadInput(
            _("{path} cannot be read: {error}").format(path=path, error=error.strerror)
        ) from error
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or (content.get("kind"), content.get("version")) != (
        KIND,
        VERSION,
    ):
        raise BadInput(_("{path} is not a report of cpc-engine bench").format(path=path))
    if content.get("checksum") != checksum(content):
        raise BadInput(
            _("{path} was changed or cut short: its checksum does not fit").format(path=path)
        )
    return content


def checksum(content: dict[str, Any]) -> str:
    """Return the SHA-256 of everything but the checksum itself, as JSON with sorted keys."""
    counted = {name: value for name, value in content.items() if name != "checksum"}
    text = json.dumps(counted, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _driver() -> str | None:
    """Return the NVIDIA driver's version, None without one."""
    try:
        pynvml.nvmlInit()
        version = pynvml.nvmlSystemGetDriverVersion()
        pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return None
    return version.decode() if isinstance(version, bytes) else str(version)
