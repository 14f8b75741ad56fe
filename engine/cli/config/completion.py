"""What a shell completes as a value: names of devices, keys, kinds of jobs, ways to multiply.

Found by the value's name in help: `DEVICE`, `KEY`, ... A shell asks at every press of a key, so nothing
slow is imported, and what goes wrong offers nothing.
"""

import os
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from pathlib import Path

Complete = Callable[[str], list[str]]


def completer(metavar: str | None) -> Complete | None:
    """Return what completes values of this name; None where nothing is known of them."""
    names = _NAMES.get(metavar or "")
    if names is None:
        return None

    def complete(incomplete: str) -> list[str]:
        try:
            return [name for name in names() if name.startswith(incomplete)]
        except Exception:  # noqa: BLE001 - a shell shows what stands on stderr in the midst of a line
            return []

    return complete


def _devices() -> Iterable[str]:
    from kernels.devices import available_devices

    return ["auto", *available_devices()]


def _keys() -> Iterable[str]:
    from node_client.keystore import Keystore

    return Keystore(Path(found) if (found := os.environ.get("CPC_KEYS")) else None).names()


def _kinds() -> Iterable[str]:
    return sorted(one.name for one in entry_points(group="cpc_engine.jobs"))


def _tiers() -> Iterable[str]:
    gpu = ("wgmma", "mma", "dp4a", "simt")
    return (*gpu, "amx", "avx512vnni", "avxvnni", "avx512", "avx2", "simd128")


def _models() -> Iterable[str]:
    endings = {".safetensors", ".tflite", ".onnx"}
    return ["digits", *sorted(path.name for path in Path().iterdir() if path.suffix in endings)]


_NAMES: dict[str, Callable[[], Iterable[str]]] = {
    "DEVICE": _devices,
    "KEY": _keys,
    "KIND": _kinds,
    "MODEL": _models,
    "TIER": _tiers,
}
