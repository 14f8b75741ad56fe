"""32-bit arithmetic and memory accesses that say what they cost: one instruction each, or few.

numba.cuda promotes int32 arithmetic to 64 bits; these do not. Beside each stands what it means in
plain Python, which is what runs under the simulator. "Buffers" are addresses (int64) on a GPU and flat
uint32 arrays in the simulator; offsets are in bytes.
"""

import threading
from typing import Any

from kernels.cuda.compiler import SIMULATED
from kernels.cuda.ptx import I32, I64, U32, Code, instruction, operation, tuple_of, word

BUFFER = I64
"""Type of a buffer in a kernel's signature."""


def _rotate(x: Any, n: Any) -> Any:
    return word(int(x) >> int(n) | int(x) << (32 - int(n)))


add32 = operation(
    U32, [U32, U32], lambda code, a, b: code.add(a, b), meaning=lambda a, b: word(int(a) + int(b))
)
subtract32 = operation(
    U32,
    [U32, U32],
    lambda code, a, b: code.subtract(a, b),
    meaning=lambda a, b: word(int(a) - int(b)),
)
mul32 = operation(
    U32, [U32, U32], lambda code, a, b: code.mul(a, b), meaning=lambda a, b: word(int(a) * int(b))
)
multiply_wide = instruction(
    "{ .reg .b64 d; mul.wide.u32 d, $2, $3; mov.b64 {$1, $0}, d; }",
    tuple_of(2, U32),
    [U32, U32],
    meaning=lambda a, b: (word(int(a) * int(b) >> 32), word(int(a) * int(b))),
)
"""High and low word of a product, in one instruction."""
low_word = instruction(
    "{ .reg .b32 t; mov.b64 {$0, t}, $1; }", U32, [I64], meaning=lambda a: word(int(a))
)
high_word = instruction(
    "{ .reg .b32 t; mov.b64 {t, $0}, $1; }", U32, [I64], meaning=lambda a: word(int(a) >> 32)
)
# One LOP3 (PTX ISA, lop3): the immediate is the truth table of the three inputs 0xF0, 0xCC, 0xAA.
xor3 = instruction(
    "lop3.b32 $0, $1, $2, $3, 0x96;",
    U32,
    [U32, U32, U32],
    meaning=lambda a, b, c: word(int(a) ^ int(b) ^ int(c)),
)
choose = instruction(
    "lop3.b32 $0, $1, $2, $3, 0xCA;",
    U32,
    [U32, U32, U32],
    meaning=lambda e, f, g: word((int(e) & int(f)) ^ (~int(e) & int(g))),
)
majority = instruction(
    "lop3.b32 $0, $1, $2, $3, 0xE8;",
    U32,
    [U32, U32, U32],
    meaning=lambda a, b, c: word((int(a) & int(b)) ^ (int(a) & int(c)) ^ (int(b) & int(c))),
)
rotate_right = instruction("shf.r.wrap.b32 $0, $1, $1, $2;", U32, [U32, U32], meaning=_rotate)
shift_right = instruction(
    "shr.u32 $0, $1, $2;", U32, [U32, U32], meaning=lambda x, n: word(int(x) >> int(n))
)
swap_bytes = instruction(
    "prmt.b32 $0, $1, 0, 0x0123;",
    U32,
    [U32],
    meaning=lambda x: word(int.from_bytes(int(x).to_bytes(4, "little"), "big")),
)


def _load(buffer: Any, offset: Any) -> Any:
    return word(buffer[int(offset) // 4])


def _load4(buffer: Any, offset: Any) -> Any:
    first = int(offset) // 4
    return tuple(word(buffer[first + i]) for i in range(4))


def _store(buffer: Any, offset: Any, a: Any) -> None:
    buffer[int(offset) // 4] = a


def _store4(buffer: Any, offset: Any, a: Any, b: Any, c: Any, d: Any) -> None:
    first = int(offset) // 4
    buffer[first], buffer[first + 1], buffer[first + 2], buffer[first + 3] = a, b, c, d


def _emit_load(text: str, count: int) -> Any:
    def emit(code: Code, buffer: Any, offset: Any) -> Any:
        return code.asm(text, count, [code.add(buffer, offset)], effect=True, memory=True)

    return emit


load = operation(U32, [BUFFER, I64], _emit_load("ld.global.u32 $0, [$1];", 1), meaning=_load)
load4 = operation(
    tuple_of(4, U32),
    [BUFFER, I64],
    _emit_load("ld.global.v4.u32 {$0, $1, $2, $3}, [$4];", 4),
    meaning=_load4,
)
load_byte = operation(
    U32,
    [BUFFER, I64],
    lambda code, buffer, offset: code.asm(
        "ld.global.u8 $0, [$1];", 1, [code.add(buffer, offset)], effect=True, memory=True
    ),
    meaning=lambda buffer, offset: word(int(buffer[int(offset) // 4]) >> int(offset) % 4 * 8 & 255),
)
store = operation(
    None,
    [BUFFER, I64, U32],
    lambda code, buffer, offset, a: code.asm(
        "st.global.u32 [$0], $1;", 0, [code.add(buffer, offset), a], memory=True
    ),
    meaning=_store,
)
store4 = operation(
    None,
    [BUFFER, I64, U32, U32, U32, U32],
    lambda code, buffer, offset, *values: code.asm(
        "st.global.v4.u32 [$0], {$1, $2, $3, $4};",
        0,
        [code.add(buffer, offset), *values],
        memory=True,
    ),
    meaning=_store4,
)


_ONE_AT_A_TIME = threading.Lock()


def _atomic_add(buffer: Any, offset: Any, a: Any) -> None:
    with _ONE_AT_A_TIME:  # the simulator's threads are real ones
        buffer[int(offset) // 4] = word(int(buffer[int(offset) // 4]) + int(a))


atomic_add = operation(
    None,
    [BUFFER, I64, U32],
    lambda code, buffer, offset, a: code.asm(
        "red.global.add.u32 [$0], $1;", 0, [code.add(buffer, offset), a], memory=True
    ),
    meaning=_atomic_add,
)

_SHUFFLE = "shfl.sync.bfly.b32 $0, $1, $2, 0x1f, 0xffffffff;"
exchange = instruction(_SHUFFLE, U32, [U32, U32], effect=True)
"""The value of the lane whose number differs in this bit (a whole warp takes part)."""

unsigned_divide = operation(
    I32,
    [I32, I32],
    lambda code, a, b: code.divide(a, b),
    meaning=lambda a, b: int(a) // int(b),
)
"""Quotient of two numbers that are not negative: numba's // would be a call."""


def _between_kernels(text: str) -> Any:
    def emit(code: Code) -> None:
        if code.capability >= (9, 0):
            code.asm(text, 0, [], memory=True)

    return operation(None, [], emit, meaning=lambda: None)


wait_for_kernel_before = _between_kernels("griddepcontrol.wait;")
"""Wait until the kernel before has ended and its writes are seen. Before it a kernel launched `early`
(`CompiledKernel`) may touch constants only (PTX ISA, griddepcontrol); elsewhere it does nothing. Every
kernel of a chain needs it: when one ends, all before it have.
"""
let_next_kernel_start = _between_kernels("griddepcontrol.launch_dependents;")
"""Let a kernel that is launched `early` begin as soon as every block here has said so or ended."""


def zeros(count: int) -> Any:
    """Return an operation `zeros(count)()`: a tuple of `count` zeros that stay in registers."""
    return operation(tuple_of(count), [], lambda code: [code.const(0)] * count)


def _shared_base(code: Code, array: Any) -> Any:
    address = code.address_of(array)
    text = "{ .reg .u64 s; cvta.to.shared.u64 s, $1; cvt.u32.u64 $0, s; }"
    (start,) = code.asm(text, 1, [address])
    return code.asm("add.u32 $0, $1, 1023; and.b32 $0, $0, 0xfffffc00;", 1, [start])


shared_base = operation(I32, [None], _shared_base)
"""shared_base(array): the array's first multiple of 1,024 bytes, as an address in shared memory.

The swizzle counts address bits, so a tile must start at such a multiple: ask for 1,023 bytes more.
"""
ALIGNMENT_BYTES = 1024

__all__ = [
    "ALIGNMENT_BYTES",
    "BUFFER",
    "SIMULATED",
    "add32",
    "atomic_add",
    "choose",
    "exchange",
    "high_word",
    "let_next_kernel_start",
    "load",
    "load4",
    "load_byte",
    "low_word",
    "majority",
    "mul32",
    "multiply_wide",
    "rotate_right",
    "shared_base",
    "shift_right",
    "store",
    "store4",
    "subtract32",
    "swap_bytes",
    "unsigned_divide",
    "wait_for_kernel_before",
    "xor3",
    "zeros",
]
