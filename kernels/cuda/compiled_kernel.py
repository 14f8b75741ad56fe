"""A numba kernel compiled for the current card, or loaded from the cubin cache, and its launch."""

import ctypes
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any

from cuda.bindings import driver as cu
from numba.cuda import types

from kernels.cuda.card import capability, driver_version
from kernels.cuda.cubin_cache import Cubin, CubinCache
from kernels.cuda.driver import Stream, check
from kernels.errors import DeviceFault

EARLY_CAPABILITY = (9, 0)
"""Cards on which a kernel may begin before the one before it has ended."""
ARRAY_LONGS = 7
"""Owner, owner's owner, entries, bytes of one, address, shape, stride (numba.cuda.dispatcher)."""


class CompiledKernel:
    """A numba kernel compiled for the current card, launched by the driver itself.

    numba's own launch takes some 20 us of Python; `cuLaunchKernelEx` takes clusters as well.
    """

    def __init__(
        self,
        kernel: Any,
        arguments: int | Sequence[Any],
        *,
        shared_bytes: int = 0,
        cluster: int = 1,
        key: str | None = None,
    ) -> None:
        """`arguments`: how many int64 it takes, or their types. Compiles now, so that capture need not.

        An array of one dimension is launched with the ARRAY_LONGS int64 that numba makes of it. `key`
        names the kernel among those that are kept as files (`cubin_cache.py`); None keeps none.
        """
        kinds = (types.int64,) * arguments if isinstance(arguments, int) else tuple(arguments)
        self._code = _loaded(kernel, kinds, key)
        self._function = cu.CUfunction(int(self._code))
        arrays = sum(isinstance(kind, types.Array) for kind in kinds)
        self._kinds = (ctypes.c_longlong,) * (len(kinds) + arrays * (ARRAY_LONGS - 1))
        self._config = cu.CUlaunchConfig()
        self._config.sharedMemBytes = shared_bytes
        self._config.blockDimY = self._config.blockDimZ = 1
        which = cu.CUfunction_attribute
        self._set(which.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, shared_bytes)
        # Kernels that split a multiprocessor's memory in different ways do not run on it together:
        # so all take as much of it as shared memory as the product needs.
        self._set(which.CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, 100)
        attributes, names = [], cu.CUlaunchAttributeID
        if cluster > 1:
            attribute = cu.CUlaunchAttribute()
            attribute.id = names.CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION
            attribute.value.clusterDim.x = cluster
            attribute.value.clusterDim.y = attribute.value.clusterDim.z = 1
            attributes.append(attribute)
        self._usual = len(attributes)
        if capability() >= EARLY_CAPABILITY:
            attribute = cu.CUlaunchAttribute()
            attribute.id = names.CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION
            attribute.value.programmaticStreamSerializationAllowed = 1
            attributes.append(attribute)
        self._all = len(attributes)
        self._config.attrs = attributes

    def _set(self, attribute: Any, value: int) -> None:
        device = check(cu.cuCtxGetDevice())
        check(cu.cuKernelSetAttribute(attribute, value, self._code, device))

    @property
    def registers(self) -> int:
        """32-bit registers a thread."""
        device = check(cu.cuCtxGetDevice())
        attribute = cu.CUfunction_attribute.CU_FUNC_ATTRIBUTE_NUM_REGS
        return int(check(cu.cuKernelGetAttribute(attribute, self._code, device)))

    def __call__(
        self,
        stream: Stream,
        grid: tuple[int, ...],
        threads: int,
        *arguments: int,
        early: bool = False,
    ) -> None:
        """Launch it. `early`: it may begin before the stream's last kernel has ended.

        Its code then waits by itself (`wait_for_kernel_before`). Cards before Hopper take no notice.
        """
        config = self._config
        config.numAttrs = self._all if early else self._usual
        config.gridDimX, config.gridDimY, config.gridDimZ = (*grid, 1, 1)[:3]
        config.blockDimX = threads
        config.hStream = stream._handle
        check(cu.cuLaunchKernelEx(config, self._function, (arguments, self._kinds), 0))


def _loaded(kernel: Any, kinds: tuple[Any, ...], key: str | None) -> Any:
    """The kernel on the card: out of a file, or compiled, and then kept as one."""
    kept = _cubins(capability(), driver_version())
    if key is not None and (cubin := kept.find(key)) is not None:
        with suppress(DeviceFault):  # a file that this driver does not take is compiled again
            return _load(cubin)
    kernel.compile(kinds)
    (overload,) = kernel.overloads.values()
    handle = overload._codelibrary.get_cufunc().handle
    if key is not None:
        library = overload._codelibrary
        kept.keep(key, Cubin(library._entry_name, bytes(library.get_cubin().code)))
    return cu.CUkernel(int(handle))


def _load(cubin: Cubin) -> Any:
    library = check(cu.cuLibraryLoadData(cubin.code, [], [], 0, [], [], 0))
    return check(cu.cuLibraryGetKernel(library, cubin.name.encode()))


_cubins = cache(CubinCache)
