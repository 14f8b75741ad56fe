"""TFLite files of strangers: a graph or a sentence, within bounds, whatever the bytes are."""

import tracemalloc

import numpy as np
import pytest

from kernels.errors import InvalidNetwork

pytest.importorskip("tflite", reason="package tflite (extra: models)")

from kernels.errors import NotImportable
from kernels.network.tflite.importer import import_tflite
from tests.kernels.network.damage import LONG_FUZZ, damaged, refused
from tests.kernels.network.test_litert import recorded
from tests.kernels.network.test_real_models import WAKE_WORDS

MOST_BYTES = 64 << 20


def broken(content: bytes, random: np.random.Generator) -> bytes:
    """The file with bytes damaged; offsets and counts of a flatbuffer are words."""

    def spoil(bad: bytearray, at: int) -> None:
        word = random.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, len(bad), 1 << 20])
        bad[at & ~3 : (at & ~3) + 4] = int(word).to_bytes(4, "little")

    bad = damaged(content, random, spoil)
    bad[4:8] = b"TFL3"
    return bytes(bad)


def fuzz(count: int, seed: int) -> int:
    """Import so many damaged files; return how many were refused."""
    files = [content for _kind, content, *_ in recorded()]
    files += [file.read_bytes() for file in WAKE_WORDS.values()]  # where they are installed
    return refused(import_tflite, files, count, seed, broken)


def test_damaged_files():
    tracemalloc.start()
    try:
        assert 50 < fuzz(300, seed=7) < 300
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_many_damaged_files():
    assert fuzz(LONG_FUZZ, seed=8) > LONG_FUZZ // 6


@pytest.mark.parametrize(
    "content", [b"", b"x", b"\0" * 8, b"\x10\0\0\0TFL3", b"\xff" * 4 + b"TFL3" + b"\xff" * 99]
)
def test_what_is_no_file(content):
    with pytest.raises(InvalidNetwork):
        import_tflite(content)


def test_every_obstacle_is_named_at_once():
    litert = pytest.importorskip("tests.kernels.network.tflite_writer", exc_type=ImportError)
    odd = [litert.Value((2, 3), 0.1, 0)] * 2
    content = litert.file_of("FLOOR_MOD", odd, [litert.Value((2, 3), 0.1, 0)])
    with pytest.raises(NotImportable, match=r"0 FLOOR_MOD \(t2\): there is no such operator"):
        import_tflite(content)
    floats = [litert.Value((2, 3), dtype="float32")]
    content = litert.file_of("RELU", floats, [litert.Value((2, 3), dtype="float32")])
    with pytest.raises(NotImportable, match="FLOAT32, not in int8"):
        import_tflite(content)
