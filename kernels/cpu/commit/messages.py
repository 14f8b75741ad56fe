"""Many messages of one length, in groups that are hashed together; the tags' prefixes stand before
them.

Full groups of messages that 64 divides are read where they lie, and end with a block of padding that is
known beforehand. Others, the last leaf of a row or the last few messages, are copied and padded first.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import uint8, uint32

from kernels.cpu.ir import copy_bytes
from kernels.cpu.jit import Jit

BLOCK = 64
MOST_BYTES = 256
"""The longest message; a leaf's."""
LENGTH_BYTES = 9
"""What padding takes at least: 0x80, and the length in bits as 8 bytes."""


@dataclass(frozen=True, slots=True)
class Compression:
    """SHA-256's compression for a group of messages at once, as functions for Numba to call."""

    lanes: int
    scratch_words: int
    start: Any
    """(state, scratch): every message's state is this one."""
    absorb: Any
    """(source, pitch, blocks, scratch): blocks of 64 bytes, the messages `pitch` bytes apart."""
    prepare: Any
    """(padding, scratch): K + W of a block that will be the same for all."""
    absorb_padding: Any
    """(scratch): that block."""
    word_of: Any
    """(scratch, lane, word) -> uint32: a word of the state."""


def build(jit: Jit, compression: Compression) -> Any:
    """The kernel (state, padding, data, stride, size, out, out_stride, count).

    Hashes `size` bytes at the addresses data, data + stride, ... into out[0], out[out_stride], ...,
    32 bytes each. `state` is SHA-256's after a tag's prefix; `padding` is `padding_words(size)`,
    where 64 divides it.
    """
    lanes, scratch_words = compression.lanes, compression.scratch_words
    start, absorb, prepare = compression.start, compression.absorb, compression.prepare
    absorb_padding, word_of = compression.absorb_padding, compression.word_of
    longest = MOST_BYTES + BLOCK

    @jit.helper
    def pad(data: int, stride: int, size: int, count: int, padded: Any) -> int:
        """Copy messages, 0x80 and the length; gives how many blocks each now is."""
        blocks = (size + LENGTH_BYTES + BLOCK - 1) // BLOCK
        for lane in range(count):
            target = padded[lane * longest : (lane + 1) * longest]
            copy_bytes(target.ctypes.data, data + lane * stride, size)
            target[size] = 0x80
            for i in range(size + 1, BLOCK * blocks):
                target[i] = 0
            bits = 8 * (BLOCK + size)
            target[BLOCK * blocks - 1] = uint8(bits)
            target[BLOCK * blocks - 2] = uint8(bits >> 8)
        return blocks

    @jit.kernel("void(uint32[::1], uint32[::1], int64, int64, int64, uint8[::1], int64, int64)")
    def hash_messages(
        state: Any,
        padding: Any,
        data: int,
        stride: int,
        size: int,
        out: Any,
        out_stride: int,
        count: int,
    ) -> None:
        room = np.empty(scratch_words + 16, np.uint32)
        skip = (-room.ctypes.data) % 64 // 4
        scratch = room[skip : skip + scratch_words]
        padded = np.empty(lanes * longest, np.uint8)
        if size % BLOCK == 0:
            prepare(padding, scratch)
        for first in range(0, count, lanes):
            here = min(lanes, count - first)
            start(state, scratch)
            if here == lanes and size % BLOCK == 0:
                absorb(data + first * stride, stride, size // BLOCK, scratch)
                absorb_padding(scratch)
            else:
                blocks = pad(data + first * stride, stride, size, here, padded)
                absorb(padded.ctypes.data, longest, blocks, scratch)
            for lane in range(here):
                digest = out[(first + lane) * out_stride : (first + lane) * out_stride + 32]
                for word in range(8):
                    x = word_of(scratch, lane, word)
                    digest[4 * word] = uint8(x >> uint32(24))
                    digest[4 * word + 1] = uint8(x >> uint32(16))
                    digest[4 * word + 2] = uint8(x >> uint32(8))
                    digest[4 * word + 3] = uint8(x)

    return hash_messages
