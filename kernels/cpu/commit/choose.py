"""How this CPU hashes fastest: 16 lanes, SHA-NI, 8 lanes, or hashlib.

Measured for leaves of 256 bytes, one thread: AVX-512 lanes 2.8 GB/s, SHA-NI 1.9, hashlib in a loop
0.45. With neither SHA-NI nor AVX2, four lanes lose to hashlib, which has assembly for every CPU.
"""

from typing import Any

from kernels.cpu.commit import lanes, messages, shani
from kernels.cpu.features import usable_features, vector_bits
from kernels.cpu.jit import Jit


def method() -> str:
    """One of "lanes16", "shani", "lanes8" and "hashlib"."""
    if vector_bits() == 512:
        return "lanes16"
    if usable_features() >= shani.FEATURES:
        return "shani"
    return "lanes8" if vector_bits() == 256 else "hashlib"


def build(jit: Jit) -> Any:
    """The kernel `messages.build` makes, or None for hashlib."""
    match method():
        case "lanes16":
            return messages.build(jit, lanes.build(jit, 16))
        case "shani":
            return messages.build(jit, shani.build(jit))
        case "lanes8":
            return messages.build(jit, lanes.build(jit, 8))
        case _:
            return None
