"""The product's tile configuration for a card and a size: measured at first use, kept in a file.

    configs = TunedConfigs.of(card, tier)
    config = configs.find(4096) or configs.keep(4096, tune(...))

The file is `tuned.json` in CPC_CACHE, or in `cpc-engine` below XDG_CACHE_HOME (~/.cache). Its
entries say for which card, driver and packages they were measured; others are not looked at. A file
that cannot be read counts as empty; one that cannot be written costs seconds at the next start.
Neither is an error. CPC_TUNE=0 (`--no-tune`) takes those that bench/RESULTS.md was
measured with.
"""

import importlib.metadata
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Self

from kernels.cache import cache_directory, keep, read_kept
from kernels.cuda.product.tiers import Tier, TileConfig

VERSION = 2
"""Of the file, and of the kernels: raised when old measurements say nothing about new kernels."""
ROUNDS = 7
LEAST_SIZE = 1024
"""Smaller tasks are launches and waiting: no configuration makes a difference."""
_PACKAGES = ("numba", "numba-cuda", "llvmlite", "cuda-bindings", "nvidia-nvvm", "nvidia-nvjitlink")


def package_versions() -> list[str]:
    """Name and version of everything that compiles kernels."""
    return [f"{package} {_version(package)}" for package in _PACKAGES]


def wanted() -> bool:
    """Whether this process may tune: not with CPC_TUNE=0."""
    return os.environ.get("CPC_TUNE", "1") != "0"


class TunedConfigs:
    """What the file says of one card, driver, set of packages and tier."""

    def __init__(self, path: Path, key: str) -> None:
        self._path, self._key = path, key

    @classmethod
    def of(cls, name: str, capability: tuple[int, int], driver: int, tier: Tier) -> Self:
        """For a card by the driver's name for it; `driver` is the CUDA version that it can."""
        card = [name, f"cc {capability[0]}.{capability[1]}", f"driver {driver}"]
        parts = [*card, *package_versions(), tier.name]
        return cls(cache_directory() / "tuned.json", ", ".join(parts))

    def find(self, size: int, configs: Sequence[TileConfig]) -> TileConfig | None:
        """The configuration kept for this padded size, if it is one of these."""
        entry = self._read().get(self._key)
        name = entry.get(str(size)) if isinstance(entry, dict) else None
        return next((config for config in configs if config.name == name), None)

    def keep(self, size: int, config: TileConfig) -> None:
        """Write it down: whole or not at all, beside what another process wrote meanwhile."""
        entries = self._read()
        entry = entries.get(self._key)
        entries[self._key] = (entry if isinstance(entry, dict) else {}) | {str(size): config.name}
        text = json.dumps({"version": VERSION, "shapes": entries}, indent=1, sort_keys=True)
        keep(self._path, text.encode())

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(read_kept(self._path) or b"{}")
        except ValueError:
            return {}
        if not isinstance(content, dict) or content.get("version") != VERSION:
            return {}
        configs = content.get("shapes")
        return configs if isinstance(configs, dict) else {}


def fastest(
    configs: Sequence[TileConfig], measure: Callable[[TileConfig], Callable[[], float]]
) -> TileConfig:
    """The configuration whose median of ROUNDS runs is least; they take turns. One is not measured.

    `measure(config)` makes it ready and gives what runs it once and says the seconds.
    """
    if len(configs) == 1:
        return configs[0]
    runs = {config: measure(config) for config in configs}
    seconds: dict[TileConfig, list[float]] = {config: [] for config in configs}
    for run in runs.values():
        run()
    for _ in range(ROUNDS):
        for config, run in runs.items():
            seconds[config].append(run())
    return min(configs, key=lambda config: median(seconds[config]))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "-"
