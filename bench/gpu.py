"""What one GPU does, beside cuBLASLt (through torch) and the guide's pipeline (cupy), in one run.

    python -m bench.gpu                      # prints tables for RESULTS.md; --json FILE keeps figures

Everything that is compared takes turns in the same process: median of rounds. "Burst": a few
milliseconds of work a round, with the launches in a CUDA graph on both sides. "Sustained": 0.9 s after
0.6 s of warming up, so that the power limit bites. torch and cupy are left out where they are missing.
"""

import argparse
import hashlib
import json
import time
from functools import cache
from pathlib import Path
from statistics import median

from kernels.cuda import expand, layout
from kernels.cuda.device import CudaDevice
from kernels.cuda.driver import Card, Compiled, DeviceBuffer, Stream, timed
from kernels.cuda.philox import words_of
from kernels.cuda.product import mma, wgmma
from kernels.task import Task

SEED = bytes(range(32))


def tops(n, seconds):
    """10^12 operations a second; a multiply-add is two."""
    return 2e-12 * n**3 / seconds


class Operands:
    """A, B and room for the results, on the device."""

    def __init__(self, n):
        self.n, self.P = n, layout.padded(n)
        P = self.P
        self.a, self.b, self.r = (DeviceBuffer(P * P) for _ in range(3))
        self.c = DeviceBuffer(4 * P * P)
        self.weights, self.sums = DeviceBuffer(4 * P), DeviceBuffer(4 * P)
        stream = Stream()
        tiles = P // 128
        arguments = (self.a.address, self.b.address, 0, n, tiles, *words_of(SEED), 0, 0, 0)
        Compiled(expand.expand_kernel, 12)(stream, (tiles, 2 * tiles), 256, *arguments)
        stream.wait()

    def close(self):
        for buffer in (self.a, self.b, self.r, self.c, self.weights, self.sums):
            buffer.close()


@cache
def compiled(build, *options):
    """A tier's kernel, compiled once."""
    built = build(*options)
    kernel = Compiled(built.kernel, 8, shared_bytes=built.shared_bytes, cluster=built.cluster)
    return built, kernel


class Ours:
    """A product kernel, replayed `repeat` times by a graph."""

    def __init__(self, card, operands, repeat, build, output, *options):
        built, kernel = compiled(build, output, *options)
        self.repeat, self.stream, o = repeat, Stream(), operands
        out = o.c if output == "int32" else o.r

        def once():
            kernel(
                self.stream,
                built.grid(o.P, o.P, card.multiprocessors),
                built.threads,
                *(x.address for x in (o.a, o.b, out, o.weights, o.sums)),
                o.P,
                o.P,
                o.P,
            )

        once()
        self.stream.wait()
        with self.stream.capture() as self.graph:
            for _ in range(repeat):
                once()

    def seconds(self):
        return timed(self.stream, lambda: self.stream.launch(self.graph)) / self.repeat


class Torch:
    """torch._int_mm, which writes int32; `fold` adds the fold as torch would do it."""

    def __init__(self, n, repeat, fold=False):
        import torch

        self.torch, self.repeat = torch, repeat
        x, y = (torch.randint(-128, 128, (n, n), dtype=torch.int8, device="cuda") for _ in range(2))
        y = y.t()

        def once():
            c = torch._int_mm(x, y)
            return ((c ^ (c >> 8)) & 255).to(torch.int8) if fold else c

        for _ in range(3):
            once()
        torch.cuda.synchronize()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            for _ in range(repeat):
                once()
        self.graph.replay()
        torch.cuda.synchronize()

    def seconds(self):
        first, last = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        self.graph.replay()
        last.record()
        last.synchronize()
        return first.elapsed_time(last) / 1000 / self.repeat


def contenders(card, n, repeat):
    operands = Operands(n)
    shape = wgmma.shapes_for(operands.P)[0]
    candidates = {
        "mma.sync 128x128, fold": (mma.build, "fold", False, mma.SMALL),
        "mma.sync 256x128, fold": (mma.build, "fold", False, mma.LARGE),
        "mma.sync 128x128, int32": (mma.build, "int32", False, mma.SMALL),
    }
    if card.capability[0] == wgmma.ONLY_MAJOR:
        candidates = {
            "wgmma, fold": (wgmma.build, "fold", False, shape),
            "wgmma, fold, checked": (wgmma.build, "fold", True, shape),
            "wgmma, int32": (wgmma.build, "int32", False, shape),
        } | candidates
    found = {name: Ours(card, operands, repeat, *options) for name, options in candidates.items()}
    try:
        found["torch _int_mm (int32)"] = Torch(n, repeat)
        found["torch _int_mm, then fold"] = Torch(n, repeat, fold=True)
    except ImportError:
        pass
    return operands, found


def burst(card, n, rounds=15):
    repeat = max(2, min(40, int(2e13 / (2 * n**3))))
    operands, found = contenders(card, n, repeat)
    times = {name: [] for name in found}
    for _ in range(rounds):
        for name, contender in found.items():
            times[name].append(contender.seconds())
    operands.close()
    return {name: median(values) for name, values in times.items()}


def sustained(card, n):
    operands, found = contenders(card, n, repeat=20 if n <= 4096 else 4)
    result = {}
    for name, contender in found.items():
        deadline = time.perf_counter() + 0.6
        while time.perf_counter() < deadline:
            contender.seconds()
        values, deadline = [], time.perf_counter() + 0.9
        while time.perf_counter() < deadline:
            values.append(contender.seconds())
        result[name] = median(values)
        time.sleep(1.0)
    operands.close()
    return result


def whole_task(n, iterations, rounds=21):
    task = Task(SEED, n, iterations)
    found = {}
    for checked in (True, False):
        with CudaDevice(0, checked=checked) as device:
            device.prepare(task)
            plan = device.graph(task)
            found["device" if checked else "device, unchecked"] = median(
                plan.device_seconds(SEED) for _ in range(rounds)
            )
            walls = []
            for _ in range(rounds):
                started = time.perf_counter()
                plan.begin(SEED)
                plan.finish()
                walls.append(time.perf_counter() - started)
            found["wall" if checked else "wall, unchecked"] = median(walls)
            plan.close()
            if checked:
                profiles = [device.profile(task) for _ in range(5)]
                found["stages"] = {
                    stage: median(profile[stage] for profile in profiles) for stage in profiles[0]
                }
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
    parser.add_argument("--sizes", type=int, nargs="*", default=[1024, 2048, 4096, 8192])
    parser.add_argument("--no-sustained", action="store_true")
    arguments = parser.parse_args()
    card = Card.select(0)
    figures = {"card": card.name, "burst": {}, "sustained": {}, "task": {}, "rate": {}}
    print(card, flush=True)
    for kind, run in (("burst", burst), ("sustained", sustained)):
        for n in arguments.sizes:
            if kind == "sustained" and (n < 4096 or arguments.no_sustained):
                continue
            times = run(card, n)
            figures[kind][n] = times
            base = times.get("torch _int_mm (int32)")
            for name, seconds in times.items():
                ratio = f"{base / seconds:5.2f}x" if base else ""
                print(
                    f"{kind:<9} {n:>5} {name:<26} {1e6 * seconds:>8.1f} us"
                    f" {tops(n, seconds):>6.0f} TOPS {ratio}",
                    flush=True,
                )
    for n in arguments.sizes:
        for iterations in (1, 10):
            figures["task"][f"{n}x{iterations}"] = found = whole_task(n, iterations)
            stages = {k: round(1e6 * v, 1) for k, v in found.pop("stages").items()}
            print(
                f"task {n:>5} x{iterations:<3}",
                {k: round(1e6 * v, 1) for k, v in found.items()},
                stages,
                flush=True,
            )
    for n, plans in ((1024, 1), (1024, 4), (1024, 8), (1024, 16), (4096, 4)):
        figures["rate"][f"{n}, {plans} in flight"] = rate = in_flight(n, plans)
        print(f"tasks a second, n = {n}, {plans} in flight: {rate:.0f}", flush=True)
    try:
        for n in (1024, 4096):
            figures["task"][f"guide {n}"] = seconds = guide_pipeline(n)
            print(f"guide's pipeline (cupy), n = {n}: {1000 * seconds:.1f} ms", flush=True)
    except ImportError:
        print("cupy is not installed: the guide's pipeline was not run")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
