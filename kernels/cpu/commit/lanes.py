"""SHA-256 in lanes: as many messages side by side as a vector has int32, one compression for all.

Every operation of FIPS 180-4 becomes one on vectors. AVX-512 has rotations (vprord) and any
function of three inputs (vpternlogd), so that a round is 17 instructions for 16 messages; AVX2 has
neither, and 8 lanes. Two steps, with memory that stays in the L1 cache between them: the words of a
block, turned over so that a lane is a message, and the 48 that follow, each with its K added; then
the 64 rounds. So a block that is the same for all messages needs its words only once, and code for
eight rounds serves for all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kernels.commit.sha256 import K
from kernels.cpu import ir
from kernels.cpu.commit.messages import Compression
from kernels.cpu.ir import I32, I64, Builder, Value
from kernels.cpu.jit import Jit
from kernels.cpu.transpose import transpose

WORDS, ROUNDS = 16, 64


@dataclass(frozen=True, slots=True)
class _Lanes:
    """Operations on vectors of so many int32."""

    lanes: int

    @property
    def kind(self) -> Any:
        """The vectors' type."""
        return ir.vector(I32, self.lanes)

    @property
    def width(self) -> int:
        """Bytes of a vector."""
        return 4 * self.lanes

    def rotate(self, builder: Builder, x: Value, n: int) -> Value:
        """Each lane of x, n bits to the right."""
        count = ir.splat(self.kind, n)
        return ir.call(builder, f"llvm.fshr.v{self.lanes}i32", self.kind, x, x, count)

    def sigma(self, builder: Builder, x: Value, first: int, second: int, shift: int) -> Value:
        """Two rotations of x and a shift, XORed: a word's part in a later one."""
        shifted = builder.lshr(x, ir.splat(self.kind, shift))
        return _xor3(
            builder, self.rotate(builder, x, first), self.rotate(builder, x, second), shifted
        )

    def one_round(self, builder: Builder, registers: Sequence[Value], word: Value) -> list[Value]:
        """The registers after a round with this word, its K added."""
        a, b, c, d, e, f, g, h = registers
        s1 = _xor3(builder, *(self.rotate(builder, e, n) for n in (6, 11, 25)))
        s0 = _xor3(builder, *(self.rotate(builder, a, n) for n in (2, 13, 22)))
        choice = builder.xor(g, builder.and_(e, builder.xor(f, g)))
        majority = builder.or_(builder.and_(a, b), builder.and_(c, builder.or_(a, b)))
        t1 = builder.add(builder.add(builder.add(h, word), choice), s1)
        return [builder.add(t1, builder.add(s0, majority)), a, b, c, builder.add(d, t1), e, f, g]


def _xor3(builder: Builder, x: Value, y: Value, z: Value) -> Value:
    return builder.xor(builder.xor(x, y), z)


def _expand_words(vectors: _Lanes) -> Any:
    """A microkernel: K + W of one block of each message, the messages `pitch` bytes apart."""
    lanes, kind, width = vectors.lanes, vectors.kind, vectors.width

    @ir.inline
    def expand_words(
        builder: Builder, source: Value, pitch: Value, words: Value, constants: Value
    ) -> None:
        def keep(t: Value | int, word: Value) -> None:
            t = I64(t) if isinstance(t, int) else t
            k = ir.load(builder, I32, builder.add(constants, builder.mul(t, I64(4))), 4)
            place = builder.add(words, builder.mul(t, I64(width)))
            total = builder.add(word, ir.broadcast(builder, k, lanes))
            ir.store(builder, total, place, width)

        w: list[Value] = []
        for first in range(0, WORDS, lanes):
            rows = []
            for lane in range(lanes):
                message = builder.add(source, builder.mul(pitch, I64(lane)))
                rows.append(ir.load(builder, kind, ir.offset(builder, message, 4 * first), 1))
            for column in transpose(builder, rows):
                w.append(ir.call(builder, f"llvm.bswap.v{lanes}i32", kind, column))
        for t, word in enumerate(w):
            keep(t, word)

        def sixteen(turn: Value, carried: Sequence[Value]) -> list[Value]:
            w = list(carried)
            for i in range(WORDS):
                s0 = vectors.sigma(builder, w[(i + 1) % WORDS], 7, 18, 3)
                s1 = vectors.sigma(builder, w[(i + 14) % WORDS], 17, 19, 10)
                w[i] = builder.add(builder.add(w[i], s0), builder.add(w[(i + 9) % WORDS], s1))
                keep(builder.add(builder.mul(turn, I64(WORDS)), I64(WORDS + i)), w[i])
            return w

        ir.loop(builder, I64(ROUNDS // WORDS - 1), w, sixteen)

    return expand_words


def _rounds(vectors: _Lanes) -> Any:
    """A microkernel: the 64 rounds of one block, and the state they start from added."""
    kind, width = vectors.kind, vectors.width

    @ir.inline
    def rounds(builder: Builder, state: Value, words: Value) -> None:
        places = [ir.offset(builder, state, width * i) for i in range(8)]
        start = [ir.load(builder, kind, place, width) for place in places]

        def eight(_turn: Value, carried: Sequence[Value]) -> list[Value]:
            words, *registers = carried
            for i in range(8):
                word = ir.load(builder, kind, ir.offset(builder, words, width * i), width)
                registers = vectors.one_round(builder, registers, word)
            return [ir.offset(builder, words, 8 * width), *registers]

        _, *result = ir.loop(builder, I64(ROUNDS // 8), [words, *start], eight)
        for place, before, after in zip(places, start, result, strict=True):
            ir.store(builder, builder.add(before, after), place, width)

    return rounds


def build(jit: Jit, lanes: int) -> Compression:
    """For 16 or 8 lanes. The state is [8 words][lanes], the words of a block [64][lanes]."""
    vectors = _Lanes(lanes)
    width = vectors.width
    expand_words, rounds = _expand_words(vectors), _rounds(vectors)

    @jit.helper
    def start(state: Any, scratch: Any) -> None:
        for word in range(8):
            for lane in range(lanes):
                scratch[word * lanes + lane] = state[word]

    @jit.helper
    def absorb(source: int, pitch: int, blocks: int, scratch: Any) -> None:
        here = scratch.ctypes.data
        words = here + 8 * width
        for block in range(blocks):
            expand_words(source + 64 * block, pitch, words, K.ctypes.data)
            rounds(here, words)

    @jit.helper
    def prepare(padding: Any, scratch: Any) -> None:
        first = (8 + ROUNDS) * lanes
        for t in range(ROUNDS):
            for lane in range(lanes):
                scratch[first + t * lanes + lane] = padding[t]

    @jit.helper
    def absorb_padding(scratch: Any) -> None:
        here = scratch.ctypes.data
        rounds(here, here + (8 + ROUNDS) * width)

    @jit.helper
    def word_of(scratch: Any, lane: int, word: int) -> Any:
        return scratch[word * lanes + lane]

    return Compression(
        lanes, (8 + 2 * ROUNDS) * lanes, start, absorb, prepare, absorb_padding, word_of
    )
