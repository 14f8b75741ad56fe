"""The CUDA driver's calls on host memory, and a kernel cache whose kernels run in the simulator.

For what stands between networks and the driver (kernels/cuda/network/card.py): addresses, sizes, the
order of arguments. An address that lies in no allocation is an error here, as it is on a card.
"""

# ruff: noqa: N802 - the driver's names

import ctypes
import sys
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace

import numba.cuda
import numpy as np
import pytest

from kernels.cuda.network.kernel import NUMBER, WORDS

SUCCESS = SimpleNamespace(name="CUDA_SUCCESS")
MEMORY = 1 << 26


class HostDriver(ModuleType):
    """What kernels/cuda/driver.py takes of cuda.bindings.driver."""

    CUresult = SimpleNamespace(CUDA_SUCCESS=SUCCESS)
    CUmemorytype = SimpleNamespace(CU_MEMORYTYPE_DEVICE=2, CU_MEMORYTYPE_HOST=1)
    CUstream_flags = SimpleNamespace(CU_STREAM_NON_BLOCKING=1)
    CUstream = int
    CU_MEMHOSTALLOC_DEVICEMAP = 2
    CUstreamCaptureMode = SimpleNamespace(
        CU_STREAM_CAPTURE_MODE_THREAD_LOCAL=1, CU_STREAM_CAPTURE_MODE_RELAXED=2
    )

    def __init__(self):
        super().__init__("cuda.bindings.driver")
        self.blocks, self.pinned, self.captured, self.graphs = {}, {}, None, 0
        self.CUDA_MEMCPY2D = SimpleNamespace

    def words(self, address, count=None, dtype=np.uint8):
        """The memory from an address on, to the end of its allocation unless a count is given."""
        for start, array in self.blocks.items():
            if start <= address < start + array.size:
                found = array[address - start :].view(dtype)
                assert count is None or count <= found.size, "beyond the end of an allocation"
                return found[:count]
        raise AssertionError(f"an address of nothing: {address}")

    def do(self, step):
        """At once, or where a stream is captured whenever the graph is launched."""
        if self.captured is None:
            step()
        else:
            self.captured.append(step)

    def cuStreamBeginCapture(self, _stream, _mode):
        self.captured = []
        return (SUCCESS,)

    def cuStreamEndCapture(self, _stream):
        graph, self.captured = self.captured, None
        return SUCCESS, graph

    def cuGraphInstantiate(self, graph, _flags):
        self.graphs += 1
        return SUCCESS, graph

    def cuGraphLaunch(self, graph, _stream):
        for step in graph:
            step()
        return (SUCCESS,)

    def cuGraphExecDestroy(self, _graph):
        self.graphs -= 1

    def cuGraphDestroy(self, _graph):
        pass

    def cuMemGetInfo(self):
        return SUCCESS, MEMORY - sum(array.size for array in self.blocks.values()), MEMORY

    def cuMemAlloc(self, size):
        array = np.full(size, 0xA5, np.uint8)
        self.blocks[array.ctypes.data] = array
        return SUCCESS, array.ctypes.data

    def cuMemFree(self, address):
        del self.blocks[address]

    def cuMemcpyDtoDAsync(self, to, source, size, _stream):
        self.do(lambda: ctypes.memmove(self.words(to, size).ctypes.data, source, size))
        return (SUCCESS,)

    def cuMemcpyDtoH(self, host, address, size):
        assert self.captured is None
        ctypes.memmove(host, self.words(address, size).ctypes.data, size)
        return (SUCCESS,)

    def cuMemcpyHtoD(self, address, host, size):
        ctypes.memmove(self.words(address, size).ctypes.data, host, size)
        return (SUCCESS,)

    def cuMemcpy2D(self, copy):
        for row in range(copy.Height):
            source, to = copy.srcDevice + row * copy.srcPitch, copy.dstHost + row * copy.dstPitch
            self.cuMemcpyDtoH(to, source, copy.WidthInBytes)
        return (SUCCESS,)

    def cuMemcpy2DAsync(self, copy, _stream):
        assert copy.dstPitch * copy.Height <= len(self.pinned[copy.dstHost])
        return self.cuMemcpy2D(copy)

    def cuMemcpyHtoDAsync(self, address, host, size, _stream):
        assert size <= len(self.pinned[host])
        return self.cuMemcpyHtoD(address, host, size)

    def cuMemHostAlloc(self, size, _flags):
        array = np.full(size, 0xA5, np.uint8)
        self.pinned[array.ctypes.data] = array
        return SUCCESS, array.ctypes.data

    def cuMemFreeHost(self, address):
        del self.pinned[address]

    def cuEventCreate(self, _flags):
        return SUCCESS, 9

    def cuEventRecord(self, _event, _stream):
        return (SUCCESS,)

    def cuEventSynchronize(self, _event):
        return (SUCCESS,)

    def cuEventDestroy(self, _event):
        pass

    def cuMemsetD32Async(self, address, value, count, _stream):
        words = self.words(address, 4 * count).view(np.uint32)
        self.do(lambda: words.fill(value))
        return (SUCCESS,)

    def cuCtxGetStreamPriorityRange(self):
        return SUCCESS, 0, -1

    def cuStreamCreateWithPriority(self, _flags, _priority):
        return SUCCESS, 7

    def cuStreamSynchronize(self, _stream):
        assert self.captured is None
        return (SUCCESS,)

    def cuStreamDestroy(self, _stream):
        return (SUCCESS,)


class HostKernels:
    """KernelCache's: products by numpy out of what was packed, their check by the ticket alone."""

    def __init__(self, driver):
        self.driver, self.packed, self.wrong_products = driver, {}, 0

    def network(self, kernel):
        def launch(_stream, grid, threads, *longs):
            assert grid[0] >= 1
            assert 1 <= threads <= 1024
            left, given = list(longs), []
            for kind in kernel.kinds:
                if kind == NUMBER:
                    given.append(np.int64(left.pop(0)))
                    continue
                if kind == WORDS:
                    given.append(self.driver.words(left.pop(0), dtype=np.uint32))
                    continue
                owner, parent, entries, size, address, side, stride = (
                    left.pop(0) for _ in range(7)
                )
                assert (owner, parent, side, stride) == (0, 0, entries, size)
                given.append(self.driver.words(address, entries * size).view(f"<{kind[:2]}"))
            assert not left
            self.driver.do(lambda: kernel.kernel[1, 1](*given))

        return launch

    def commit(self, kernel, arguments):
        def launch(_stream, grid, threads, *longs):
            assert len(longs) == arguments
            given = [
                self.driver.words(x, dtype=np.uint32) if x > MEMORY else np.int64(x) for x in longs
            ]
            self.driver.do(lambda: kernel[grid, threads](*given))

        return launch

    def pack(self, _stream, grid, _threads, source, to, rows, columns, tiles, as_b):
        assert grid[0] == tiles
        assert grid[0] * 128 >= columns
        assert grid[1] * 128 >= rows
        self.driver.words(to, grid[0] * grid[1] * 128 * 128)
        matrix = self.driver.words(source, rows * columns, np.int8).reshape(rows, columns)
        self.driver.do(lambda: self.packed.__setitem__(to, (matrix.copy(), as_b)))

    def weights(self, _stream, _grid, _threads, weights, *rest):
        self.driver.words(weights, 4 * rest[-1])

    def project(self, _stream, _grid, _threads, b, weights, u, tiles, count):
        self.driver.words(b, tiles * 128 * 256 * (count // tiles))
        self.driver.words(weights, 4 * 256 * (count // tiles))
        self.driver.words(u, 4 * tiles * 128)

    def subtract(self, _stream, _grid, _threads, a, u, sums, tiles, count):
        self.project(None, None, None, a, sums, u, tiles, count)

    def int32_product(self, _config, M, N, K, _processors):
        def launch(_stream, grid, threads, a, b, c, weights, sums, *sizes):
            assert (grid, threads, sizes) == ((9,), 128, (M, N, K))
            self.driver.words(weights, 4 * N)
            C = self.driver.words(c, 4 * M * N).view(np.int32).reshape(M, N)

            def multiply():
                (A, left), (B, right) = self.packed[a], self.packed[b]
                assert (left, right) == (0, 1)
                C[: len(A), : len(B)] = A.astype(np.int32) @ B.T.astype(np.int32)
                if self.wrong_products:
                    self.wrong_products -= 1
                    self.driver.words(sums, 4)[0] = 1

            self.driver.do(multiply)

        return SimpleNamespace(grid=lambda *_sizes: (9,), threads=128), launch


@contextmanager
def installed():
    """Let kernels.cuda.driver and what imports it be imported; forget them afterwards."""
    driver, bindings = HostDriver(), ModuleType("cuda.bindings")
    bindings.driver = driver
    known = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cuda", ModuleType("cuda"))
        patch.setitem(sys.modules, "cuda.bindings", bindings)
        patch.setitem(sys.modules, "cuda.bindings.driver", driver)
        patch.setattr(numba.cuda, "types", numba.types, raising=False)
        yield driver
    for name in set(sys.modules) - known:
        if name.startswith("kernels.cuda."):
            del sys.modules[name]
