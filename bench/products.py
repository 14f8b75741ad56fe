"""Products on one GPU in turns: our tiers, and cuBLASLt through torch. `python -m bench.gpu` runs
them.
"""

import time
from functools import cache
from statistics import median

from kernels.cuda import expand, layout
from kernels.cuda.compiled_kernel import CompiledKernel
from kernels.cuda.driver import DeviceBuffer, Stream, timed
from kernels.cuda.philox import words_of
from kernels.cuda.product import mma, wgmma

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
        CompiledKernel(expand.expand_kernel, 12)(stream, (tiles, 2 * tiles), 256, *arguments)
        stream.wait()

    def close(self):
        for buffer in (self.a, self.b, self.r, self.c, self.weights, self.sums):
            buffer.close()


@cache
def compiled(build, *options):
    """A tier's kernel, compiled once."""
    spec = build(*options)
    kernel = CompiledKernel(spec.kernel, 8, shared_bytes=spec.shared_bytes, cluster=spec.cluster)
    return spec, kernel


class Ours:
    """A product kernel, replayed `repeat` times by a graph."""

    def __init__(self, card, operands, repeat, build, output, *options):
        spec, kernel = compiled(build, output, *options)
        self.repeat, self.stream, o = repeat, Stream(), operands
        out = o.c if output == "int32" else o.r

        def once():
            kernel(
                self.stream,
                spec.grid(o.P, o.P, card.multiprocessors),
                spec.threads,
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
    config = wgmma.configs_for(operands.P)[0]
    candidates = {
        "mma.sync 128x128, fold": (mma.build, "fold", False, mma.SMALL),
        "mma.sync 256x128, fold": (mma.build, "fold", False, mma.LARGE),
        "mma.sync 128x128, int32": (mma.build, "int32", False, mma.SMALL),
    }
    if card.capability[0] == wgmma.ONLY_MAJOR:
        candidates = {
            "wgmma, fold": (wgmma.build, "fold", False, config),
            "wgmma, fold, checked": (wgmma.build, "fold", True, config),
            "wgmma, int32": (wgmma.build, "int32", False, config),
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
