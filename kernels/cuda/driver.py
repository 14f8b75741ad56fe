"""Memory, streams and graphs of the CUDA driver, and one place that looks at its answers.

    stream, buffer = Stream(), DeviceBuffer(1 << 20)
    stream.clear(buffer.address, 1 << 18)

CUDA Driver API through cuda-bindings, in the primary context that numba.cuda made current. Plain
allocations only: managed memory can hang a card that runs out of it.
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from gettext import gettext as _
from typing import Any

import numpy as np
from cuda.bindings import driver as cu
from numpy.typing import NDArray

from kernels.errors import DeviceFault, TaskTooLarge

STICKY = frozenset(
    {
        "CUDA_ERROR_ILLEGAL_ADDRESS",
        "CUDA_ERROR_LAUNCH_FAILED",
        "CUDA_ERROR_LAUNCH_TIMEOUT",
        "CUDA_ERROR_ILLEGAL_INSTRUCTION",
        "CUDA_ERROR_MISALIGNED_ADDRESS",
        "CUDA_ERROR_INVALID_ADDRESS_SPACE",
        "CUDA_ERROR_INVALID_PC",
        "CUDA_ERROR_HARDWARE_STACK_ERROR",
        "CUDA_ERROR_ECC_UNCORRECTABLE",
        "CUDA_ERROR_ASSERT",
        "CUDA_ERROR_UNKNOWN",
    }
)
"""After one of these the process's context is lost, and with it every later result."""


def check(answer: tuple[Any, ...]) -> Any:
    """The values of a driver call. Raises DeviceFault, or TaskTooLarge where memory ran out."""
    code, *values = answer
    if code != cu.CUresult.CUDA_SUCCESS:
        name = code.name
        if name == "CUDA_ERROR_OUT_OF_MEMORY":
            raise TaskTooLarge(_("the card has too little free memory for this task"))
        raise DeviceFault(_("the CUDA driver said {name}").format(name=name), sticky=name in STICKY)
    if not values:
        return None
    return values[0] if len(values) == 1 else tuple(values)


def free_memory() -> int:
    """Bytes of device memory that are free now."""
    return int(check(cu.cuMemGetInfo())[0])


class DeviceBuffer:
    """Device memory; `address` is what kernels take."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.address = int(check(cu.cuMemAlloc(max(size, 16))))

    def close(self) -> None:
        """Release it. May be called twice."""
        if self.address:
            cu.cuMemFree(self.address)
            self.address = 0

    def to_host(self, dtype: Any = np.uint8) -> NDArray[Any]:
        """A copy of what it holds. Waits for the device."""
        host = np.empty(self.size, np.uint8)
        check(cu.cuMemcpyDtoH(host.ctypes.data, self.address, self.size))
        return host.view(dtype)

    def rows_to_host(self, out: NDArray[Any], pitch: int) -> None:
        """Fill `out`, contiguous rows, from rows that begin `pitch` bytes apart. Waits for the
        device.
        """
        copy = cu.CUDA_MEMCPY2D()
        copy.srcMemoryType = cu.CUmemorytype.CU_MEMORYTYPE_DEVICE
        copy.dstMemoryType = cu.CUmemorytype.CU_MEMORYTYPE_HOST
        copy.srcDevice, copy.srcPitch = self.address, pitch
        copy.dstHost, copy.dstPitch = out.ctypes.data, out.strides[0]
        copy.WidthInBytes, copy.Height = out.shape[1] * out.itemsize, out.shape[0]
        check(cu.cuMemcpy2D(copy))

    def read(self, offset: int, size: int) -> bytes:
        """Some bytes of it. Waits for the device."""
        host = np.empty(size, np.uint8)
        check(cu.cuMemcpyDtoH(host.ctypes.data, self.address + offset, size))
        return host.tobytes()

    def from_host(self, array: NDArray[Any]) -> None:
        """Copy an array into its beginning, and wait until it is there.

        The driver returns when it has read the array, while the copy may be on its way; the streams
        here do not wait for the one that it is on.
        """
        array = np.ascontiguousarray(array)
        check(cu.cuMemcpyHtoD(self.address, array.ctypes.data, array.nbytes))
        check(cu.cuStreamSynchronize(cu.CUstream(0)))


class PinnedBuffer:
    """Host memory that the device reads and writes itself; `array` is its content as bytes."""

    def __init__(self, size: int) -> None:
        self.address = int(check(cu.cuMemHostAlloc(size, cu.CU_MEMHOSTALLOC_DEVICEMAP)))
        memory = (ctypes.c_uint8 * size).from_address(self.address)
        self.array: NDArray[np.uint8] = np.frombuffer(memory, np.uint8)

    def close(self) -> None:
        """Release it. May be called twice."""
        if self.address:
            cu.cuMemFreeHost(self.address)
            self.address = 0


class Stream:
    """Work in order."""

    def __init__(self, *, first: bool = False) -> None:
        """`first`: where both could run, its kernels get the multiprocessors before others."""
        least, greatest = check(cu.cuCtxGetStreamPriorityRange())
        flags = cu.CUstream_flags.CU_STREAM_NON_BLOCKING
        priority = greatest if first else least
        self._handle = check(cu.cuStreamCreateWithPriority(flags, priority))
        self._events: list[Any] = []

    @property
    def handle(self) -> int:
        """The driver's CUstream, for other libraries."""
        return int(self._handle)

    def close(self) -> None:
        """Give it back."""
        for event in self._events:
            cu.cuEventDestroy(event)
        self._events.clear()
        cu.cuStreamDestroy(self._handle)

    def clear(self, address: int, words: int, value: int = 0) -> None:
        """Set 32-bit words to zero, or to another value."""
        check(cu.cuMemsetD32Async(address, value, words, self._handle))

    def copy(self, to: int, source: int, size: int) -> None:
        """Copy bytes from one address of the device to another."""
        check(cu.cuMemcpyDtoDAsync(to, source, size, self._handle))

    def to_device(self, to: int, source: int, size: int) -> None:
        """Copy bytes from pinned memory."""
        check(cu.cuMemcpyHtoDAsync(to, source, size, self._handle))

    def rows_to_host(self, to: int, source: int, shape: tuple[int, ...], pitch: int) -> None:
        """Copy rows x bytes that begin `pitch` bytes apart, one below the other, to pinned memory."""
        copy = cu.CUDA_MEMCPY2D()
        copy.srcMemoryType = cu.CUmemorytype.CU_MEMORYTYPE_DEVICE
        copy.dstMemoryType = cu.CUmemorytype.CU_MEMORYTYPE_HOST
        copy.srcDevice, copy.srcPitch = source, pitch
        copy.dstHost, copy.dstPitch = to, shape[1]
        copy.WidthInBytes, copy.Height = shape[1], shape[0]
        check(cu.cuMemcpy2DAsync(copy, self._handle))

    def wait(self) -> None:
        """Wait until everything on it is done. Raises DeviceFault for what went wrong there."""
        check(cu.cuStreamSynchronize(self._handle))

    def follow(self, other: "Stream") -> None:
        """What comes next here begins after what stands on the other stream now."""
        event = check(cu.cuEventCreate(cu.CUevent_flags.CU_EVENT_DISABLE_TIMING))
        check(cu.cuEventRecord(event, other._handle))
        check(cu.cuStreamWaitEvent(self._handle, event, 0))
        self._events.append(event)

    def record(self) -> "Event":
        """A mark whose time can be read."""
        return Event(self)

    @contextmanager
    def capture(self, *, may_allocate: bool = False) -> Iterator["Graph"]:
        """Collect what the body puts on this stream (and on followers) into a graph.

        `may_allocate`: the body takes memory, which is not part of the graph.
        """
        graph = Graph()
        modes = cu.CUstreamCaptureMode
        mode = modes.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        if may_allocate:
            mode = modes.CU_STREAM_CAPTURE_MODE_RELAXED
        check(cu.cuStreamBeginCapture(self._handle, mode))
        try:
            yield graph
        except BaseException:
            cu.cuStreamEndCapture(self._handle)
            raise
        graph.finish(check(cu.cuStreamEndCapture(self._handle)))

    def launch(self, graph: "Graph") -> None:
        """Replay a graph."""
        check(cu.cuGraphLaunch(graph.executable, self._handle))


class Event:
    """A mark on a stream."""

    def __init__(self, stream: Stream) -> None:
        self._event = check(cu.cuEventCreate(0))
        check(cu.cuEventRecord(self._event, stream._handle))

    def wait(self) -> None:
        """Wait until the stream has passed it. Raises DeviceFault for what went wrong before."""
        check(cu.cuEventSynchronize(self._event))

    def seconds_since(self, earlier: "Event") -> float:
        """Time on the device between two marks that were both passed."""
        check(cu.cuEventSynchronize(self._event))
        return float(check(cu.cuEventElapsedTime(earlier._event, self._event))) / 1000

    def __del__(self) -> None:
        cu.cuEventDestroy(self._event)


class Graph:
    """A captured graph, ready to be replayed; its first kernel's arguments can be set in between."""

    def __init__(self) -> None:
        self.executable: Any = None
        self._graph: Any = None
        self._first: Any = None
        self._arguments: Any = None

    def finish(self, graph: Any) -> None:
        """Make it executable."""
        self._graph = graph  # kept: its nodes are how the executable's are named
        self.executable = check(cu.cuGraphInstantiate(graph, 0))

    def set_arguments(self, arguments: tuple[int, ...]) -> None:
        """Arguments (int64) of the graph's one first kernel, for the next launch and those after it."""
        if self._first is None:
            nodes, _ = check(cu.cuGraphGetRootNodes(self._graph, 1))
            self._first = nodes[0]
            self._parameters = check(cu.cuGraphKernelNodeGetParams(self._first))
            self._arguments = (ctypes.c_longlong * len(arguments))()
            start, size = ctypes.addressof(self._arguments), ctypes.sizeof(ctypes.c_longlong)
            self._pointers = (ctypes.c_void_p * len(arguments))(
                *(start + size * i for i in range(len(arguments)))
            )
            self._parameters.kernelParams = ctypes.addressof(self._pointers)
        self._arguments[:] = arguments
        check(cu.cuGraphExecKernelNodeSetParams(self.executable, self._first, self._parameters))

    def close(self) -> None:
        """Release it. May be called twice."""
        if self.executable is not None:
            cu.cuGraphExecDestroy(self.executable)
            cu.cuGraphDestroy(self._graph)
            self.executable = None


def timed(stream: Stream, work: Callable[[], None]) -> float:
    """Seconds that `work` takes on the device."""
    first = stream.record()
    work()
    return stream.record().seconds_since(first)
