"""The tile configurations of the Hopper product, and which are worth a try for which size.

The figures that they were chosen by are in docs/kernels-tried.md.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WgmmaConfig:
    """A tile of C, who computes it, and its ring.

    `warpgroups`, 1 or 2, of 64 rows each share a tile of 128 or 256 `columns`. With `turns` two
    warpgroups have a tile of 128 rows each instead, and take turns. `cluster` 2: two neighbouring
    blocks, one below the other, share their tile of B.
    """

    warpgroups: int = 2
    columns: int = 256
    stages: int = 4
    band: int = 8
    cluster: int = 1
    turns: bool = False

    @property
    def name(self) -> str:
        """What the file of tuned configurations and the tables of bench/ call it."""
        suffix = "-pairs" * (self.cluster == 2) + "-turns" * self.turns
        return f"{self.rows}x{self.columns}-{self.stages}-band{self.band}{suffix}"

    @property
    def rows(self) -> int:
        """Rows of a tile of C."""
        return 128 if self.turns else 64 * self.warpgroups

    @property
    def hashes_leaves(self) -> bool:
        """Whether a tile holds whole leaves, and 128 of them."""
        return self.rows == 128 and self.columns == 256

    @property
    def sums_both_sides(self) -> bool:
        """Whether it can make both sides of its check: all of them have warps to spare."""
        return True

    def followed(self, size: int) -> "WgmmaConfig":
        """The configuration of a task's products but the last one, which hash no leaves.

        In turns the check's sums lie under the other warpgroup's products. At 8,192 (padded) that takes
        more joules than it saves.
        """
        return IN_TURNS if self.hashes_leaves and size <= 4096 else self


LARGE = WgmmaConfig()
LARGE_IN_PAIRS = WgmmaConfig(cluster=2)
HIGH = WgmmaConfig(band=12)
SMALL = WgmmaConfig(warpgroups=1, columns=128, stages=8)
NARROW = WgmmaConfig(columns=128, stages=6)
IN_TURNS = WgmmaConfig(columns=128, stages=7, band=4, turns=True)


def configs_for(size: int) -> tuple[WgmmaConfig, ...]:
    """The configurations worth a try for a result of this padded size, what is taken untuned first.

    Smaller tiles where a larger one would leave multiprocessors idle.
    """
    if size <= 1024:
        return SMALL, NARROW
    if size <= 2048:
        return LARGE, IN_TURNS, SMALL
    if size <= 4096:
        return LARGE, LARGE_IN_PAIRS, IN_TURNS, HIGH
    return LARGE_IN_PAIRS, HIGH, LARGE, IN_TURNS


_INT32 = {
    SMALL: (0.22, 0.1, 3.0),
    IN_TURNS: (0.34, 0.0, 4.0),
    LARGE: (0.64, 1.9, 4.0),
    LARGE_IN_PAIRS: (0.632, 2.2, 4.3),
}
"""Microseconds of an H200 for 128 entries of depth of a tile, for its epilogue, and for a launch:
fitted to bursts of 1024 to 8192 with int32 out."""


def for_int32(M: int, N: int, K: int, multiprocessors: int) -> WgmmaConfig:
    """The configuration expected to write C, M x N with K deep (padded), as int32 soonest.

    It counts rounds: tiles that do not fill the last one leave multiprocessors idle.
    """

    def expected(config: WgmmaConfig) -> float:
        depth, epilogue, launch = _INT32[config]
        tiles = (M // config.rows) * (N // config.columns)
        rounds = -(-tiles // multiprocessors)
        return rounds * (K // 128 * depth + epilogue) + launch

    return min(_INT32, key=expected)
