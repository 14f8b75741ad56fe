"""A block that is too large to be kept, without the transactions that make it so.

    condenser = Condenser(most=2**25)
    for piece in pieces:
        condenser.feed(piece)
    condenser.body()    # JSON again: the same, with null for each transaction of more than 2 MiB,
                        # or of more than 200 values

A few payloads of 9 MB make a block of any size, for the price of transfers. Ours are small and stand
between them, so the stream is followed by its brackets and strings alone, in the memory of one
transaction and of what is kept.
"""

import re
from itertools import accumulate

from node_client.block import MOST_TRANSACTIONS

LARGEST_KEPT = 2 * 2**20
"""Bytes of JSON of a transaction that is kept. The largest proof that there can be (1,024 openings at
n = 65,536) has 1.6 MB; usual ones, with 16 openings at n = 1024, have 13.5 KB."""

MOST_VALUES_KEPT = 200
"""JSON values of a transaction that is kept: one that the networks know has 18."""

_PIECE = 64 * 2**10
_ELEMENT_DEPTH = 2
_DEEPEST = 10_000
_OUTSIDE = re.compile(rb'["\[\]{}]')
_IN_STRING = re.compile(rb'["\\]')
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_STEP = {**dict.fromkeys(b"[{", 1), **dict.fromkeys(b"]}", -1)}
_NO_BRACKETS = bytes(set(range(256)) - set(_STEP))


def count_values(text: bytes | bytearray) -> int:
    """Return how many JSON values there are in it at the most, by what stands between them."""
    return sum(text.count(mark) for mark in (b",", b"[", b"{"))


class Condenser:
    """Follows one JSON object: what it holds in a list or object of its own is kept, or null."""

    def __init__(self, most: int, *, largest: int = LARGEST_KEPT) -> None:
        """`most`: bytes to keep in all; `full` says that there is more. `largest`: of one element."""
        self._most = most
        self._largest = largest
        self._kept = bytearray()
        self._element = bytearray()
        self._depth = self._elements = 0
        self._in_string = self._escaped = False
        self._whole = 0  # so much of what is kept ends with a whole element

    @property
    def full(self) -> bool:
        """Whether no more is kept, or no reader takes it: feeding on is of no use."""
        return (
            len(self._kept) > self._most
            or self._elements > MOST_TRANSACTIONS
            or self._depth > _DEEPEST
        )

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        for at in range(0, len(data), _PIECE):
            self._feed(data[at : at + _PIECE])

    def _feed(self, piece: bytes) -> None:
        if self.full or (self._depth > _ELEMENT_DEPTH and self._is_inside(piece)):
            return
        at = begun = 0
        while at < len(piece) and not self.full:
            if self._escaped:
                self._escaped = False
                at += 1
                continue
            found = (_IN_STRING if self._in_string else _OUTSIDE).search(piece, at)
            if found is None:
                break
            at = found.end()
            mark = found.group()
            if self._in_string or mark == b'"':
                self._escaped = mark == b"\\"
                self._in_string = self._escaped or not self._in_string
            elif mark in b"[{":
                if self._depth == _ELEMENT_DEPTH:
                    self._keep(piece[begun : at - 1])
                    begun = at - 1
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth == _ELEMENT_DEPTH:
                    self._keep(piece[begun:at], in_element=True)
                    self._end_element()
                    begun = at
        self._keep(piece[begun:], in_element=self._depth > _ELEMENT_DEPTH)

    def _is_inside(self, piece: bytes) -> bool:
        """Take a piece in which the element does not end; whether it is one.

        Ten times as fast as mark by mark: 40 MB of empty lists are 27 million marks.
        """
        rest = piece[1:] if self._escaped else piece
        escapes = (len(rest) - len(rest.rstrip(b"\\"))) % 2 == 1
        text = (b'"' if self._in_string else b"") + (rest[:-1] if escapes else rest) + b'"'
        text = _STRING.sub(b"", text)  # a quote is left where no string was open at the end
        steps = map(_STEP.__getitem__, text.translate(None, _NO_BRACKETS))
        depths = list(accumulate(steps, initial=self._depth))
        if min(depths) <= _ELEMENT_DEPTH or max(depths) > _DEEPEST:
            return False
        self._depth = depths[-1]
        self._in_string = not text.endswith(b'"')
        self._escaped = self._in_string and escapes
        self._keep(piece, in_element=True)
        return True

    def body(self) -> bytes:
        """Return the JSON; of an object that did not end, what came before its last whole element."""
        if self._depth == 0 and not self.full:
            return bytes(self._kept)
        return bytes(self._kept[: self._whole]) + b"]}" if self._whole else bytes(self._kept)

    def _keep(self, piece: bytes, *, in_element: bool = False) -> None:
        if not in_element:
            self._kept += piece[: self._most + 1]
        elif len(self._element) <= self._largest:
            self._element += piece

    def _end_element(self) -> None:
        much = len(self._element) > self._largest or count_values(self._element) > MOST_VALUES_KEPT
        self._kept += b"null" if much else self._element
        self._element.clear()
        self._elements += 1
        if not self.full:
            self._whole = len(self._kept)
