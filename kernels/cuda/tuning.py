"""The product's tile configuration for a card and a size: measured at first use, kept in a file.

    configs = TunedConfigs.of(card, tier)
    config = configs.find(4096) or configs.keep(4096, best(...))

The file is `tuned.json` in CPC_CACHE, or in `cpc-engine` below XDG_CACHE_HOME (~/.cache). Its
entries say for which card, driver and packages they were measured; others are not looked at. A file
that cannot be read counts as empty; one that cannot be written costs seconds at the next start.
Neither is an error. CPC_TUNE=0 (`--no-tune`) takes those that bench/RESULTS.md was
measured with.
"""

import importlib.metadata
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Protocol, Self

from kernels.cache import cache_directory, keep, read_kept
from kernels.cuda.product.tiers import Tier, TileConfig
from kernels.energy import Draw, Meter

VERSION = 3
"""Of the file, and of the kernels: raised when old measurements say nothing about new kernels."""
ROUNDS = 7
STEADY_ROUNDS, STEADY_SECONDS = 3, 0.4
_BATCH_SECONDS = 0.004
AT_LIMIT = 0.95
"""Of its power limit: from there on a card is taken to be at it."""
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


@dataclass(frozen=True, slots=True)
class Measured:
    """What a configuration took: seconds of a task alone; joules and watts when many follow at once."""

    seconds: float
    joules: float | None = None
    watts: float | None = None


def choose[Config](measured: Mapping[Config, Measured], limit: float | None) -> Config:
    """Return the configuration to work with, on a card that may draw `limit` watts.

    At its limit a card lowers its clock until it keeps to it: a task then takes its joules divided by
    the limit, whatever it takes alone. So if most configurations bring it there, that with the fewest
    joules wins, and otherwise the one whose task alone is done first.
    """
    draws = [one.watts for one in measured.values() if one.watts and one.joules]
    if limit and len(draws) == len(measured) and median(draws) >= AT_LIMIT * limit:
        return min(measured, key=lambda config: measured[config].joules or 0.0)
    return min(measured, key=lambda config: measured[config].seconds)


class Trial(Protocol):
    """A configuration made ready."""

    def once(self) -> float:
        """Run one task: its seconds on the device."""

    def many(self, count: int) -> None:
        """Run so many, one after the other without a pause."""


def best[Config](
    configs: Sequence[Config], prepare: Callable[[Config], Trial], meter: Meter
) -> Config:
    """Measure configurations in turns, and return what `choose` does. A single one is not measured."""
    if len(configs) == 1:
        return configs[0]
    trials = {config: prepare(config) for config in configs}
    seconds: dict[Config, list[float]] = {config: [] for config in configs}
    for trial in trials.values():
        trial.once()
    for _ in range(ROUNDS):
        for config, trial in trials.items():
            seconds[config].append(trial.once())
    drawn: dict[Config, list[Draw]] = {config: [] for config in configs}
    _draw_of(trials[configs[0]], meter)  # warms the card up
    for _ in range(STEADY_ROUNDS):
        for config, trial in trials.items():
            drawn[config].append(_draw_of(trial, meter))
    return choose(
        {config: _summary(median(seconds[config]), drawn[config]) for config in configs},
        meter.limit(),
    )


def _draw_of(trial: Trial, meter: Meter) -> Draw:
    """What the card draws during STEADY_SECONDS of tasks."""
    count = max(int(_BATCH_SECONDS / trial.once()), 1)
    done, end = 0, time.perf_counter() + STEADY_SECONDS
    meter.begin()
    while time.perf_counter() < end:
        trial.many(count)
        done += count
        meter.sample(done)
    return meter.end()


def _summary(seconds: float, drawn: Sequence[Draw]) -> Measured:
    joules = [one.joules for one in drawn if one.joules is not None]
    watts = [one.watts for one in drawn if one.watts is not None]
    if not joules or not watts:
        return Measured(seconds)
    return Measured(seconds, median(joules), median(watts))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "-"
