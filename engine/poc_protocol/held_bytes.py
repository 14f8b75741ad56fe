"""Bytes of strangers that are held in memory, bounded in sum over all of them.

    held = HeldBytes(96 * 2**20)
    held.set(connection, address, size, drop)     # drop() is called where it has to give them up

Where the sum would be too large, the address that holds most loses what it has held longest: so
whoever begins many things and ends none is the first to go, and who sends quickly is not.
"""

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Holding:
    address: str
    size: int
    since: int
    drop: Callable[[], None]


class HeldBytes:
    """See the module. For one event loop."""

    def __init__(self, most: int) -> None:
        self.total = 0
        self._most = most
        self._holdings: dict[int, _Holding] = {}
        self._by_address: Counter[str] = Counter()
        self._turn = itertools.count()

    def set(self, holder: object, address: str, size: int, drop: Callable[[], None]) -> None:
        """Take note that `holder` holds so many bytes now, 0: none. May call some `drop`, also its."""
        before = self._holdings.get(id(holder))
        self._add(address, size - (before.size if before is not None else 0))
        if not size:
            self._holdings.pop(id(holder), None)
        elif before is None:
            self._holdings[id(holder)] = _Holding(address, size, next(self._turn), drop)
        else:
            before.size = size
        while self.total > self._most:
            self._drop_one()

    def _drop_one(self) -> None:
        ((address, _size),) = self._by_address.most_common(1)
        key, holding = min(
            ((key, one) for key, one in self._holdings.items() if one.address == address),
            key=lambda item: item[1].since,
        )
        del self._holdings[key]
        self._add(address, -holding.size)
        holding.drop()

    def _add(self, address: str, size: int) -> None:
        self.total += size
        self._by_address[address] += size
        if not self._by_address[address]:
            del self._by_address[address]
