"""The epilogue on the tensor cores: what happens to the accumulators of a warp.

The fold of section 3 of the specification, R = int8((C XOR (C >> 8)) AND 0xFF), looks at the two low
bytes of C only: it is their exclusive or. `fold4` does four of them in five instructions.

**The accumulators of a warp.** Both mma.sync.m16n8k32 (PTX ISA, "Matrix Fragments for mma.m16n8k32")
and wgmma.m64nNk32 ("Register Fragments for wgmma.mma_async.m64nNk32": each of the four warps has 16 of
the 64 rows) spread 16 rows by 8 columns of C over the 32 lanes of a warp in the same way. With
g = lane >> 2 and t = lane & 3, a lane holds four int32:

    register 0: row g,     column 2t        register 1: row g,     column 2t + 1
    register 2: row g + 8, column 2t        register 3: row g + 8, column 2t + 1

A warp has `blocks` such blocks one under the other (16 rows each) and 8 * `groups` of them side by side
(64 columns a group). The blocks' first rows are `apart` rows apart: 16, or, where a warpgroup has two
blocks of 64 rows, 64. Here they are one tuple of int32, and register r of the block in row
m, column j is item

    (m * 8 * groups + j) * 4 + r                          128 items for 64 x 64 or 16 x 256

**Why B's rows are permuted.** Column 8b + 2t + e of a group is the product with the row of B that lies
at that position, which is row 16t + 2b + e of the group (`layout.py`). So what a lane holds of a group,
columns 8b + 2t + e for b = 0 ... 7 and e = 0, 1, belongs to the columns 16t ... 16t + 15 of C, in
order: one 16-byte chunk of R, one vector store.
"""

from collections.abc import Sequence
from typing import Any

from kernels.cuda.compiler import cuda, int32
from kernels.cuda.intrinsics import BUFFER
from kernels.cuda.layout import TILE, TILE_BYTES
from kernels.cuda.ptx import I32, I64, U32, Code, operation, tuple_of, word

GROUP_COLUMNS = 64
GROUP_REGISTERS = 32
"""Items of the tuple for 16 rows by 64 columns."""


# ---------------------------------------------------------------------------------------------------
# The fold.


def emit_fold4(code: Code, c0: Any, c1: Any, c2: Any, c3: Any) -> Any:
    """Four int32 of C to four int8 of R in one word, c0 in the low byte: five instructions.

    A digit of prmt's selector names one byte of the pair (x: 0 to 3, y: 4 to 7), lowest digit first
    (PTX ISA, prmt).
    """

    def permute(x: Any, y: Any, selector: str) -> Any:
        return code.asm(f"prmt.b32 $0, $1, $2, {selector};", 1, [x, y])[0]

    left = permute(c0, c1, "0x5140")  # byte 0 of c0 and of c1, byte 1 of c0 and of c1
    right = permute(c2, c3, "0x5140")
    low = permute(left, right, "0x5410")
    high = permute(left, right, "0x7632")
    return code.xor(low, high)


def _fold4(*values: Any) -> Any:
    folded = [(int(c) ^ int(c) >> 8) & 0xFF for c in values]
    return word(int.from_bytes(bytes(folded), "little"))


fold4 = operation(U32, [I32, I32, I32, I32], emit_fold4, meaning=_fold4)
"""fold4(c0, c1, c2, c3): R for four values of C, as one word."""


# ---------------------------------------------------------------------------------------------------
# The epilogue of a warp: what happens to its accumulators.


def _halves(blocks: int) -> list[tuple[int, int]]:
    """(m, h): the rows that a lane holds are g + apart * m + 8 h."""
    return [(m, h) for m in range(blocks) for h in range(2)]


def _sixteen(registers: Sequence[Any], groups: int, m: int, h: int, q: int) -> list[Any]:
    """What a lane holds of row g + apart * m + 8 h in group q: columns 16t ... 16t + 15, in order."""
    first = (m * groups + q) * GROUP_REGISTERS + 2 * h
    return [registers[first + 4 * b + e] for b in range(8) for e in range(2)]


def fold_rows(blocks: int, groups: int, apart: int = 16) -> Any:
    """An operation (row, chunk, accumulators): write R, folded, in A's layout.

    `row`: int64 address of row g, in the tile of R that holds the first group of columns. `chunk`:
    int32, 16 times the number of that group's chunk in its row of the tile, swizzled:
    ((t ^ g) << 4), and ^ 64 where the group is the right half of its tile; `first_chunk` says it.
    Several groups start at the left half. The warp's first row is a multiple of 8 and all its rows lie
    in one row of tiles, so that every row of this lane has the same swizzle, g.
    """
    count = blocks * groups * GROUP_REGISTERS

    def emit(code: Code, row: Any, chunk: Any, accumulators: Any) -> Any:
        registers = code.unpack(accumulators, count)
        left = code.add(row, code.widen(chunk))
        right = code.add(row, code.widen(code.xor(chunk, code.const(64))))
        for m, h in _halves(blocks):
            for q in range(groups):
                c = _sixteen(registers, groups, m, h, q)
                words = [emit_fold4(code, *c[i : i + 4]) for i in range(0, 16, 4)]
                offset = (apart * m + 8 * h) * TILE + q // 2 * TILE_BYTES
                text = f"st.global.v4.b32 [$0+{offset}], {{$1, $2, $3, $4}};"
                code.asm(text, 0, [(left, right)[q % 2], *words], memory=True)

    return operation(None, [I64, I32, tuple_of(count)], emit)


def _add_to_row(code: Code, sums: Any, total: Any, t: Any, offset: int) -> None:
    """Add the totals of a row's four lanes, which differ in t, to its word of `sums`."""
    exchange = "shfl.sync.bfly.b32 $0, $1, %d, 0x1f, 0xffffffff;"
    # Predicated, not branched around: the registers stay where they are.
    add = "{ .reg .pred p; setp.eq.u32 p, $2, 0; @p red.global.add.u32 [$0+%d], $1; }"
    for bit in (1, 2):
        total = code.add(total, code.asm(exchange % bit, 1, [total], effect=True)[0])
    code.asm(add % offset, 0, [sums, total, t], memory=True)


@cuda.jit(device=True)
def first_chunk(lane: Any, group: Any) -> Any:
    """`fold_rows`'s chunk: where columns 16t ... of group `group` of the product lie in rows g, g + 8.

    The chunk 4 * (group & 1) + t at the place that the swizzle of row g gives it, in bytes.
    """
    g, t = int32(lane >> 2), int32(lane & 3)
    return int32(((int32(group & 1) << 2) ^ t ^ g) << 4)


def store_rows(blocks: int, groups: int, apart: int = 16) -> Any:
    """An operation (c, pitch, accumulators): write C as int32, row-major.

    `c`: int64 address of C[row g][column 16t of the first group]; `pitch`: int64, bytes from a row to
    the next. A lane's 64 neighbouring bytes would be four stores of 16, each with holes between the
    lanes: so the four lanes of a row first swap 16-byte pieces, as a 4 x 4 matrix is transposed, and
    then store 64 bytes in a row together.
    """
    count = blocks * groups * GROUP_REGISTERS

    def emit(code: Code, c: Any, pitch: Any, accumulators: Any) -> Any:
        registers = code.unpack(accumulators, count)
        (t,) = code.asm("mov.u32 $0, %laneid; and.b32 $0, $0, 3;", 1, [])
        # From column 16t to column 4t: 48 bytes back for each step of t.
        start = code.add(c, code.widen(code.mul(t, code.const(-48))))
        for m, h in _halves(blocks):
            row = code.add(start, code.mul(pitch, code.const(apart * m + 8 * h, 64)))
            for q in range(groups):
                values = _sixteen(registers, groups, m, h, q)
                pieces = _transpose_among_four(
                    code, t, [values[i : i + 4] for i in range(0, 16, 4)]
                )
                for lane, piece in enumerate(pieces):
                    offset = (q * GROUP_COLUMNS + 16 * lane) * 4
                    text = f"st.global.v4.b32 [$0+{offset}], {{$1, $2, $3, $4}};"
                    code.asm(text, 0, [row, *piece], memory=True)

    return operation(None, [I64, I64, tuple_of(count)], emit)


def _transpose_among_four(code: Code, t: Any, pieces: list[list[Any]]) -> list[list[Any]]:
    """Piece i of lane t becomes piece t of lane i, for the four lanes that differ in t.

    One bit of t and i after the other: a lane sends the piece whose bit differs from its own, and
    what it gets takes that piece's place.
    """
    exchange = "shfl.sync.bfly.b32 $0, $1, %d, 0x1f, 0xffffffff;"
    choose = "{ .reg .pred p; setp.ne.u32 p, $1, 0; selp.b32 $0, $2, $3, p; }"

    def select(bit: Any, if_set: Any, if_clear: Any) -> Any:
        return code.asm(choose, 1, [bit, if_set, if_clear])[0]

    for distance in (1, 2):
        (bit,) = code.asm(f"and.b32 $0, $1, {distance};", 1, [t])
        for i in (i for i in range(4) if not i & distance):
            low, high = pieces[i], pieces[i | distance]
            for k in range(4):
                sent = select(bit, low[k], high[k])
                got = code.asm(exchange % distance, 1, [sent], effect=True)[0]
                low[k], high[k] = select(bit, got, low[k]), select(bit, high[k], got)
    return pieces


def add_row_sums(blocks: int, groups: int, apart: int = 16, *, shared: bool = False) -> Any:
    """An operation (sums, weights, lane, accumulators): one side of Freivalds' check.

    sums[i] += sum over the warp's columns j of weights[j] * C[i][j], modulo 2^32, for its rows i.
    `sums`: int64 address of the word of row g; `weights`: address of the word of column 16t of the
    first group, int64, or int32 where they are `shared` memory's. The four lanes of a row add up among
    themselves (shfl.bfly), then one of them adds to memory.
    """
    count = blocks * groups * GROUP_REGISTERS
    load = "ld.global.nc.v4.b32 {$0, $1, $2, $3}, [$4+%d];"
    if shared:
        load = "ld.shared.v4.b32 {$0, $1, $2, $3}, [$4+%d];"

    def emit(code: Code, sums: Any, weights: Any, lane: Any, accumulators: Any) -> Any:
        registers = code.unpack(accumulators, count)
        halves = _halves(blocks)
        totals = [code.const(0) for _ in halves]
        for q in range(groups):
            for i in range(0, 16, 4):
                offset = (q * GROUP_COLUMNS + i) * 4
                v = code.asm(load % offset, 4, [weights], memory=shared)
                for position, (m, h) in enumerate(halves):
                    c = _sixteen(registers, groups, m, h, q)[i : i + 4]
                    for k in range(4):
                        totals[position] = code.add(totals[position], code.mul(v[k], c[k]))
        (t,) = code.asm("and.b32 $0, $1, 3;", 1, [lane])
        for position, (m, h) in enumerate(halves):
            _add_to_row(code, sums, totals[position], t, (apart * m + 8 * h) * 4)

    place = I32 if shared else BUFFER
    return operation(None, [BUFFER, place, I32, tuple_of(count)], emit)
