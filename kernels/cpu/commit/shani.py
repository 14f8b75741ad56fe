"""SHA-256 with the CPU's own instructions for it, two messages at a time.

Intel SDM, volume 2, SHA256RNDS2, SHA256MSG1, SHA256MSG2; Gulley et al., Intel SHA Extensions (2013).
sha256rnds2 does two rounds on a state in two registers, (A, B, E, F) and (C, D, G, H); its latency is
four cycles or more, so that a second message, independent of the first, fits in between.

The instructions have no VEX form. After AVX code has left upper halves of registers in use, each of
them waits for those halves (200 times slower was seen): vzeroupper clears them first.
"""

from collections.abc import Sequence
from typing import Any

from numba import uint32

from kernels.commit.sha256 import K
from kernels.cpu import ir
from kernels.cpu.commit.messages import Compression
from kernels.cpu.ir import I32, I64, VOID, Builder, Value
from kernels.cpu.jit import Jit

FEATURES = frozenset({"sha", "sse4.1", "avx"})
STREAMS = 2
STATE_BYTES = 32
GROUPS = 16
"""Groups of four rounds in a block."""
PLACES = (3, 2, 7, 6, 1, 0, 5, 4)
"""Where A, ..., H stand among a state's eight words: F, E, B, A and then H, G, D, C, lowest first."""

QUARTET = ir.vector(I32, 4)


def _four_rounds(builder: Builder, abef: Value, cdgh: Value, words: Value) -> tuple[Value, Value]:
    """Four rounds; `words` has K + W of each."""
    name = "llvm.x86.sha256rnds2"
    cdgh = ir.call(builder, name, QUARTET, cdgh, abef, words)
    upper = builder.shuffle_vector(
        words, ir.undefined(QUARTET), ir.lanes_from(ir.vector(I32, 4), (2, 3, 2, 3))
    )
    abef = ir.call(builder, name, QUARTET, abef, cdgh, upper)
    return abef, cdgh


@ir.inline
def compress(
    builder: Builder, source: Value, pitch: Value, blocks: Value, states: Value, constants: Value
) -> None:
    """Blocks of 64 bytes of two messages, `pitch` bytes apart, into their two states."""
    start = _load_states(builder, states)
    messages = [builder.add(source, builder.mul(pitch, I64(s))) for s in range(STREAMS)]

    def block(turn: Value, carried: Sequence[Value]) -> list[Value]:
        done = builder.mul(turn, I64(64))
        w = [_load_words(builder, builder.add(message, done)) for message in messages]
        state = list(carried)
        for group in range(GROUPS):
            k = ir.load(builder, QUARTET, ir.offset(builder, constants, 16 * group), 4)
            for s in range(STREAMS):
                if group >= 4:
                    _next_words(builder, w[s], group)
                words = builder.add(w[s][group % 4], k)
                state[2 * s : 2 * s + 2] = _four_rounds(
                    builder, state[2 * s], state[2 * s + 1], words
                )
        return [builder.add(x, y) for x, y in zip(carried, state, strict=True)]

    _store_states(builder, states, ir.loop(builder, blocks, start, block))


@ir.inline
def compress_known(builder: Builder, states: Value, words: Value) -> None:
    """One block whose K + W is the same for both messages."""
    start = _load_states(builder, states)
    state = list(start)
    for group in range(GROUPS):
        k = ir.load(builder, QUARTET, ir.offset(builder, words, 16 * group), 4)
        for s in range(STREAMS):
            state[2 * s : 2 * s + 2] = _four_rounds(builder, state[2 * s], state[2 * s + 1], k)
    results = [builder.add(x, y) for x, y in zip(start, state, strict=True)]
    _store_states(builder, states, results)


def _load_states(builder: Builder, states: Value) -> list[Value]:
    ir.call(builder, "llvm.x86.avx.vzeroupper", VOID)
    return [
        ir.load(builder, QUARTET, ir.offset(builder, states, 16 * i), 16)
        for i in range(2 * STREAMS)
    ]


def _store_states(builder: Builder, states: Value, values: Sequence[Value]) -> None:
    for i, value in enumerate(values):
        ir.store(builder, value, ir.offset(builder, states, 16 * i), 16)


def _load_words(builder: Builder, block: Value) -> list[Value]:
    return [
        ir.call(
            builder,
            "llvm.bswap.v4i32",
            QUARTET,
            ir.load(builder, QUARTET, ir.offset(builder, block, 16 * i), 1),
        )
        for i in range(4)
    ]


def _next_words(builder: Builder, w: list[Value], group: int) -> None:
    """Four more words of the schedule, in the place of the oldest four."""
    this, following, third, last = (w[(group + i) % 4] for i in range(4))
    first = ir.call(builder, "llvm.x86.sha256msg1", QUARTET, this, following)
    seven_before = builder.shuffle_vector(
        third, last, ir.lanes_from(ir.vector(I32, 4), (1, 2, 3, 4))
    )
    total = builder.add(first, seven_before)
    w[group % 4] = ir.call(builder, "llvm.x86.sha256msg2", QUARTET, total, last)


def build(jit: Jit) -> Compression:
    """The state is [2 messages][8 words], after it the words of the padding's block."""

    @jit.helper
    def start(state: Any, scratch: Any) -> None:
        for message in range(STREAMS):
            for word in range(8):
                scratch[8 * message + PLACES[word]] = state[word]

    @jit.helper
    def absorb(source: int, pitch: int, blocks: int, scratch: Any) -> None:
        compress(source, pitch, blocks, scratch.ctypes.data, K.ctypes.data)

    @jit.helper
    def prepare(padding: Any, scratch: Any) -> None:
        for t in range(64):
            scratch[8 * STREAMS + t] = padding[t]

    @jit.helper
    def absorb_padding(scratch: Any) -> None:
        here = scratch.ctypes.data
        compress_known(here, here + STATE_BYTES * STREAMS)

    @jit.helper
    def word_of(scratch: Any, lane: int, word: int) -> Any:
        return uint32(scratch[8 * lane + PLACES[word]])

    return Compression(STREAMS, 8 * STREAMS + 64, start, absorb, prepare, absorb_padding, word_of)
