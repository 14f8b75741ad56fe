"""What threads that work through the same program share: counters, and waiting for them."""

from kernels.cpu import ir
from kernels.cpu.ir import I64, Builder, Value


@ir.valued
def add(builder: Builder, counter: Value, number: Value) -> Value:
    """Add to the int64 at `counter`; give what it was."""
    place = ir.pointer(builder, counter, I64)
    return builder.atomic_rmw("add", place, number, "seq_cst")


@ir.valued
def read(builder: Builder, counter: Value) -> Value:
    """Give what the int64 at `counter` is, as other threads left it, after a short pause."""
    ir.call(builder, "llvm.x86.sse2.pause", ir.VOID)
    return builder.load_atomic(ir.pointer(builder, counter, I64), "seq_cst", 8)


@ir.inline
def rest(builder: Builder) -> None:
    """Sleep for some 0.05 ms. The system wakes a sleeper at once; one that spins waits for its turn."""
    ir.call(builder, "usleep", ir.I32, ir.I32(1))
