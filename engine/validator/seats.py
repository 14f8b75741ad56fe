"""Which connections of workers there is room for: so many, and so many from one address.

    seat = seats.enter("192.0.2.7")     # None: full of workers that proved their address
    seat.leave = outbox.close            # how the connection ends where another one needs its place
    seats.free(seat)

A newcomer gets the place of a stranger, one that has signed no hello: of the address that has most of
them, the one that has said nothing for longest.
"""

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

_turn = itertools.count()


@dataclass(slots=True, eq=False)
class Seat:
    """One connection's place. `leave` is told why, once."""

    address: str
    greeted: bool = False
    leave: Callable[[str], None] = field(default=lambda _reason: None)
    used_at: int = field(default_factory=lambda: next(_turn))

    def used(self) -> None:
        """Take note that it said something."""
        self.used_at = next(_turn)


class Seats:
    """See the module. For one event loop."""

    def __init__(self, most: int, most_an_address: int) -> None:
        self._most = most
        self._most_an_address = most_an_address
        self._seats: set[Seat] = set()

    def enter(self, address: str) -> Seat | None:
        """Return a place for a connection from this address, if need be another one's."""
        here = [seat for seat in self._seats if seat.address == address]
        if len(here) >= self._most_an_address and not self._clear(here):
            return None
        if len(self._seats) >= self._most and not self._clear(list(self._seats)):
            return None
        seat = Seat(address)
        self._seats.add(seat)
        return seat

    def free(self, seat: Seat) -> None:
        """Take note that the connection has ended."""
        self._seats.discard(seat)

    def _clear(self, among: list[Seat]) -> bool:
        strangers = [seat for seat in among if not seat.greeted]
        if not strangers:
            return False
        count = Counter(seat.address for seat in strangers)
        most = max(count.values())
        victim = min(
            (seat for seat in strangers if count[seat.address] == most),
            key=lambda seat: seat.used_at,
        )
        self._seats.discard(victim)
        victim.leave("another worker needs the place, and this one has signed no hello")
        return True
