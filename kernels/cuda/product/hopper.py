"""The instructions that only Hopper (sm_90a) has: mbarriers, bulk copies, clusters, warpgroup
products.

PTX ISA, "Asynchronous Warpgroup Level Matrix Multiply-Accumulate Instructions", "Parallel
Synchronization and Communication Instructions: mbarrier", and cp.async.bulk.
Addresses of shared memory are 32-bit numbers in the shared window (`intrinsics.shared_base`).
"""

from typing import Any

from kernels.cuda.ptx import I32, I64, Code, instruction, operation, tuple_of

barrier_init = instruction("mbarrier.init.shared::cta.b64 [$0], $1;", None, [I32, I32], memory=True)
"""(barrier, arrivals): a phase is over when so many threads arrived and all its bytes came."""
barrier_fence = instruction("fence.mbarrier_init.release.cluster;", None, [], memory=True)
barrier_expect = instruction(
    "mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], $1;", None, [I32, I32], memory=True
)
"""(barrier, bytes): arrive, and wait for so many bytes in this phase."""
barrier_arrive = instruction("mbarrier.arrive.shared::cta.b64 _, [$0];", None, [I32], memory=True)
barrier_wait = instruction(
    "{\n.reg .pred done;\nagain:\n"
    "mbarrier.try_wait.parity.shared::cta.b64 done, [$0], $1;\n"
    "@!done bra again;\n}",
    None,
    [I32, I32],
    memory=True,
)
"""(barrier, parity): wait until the phase of this parity is over."""

bulk_copy = instruction(
    "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [$0], [$1], $2, [$3];",
    None,
    [I32, I64, I32, I32],
    memory=True,
)
"""(to, from, bytes, barrier): the copy engine brings bytes into shared memory, then tells the
barrier."""

bulk_copy_to_both = instruction(
    "{ .reg .b16 mask; cvt.u16.u32 mask, 3;\n"
    "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster"
    " [$0], [$1], $2, [$3], mask; }",
    None,
    [I32, I64, I32, I32],
    memory=True,
)
"""The same into both blocks of a cluster of two, at the same place, telling the barrier in each."""

copy_async_done = instruction("cp.async.wait_all;", None, [], memory=True)
"""Wait for what this thread copied by `copy_async`."""


def copy_async(size: int) -> Any:
    """(to, from): copy 4, 8 or 16 bytes into shared memory, and do not wait."""
    text = f"cp.async.ca.shared.global [$0], [$1], {size};"
    return instruction(text, None, [I32, I64], memory=True)


warpgroup_wait = instruction("bar.sync $0, 128;", None, [I32], memory=True)
"""(barrier): the 128 threads of a warpgroup wait for one another at the named barrier."""

cluster_rank = instruction("mov.u32 $0, %cluster_ctarank;", I32, [], effect=True)
cluster_wait = instruction(
    "barrier.cluster.arrive.release;\nbarrier.cluster.wait.acquire;",
    None,
    [],
    memory=True,
)
"""Every thread of every block of the cluster waits for all the others."""
barrier_arrive_at = instruction(
    "{ .reg .b32 there; mapa.shared::cluster.u32 there, $0, $1;\n"
    "mbarrier.arrive.shared::cluster.b64 _, [there]; }",
    None,
    [I32, I32],
    memory=True,
)
"""(barrier, rank): arrive at the barrier that lies at this address in the cluster's block `rank`."""

DESCRIPTOR = (1 << 62) | (64 << 32) | (1 << 16)
"""Matrix descriptor of a K-major operand with the 128-byte swizzle, but for its address: swizzle
mode 1 in bits 62-63, stride of 1,024 bytes (in 16s) between groups of 8 rows, leading offset unused
(1)."""


def multiply_accumulate(columns: int, blocks: int = 1) -> Any:
    """(sums, a, b, accumulate) -> sums: 64 * blocks x columns, 128 deep, of signed bytes; then commit.

    Four wgmma.m64nNk32 a block of 64 rows, each 32 bytes further along the swizzled rows (2 in a
    descriptor's units of 16). `accumulate` 0 begins anew. The sums are in flight until `wait_for`.
    """
    each, count = columns // 2, blocks * columns // 2
    a, b, scale = (f"${count + i}" for i in range(3))
    text = (
        "{\n.reg .pred p;\n.reg .b64 da, db;\n"
        f"setp.ne.b32 p, {scale}, 0;\nwgmma.fence.sync.aligned;\n"
    )
    for step in range(4):
        text += f"add.s64 db, {b}, {2 * step};\n"
        for block in range(blocks):
            registers = ",".join(f"${block * each + i}" for i in range(each))
            text += (
                f"add.s64 da, {a}, {2 * step + 512 * block};\n"
                f"wgmma.mma_async.sync.aligned.m64n{columns}k32.s32.s8.s8"
                f" {{{registers}}}, da, db, {'p' if step == 0 else '1'};\n"
            )
    text += "wgmma.commit_group.sync.aligned;\n}"

    def emit(code: Code, sums: Any, a: Any, b: Any, scale: Any) -> Any:
        tied = code.unpack(sums, count)
        return code.asm(text, count, [a, b, scale], tied=tied, memory=True)

    kind = tuple_of(count)
    return operation(kind, [kind, I64, I64, I32], emit)


wait_for_all_but_one = instruction("wgmma.wait_group.sync.aligned 1;", None, [], memory=True)


def wait_for(count: int) -> Any:
    """(sums) -> sums: wait for every product in flight; the `count` sums may be read after it.

    They go through it so that no read of them can be moved before it.
    """

    def emit(code: Code, sums: Any) -> Any:
        tied = code.unpack(sums, count)
        return code.asm("wgmma.wait_group.sync.aligned 0;", count, [], tied=tied, memory=True)

    kind = tuple_of(count)
    return operation(kind, [kind], emit)


def flip_bits(count: int) -> Any:
    """(sums, item, mask) -> sums with `mask` XORed into one item: a fault, for tests of the check."""

    def emit(code: Code, sums: Any, item: Any, mask: Any) -> Any:
        text = (
            "{ .reg .pred p; .reg .b32 m; setp.eq.u32 p, $1, %d;"
            " selp.b32 m, $2, 0, p; xor.b32 $0, $3, m; }"
        )
        values = code.unpack(sums, count)
        return [code.asm(text % i, 1, [item, mask, value])[0] for i, value in enumerate(values)]

    kind = tuple_of(count)
    return operation(kind, [kind, I32, I32], emit)
