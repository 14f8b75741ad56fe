"""What this CPU has, by LLVM's names of features, and what the code generator may use of it.

Asked before anything is compiled: code for instructions that are missing kills the process, while it
is compiled (LLVM aborts) or when it first runs (SIGILL). Names of CPUs say nothing here: a virtual
machine may hide what its CPU has.
"""

import ctypes
import platform
import sys
from functools import cache

from llvmlite import binding

_ARCH_PRCTL = 158
_ARCH_GET_XCOMP_PERM, _ARCH_REQ_XCOMP_PERM = 0x1022, 0x1023
_XFEATURE_TILEDATA = 18


@cache
def target() -> tuple[str, str, str]:
    """Triple, CPU name and features that Numba compiles for: together they describe its code."""
    from numba.core.registry import cpu_target

    triple, cpu, features = cpu_target.target_context.codegen().magic_tuple()
    return str(triple), str(cpu), str(features)


@cache
def usable_features() -> frozenset[str]:
    """Features that the CPU has and that Numba was not told to do without.

    `NUMBA_CPU_FEATURES` narrows them: "+avx2" alone makes any x86 CPU look like one without AVX-512.
    LLVM itself still goes by the CPU's name, and needs "-avx512f" besides to leave it alone.
    """
    try:
        has = {name for name, there in binding.get_host_cpu_features().items() if there}
    except RuntimeError:  # LLVM cannot tell on this system: then only what every CPU has
        return frozenset()
    told = {name[1:] for name in target()[2].split(",") if name.startswith("+")}
    return frozenset(has & told)


def vector_bits() -> int:
    """Width of the vectors that helper kernels are written for: 512, 256 or 128."""
    usable = usable_features()
    if {"avx512f", "avx512bw"} <= usable:
        return 512
    return 256 if "avx2" in usable else 128


@cache
def tiles_permitted() -> bool:
    """Ask Linux for AMX's tile registers: 8 KiB of state that a process gets only on request.

    The permission is the process's, and threads that start later have it too (Linux 5.16,
    Documentation/arch/x86/xstate.rst). Without it the first tile instruction ends the process.
    """
    if not sys.platform.startswith("linux") or platform.machine() != "x86_64":
        return False
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    number = ctypes.c_long(_ARCH_PRCTL)
    if syscall(number, ctypes.c_long(_ARCH_REQ_XCOMP_PERM), ctypes.c_long(_XFEATURE_TILEDATA)):
        return False
    permitted = ctypes.c_uint64(0)
    if syscall(number, ctypes.c_long(_ARCH_GET_XCOMP_PERM), ctypes.byref(permitted)):
        return False
    return bool(permitted.value >> _XFEATURE_TILEDATA & 1)
