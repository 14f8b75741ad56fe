"""Damage to a file of a stranger, bytes changed, cut out, doubled or moved, and what it may lead to."""

import os
import time
from collections.abc import Callable, Sequence

import numpy as np

from kernels.errors import InvalidNetwork

LONG_FUZZ = int(os.environ.get("CPC_FUZZ_FILES", "50000"))
MOST_SECONDS = 10.0


def damaged(
    content: bytes, random: np.random.Generator, spoil: Callable[[bytearray, int], None]
) -> bytearray:
    """The file with one to five damages; `spoil` writes a wild number of the format near a place."""
    bad = bytearray(content)
    for _ in range(random.integers(1, 6)):
        at = int(random.integers(0, len(bad)))
        match random.integers(0, 6):
            case 0:
                bad[at] = random.integers(0, 256)
            case 1:
                bad[at] ^= 1 << random.integers(0, 8)
            case 2:
                spoil(bad, at)
            case 3:
                del bad[at : at + int(random.integers(1, 16))]
            case 4:
                bad[at:at] = bad[at : at + int(random.integers(1, 16))]
            case _:
                other = int(random.integers(0, len(bad)))
                bad[at : at + 4] = bad[other : other + 4]
        if len(bad) < 16:
            break
    return bad


def refused(
    take: Callable[[bytes], object],
    files: Sequence[bytes],
    count: int,
    seed: int,
    *makers: Callable[[bytes, np.random.Generator], bytes],
) -> int:
    """Import so many files, damaged by the makers in turn; return how many were refused.

    Nothing else may come out, and none may take long.
    """
    random, found = np.random.default_rng(seed), 0
    for number in range(count):
        make = makers[number % len(makers)]
        content = make(files[random.integers(0, len(files))], random)
        started = time.monotonic()
        try:
            take(content)
        except InvalidNetwork as error:
            found += 1
            assert str(error)  # noqa: PT017
        assert time.monotonic() - started < MOST_SECONDS
    return found
