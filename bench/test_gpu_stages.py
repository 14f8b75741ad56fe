"""Each stage of a task on a GPU, and the whole of it, at n = 4096: launch to end, by the clock.

    make bench

Device times without the launch are `python -m bench.gpu`'s; `extra_info` has them, too.
"""

import importlib.util

import pytest

if importlib.util.find_spec("numba_cuda") is None:
    pytest.skip("needs numba-cuda and a GPU", allow_module_level=True)

from numba import cuda

if not cuda.is_available():
    pytest.skip("needs a GPU", allow_module_level=True)

from kernels.cuda.device import CudaDevice
from kernels.cuda.driver import Stream, timed
from kernels.task import Task

TASK = Task(bytes(range(32)), 4096)
TIMES = {"rounds": 50, "warmup_rounds": 5}


@pytest.fixture(scope="module")
def graph():
    with CudaDevice(0) as device:
        device.prepare(TASK)
        graph = device.graph(TASK)
        graph.begin(TASK.seed)
        graph.finish()
        yield graph
        graph.close()


@pytest.mark.benchmark(group="GPU: stages at n = 4096")
@pytest.mark.parametrize("stage", ["expand", "product", "commit", "project", "subtract", "verdict"])
def test_stage(benchmark, graph, stage):
    stream = Stream()
    launch = getattr(graph._stages, stage)

    def work():
        launch(stream, *((0,) if stage in ("product", "subtract") else ()))
        stream.wait()

    benchmark.pedantic(work, **TIMES)
    benchmark.extra_info["device us"] = round(1e6 * timed(stream, work), 1)


@pytest.mark.benchmark(group="GPU: whole task, seed to root on the host")
@pytest.mark.parametrize("n", [1024, 4096])
def test_task(benchmark, n):
    task = Task(TASK.seed, n)
    with CudaDevice(0) as device:
        device.prepare(task)
        benchmark.pedantic(lambda: device.compute(task), **TIMES)
