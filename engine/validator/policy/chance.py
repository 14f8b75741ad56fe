"""The system's randomness for many small draws: a page at a time, as each fetch is a system call."""

import os
import random
from collections.abc import Iterable, Sequence

_PAGE_BYTES = 4096


class SystemChance(random.SystemRandom):
    """Draws as `random.SystemRandom` does, of the same numbers. For one thread."""

    def __init__(self) -> None:
        super().__init__()
        self._page = b""
        self._used = 0

    def random(self) -> float:
        """Return a number of [0, 1), a multiple of 2^-53."""
        return (int.from_bytes(self._take(7)) >> 3) * 2.0**-53

    def getrandbits(self, k: int, /) -> int:
        """Return k random bits. Raises ValueError for fewer than none."""
        if k < 0:
            raise ValueError("number of bits must be non-negative")
        count = -(-k // 8)
        return int.from_bytes(self._take(count)) >> (8 * count - k)

    def sample[T](
        self, population: Sequence[T], k: int, *, counts: Iterable[int] | None = None
    ) -> list[T]:
        """Return k of them, no one twice, each such list equally likely."""
        n = len(population)
        if counts is not None or not 0 < k <= n <= _PAGE_BYTES:
            return super().sample(population, k, counts=counts)
        # Positions are drawn until there are so many: a number beyond n counts as much as one again.
        short, mask = n <= 256, (1 << (n - 1).bit_length()) - 1
        drawn: dict[int, None] = {}
        while len(drawn) < k:
            numbers = memoryview(self._take((k - len(drawn)) * (1 if short else 2)))
            for number in numbers if short else numbers.cast("H"):
                if (position := number & mask) < n:
                    drawn[position] = None
        return [population[position] for position in drawn]

    def _take(self, count: int) -> bytes:
        """Return bytes that nobody was given before."""
        if count > _PAGE_BYTES:
            return os.urandom(count)
        if self._used + count > len(self._page):
            self._page, self._used = os.urandom(_PAGE_BYTES), 0
        first, self._used = self._used, self._used + count
        return self._page[first : self._used]
