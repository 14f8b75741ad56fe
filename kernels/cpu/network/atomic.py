"""What threads that work through the same program share: counters, and waiting for them."""

from kernels.cpu import ir
from kernels.cpu.ir import I64, Builder, Value


@ir.inline
def take(builder: Builder, counter: Value, to: Value) -> None:
    """Add 1 to the int64 at `counter`; store what it was at `to`."""
    place = ir.pointer(builder, counter, I64)
    ir.store(builder, builder.atomic_rmw("add", place, I64(1), "seq_cst"), to, 8)


@ir.inline
def read(builder: Builder, counter: Value, to: Value) -> None:
    """Store at `to` what the int64 at `counter` is, as other threads left it, after a short pause."""
    builder.fence("seq_cst")
    ir.call(builder, "llvm.x86.sse2.pause", ir.VOID)
    place = ir.pointer(builder, counter, I64)
    ir.store(builder, builder.load_atomic(place, "seq_cst", 8), to, 8)


@ir.inline
def give_way(builder: Builder) -> None:
    """Let another thread have this core (sched_yield)."""
    ir.call(builder, "sched_yield", ir.I32)
