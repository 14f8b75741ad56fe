"""What one GPU does, beside cuBLASLt, PyTorch, Triton and the guide's pipeline (cupy), in one run.

    python -m bench.gpu                      # prints tables for RESULTS.md; --json FILE keeps figures
    python -m bench.gpu --products           # the table of products alone: cpc-engine bench --table
    python -m bench.gpu --products --short   # in 100 seconds on an H200

What is compared takes turns in the same process; `engine/benchmark/product_run.py` says how. What is
not installed is left out.
"""

import argparse
import hashlib
import json
import time
from pathlib import Path
from statistics import median

from engine.benchmark import product_run
from engine.benchmark.products import SEED
from kernels.cuda.commit.plan import plan_leaves
from kernels.cuda.device import CudaDevice
from kernels.cuda.driver import Stream, timed
from kernels.task import Task

TASK_SIZES = (1024, 2048, 4096, 8192)
SHORT = (1024, 2048, 4096, 8192)


def whole_task(n, iterations, rounds=31):
    """Medians of a task with and without the check, which take turns: a warm card is slower."""
    task = Task(SEED, n, iterations)
    with CudaDevice(0) as device, CudaDevice(0, checked=False) as unchecked:
        device.prepare(task)
        graphs = {"": device.graph(task), ", unchecked": unchecked.graph(task)}
        seconds = {kind + name: [] for name in graphs for kind in ("device", "wall")}
        for graph in graphs.values():
            graph.begin(SEED)
            graph.finish()
        for _ in range(rounds):
            for name, graph in graphs.items():
                seconds["device" + name].append(graph.device_seconds(SEED))
            for name, graph in graphs.items():
                started = time.perf_counter()
                graph.begin(SEED)
                graph.finish()
                seconds["wall" + name].append(time.perf_counter() - started)
        profiles = [graphs[""].profile(SEED) for _ in range(9)]
        for graph in graphs.values():
            graph.close()
    found = {name: median(values) for name, values in seconds.items()}
    found["stages"] = {stage: median(run[stage] for run in profiles) for stage in profiles[0]}
    return found


def one_by_one(n, times=10, rounds=9):
    """Seconds of every kernel of a task, each replayed by a graph: a launch's gap is in them."""
    found = {}
    with CudaDevice(0) as device:
        task = Task(SEED, n)
        device.prepare(task)
        graph = device.graph(task)
        graph.begin(SEED)
        graph.finish()
        stages, kernels, stream = graph._stages, device._kernels, Stream()

        def measure(name, work):
            work()
            stream.wait()
            with stream.capture() as replayed:
                for _ in range(times):
                    work()
            runs = [timed(stream, lambda: stream.launch(replayed)) for _ in range(rounds)]
            found[name] = median(runs) / times

        measure("expand", lambda: stages.expand(stream, (1, 2, 3, 4, 5, 6, 7)))
        for checked in (False, True):
            for leaves in {False, graph.config.hashes_leaves}:
                options = {"leaves": True} if leaves else {}
                spec, kernel = kernels.product("fold", checked, graph.config, **options)
                stages._last_product = spec, kernel
                name = "product" + ", checked" * checked + ", with leaves" * leaves
                measure(name, lambda: stages.product(stream, 0))
        launch = plan_leaves(n)
        leaves_kernel = kernels.commit(launch.kernel, len(launch.arguments))
        buffers = {"r": stages._r[1].address, "tree": stages.tree.address}
        arguments = launch.bind(buffers | {"tables": kernels.tables.address})
        measure("leaves", lambda: leaves_kernel(stream, launch.grid, launch.threads, *arguments))
        # Without a product that hashes leaves the first launch makes them, and up to n = 1,365 the
        # first six levels as well.
        for number, level in enumerate(stages.commit_launches()):
            measure(f"commitment {number + 1}", lambda level=level: level(stream))
        measure("check: u", lambda: stages.project(stream))
        measure("check: A u", lambda: stages.subtract(stream, 0))
        measure("check: verdict", lambda: stages.verdict(stream))
        graph.close()
    return found


def in_flight(n, plans=8, seconds=1.0):
    """Tasks a second with several tasks under way at once."""
    with CudaDevice(0) as device:
        task = Task(SEED, n)
        device.prepare(task)
        lanes = [device.graph(task) for _ in range(plans)]
        root = device.compute(task).root
        for lane in lanes:
            lane.begin(SEED)
        done, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            for lane in lanes:
                assert lane.finish() == root
                lane.begin(SEED)
                done += 1
        rate = done / (time.perf_counter() - started)
        for lane in lanes:
            lane.finish()
            lane.close()
        return rate


def guide_pipeline(n, rounds=3):
    """The chain's guide: random float64, dot, the bytes to the host, SHA-256."""
    import cupy

    def once():
        started = time.perf_counter()
        cupy.random.seed(int.from_bytes(SEED[:4], "big"))
        c = cupy.dot(cupy.random.rand(n, n), cupy.random.rand(n, n))
        hashlib.sha256(c.tobytes()).hexdigest()
        return time.perf_counter() - started

    once()
    return median(once() for _ in range(rounds))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", help="file for every figure")
    parser.add_argument("--sizes", type=int, nargs="*", help="sizes of products")
    parser.add_argument("--products", action="store_true", help="the table of products alone")
    parser.add_argument("--short", action="store_true", help="without Triton and six sizes")
    arguments = parser.parse_args()
    table = product_run.measure(
        sizes=arguments.sizes or (SHORT if arguments.short else product_run.SIZES),
        triton=not arguments.short,
        say=lambda line: print(line, flush=True),
    )
    print(*table.markdown(), sep="\n", flush=True)
    figures = {"products": table.to_json(), "task": {}, "kernels": {}, "rate": {}}
    if not arguments.products:
        tasks(figures)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=1), encoding="utf-8")
    if not table.right():
        raise SystemExit("a product is wrong: see above")


def tasks(figures):
    """Whole tasks, their kernels, several in flight, and the guide's pipeline."""
    for n in TASK_SIZES:
        for iterations in (1, 10):
            figures["task"][f"{n}x{iterations}"] = found = whole_task(n, iterations)
            stages = {k: round(1e6 * v, 1) for k, v in found.pop("stages").items()}
            print(
                f"task {n:>5} x{iterations:<3}",
                {k: round(1e6 * v, 1) for k, v in found.items()},
                stages,
                flush=True,
            )
    for n in TASK_SIZES:
        figures["kernels"][n] = found = one_by_one(n)
        print(f"kernels {n:>5}", {k: round(1e6 * v, 1) for k, v in found.items()}, flush=True)
    for n, plans in ((1024, 1), (1024, 4), (1024, 8), (1024, 16), (4096, 4)):
        figures["rate"][f"{n}, {plans} in flight"] = rate = in_flight(n, plans)
        print(f"tasks a second, n = {n}, {plans} in flight: {rate:.0f}", flush=True)
    try:
        for n in (1024, 4096):
            figures["task"][f"guide {n}"] = seconds = guide_pipeline(n)
            print(f"guide's pipeline (cupy), n = {n}: {1000 * seconds:.1f} ms", flush=True)
    except ImportError:
        print("cupy is not installed: the guide's pipeline was not run")


if __name__ == "__main__":
    main()
