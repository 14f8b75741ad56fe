"""Pictures as a model's pixels: the middle, as large as the model takes it; or a sentence."""

import json
import zipfile

import numpy as np
import pytest

from engine.cli.app import run
from engine.jobs.inference import build_payload, classify, load_samples
from engine.jobs.pictures import load_picture
from engine.runtime.errors import BadInput
from kernels.network.model import decode_network

Image = pytest.importorskip("PIL.Image", reason="package pillow (extra: models)")


@pytest.fixture
def picture(tmp_path):
    """Forty columns of grey at each side of 100 x 100 of red over blue."""
    pixels = np.full((100, 180, 3), 77, np.uint8)
    pixels[:50, 40:140] = 255, 0, 0
    pixels[50:, 40:140] = 0, 0, 255
    file = tmp_path / "picture.png"
    Image.fromarray(pixels).save(file)
    return file


def test_the_middle_of_a_picture(picture):
    made = load_picture(picture, (10, 10, 3))
    assert made.shape == (1, 10, 10, 3)
    assert (made[0, :4, 1:9] == (255, 0, 0)).all()
    assert (made[0, 6:, 1:9] == (0, 0, 255)).all()
    wide = load_picture(picture, (4, 10, 3))
    assert (wide[0, 0, 0] == 77).all()  # wider than high: some of the grey is seen
    assert (wide[0, 0, 5] == (255, 0, 0)).all()
    assert load_picture(picture, (6, 6, 1)).shape == (1, 6, 6, 1)


def test_what_is_no_picture(picture, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "cut.png").write_bytes(picture.read_bytes()[:200])
    for name, said in (
        ("text.png", "not a picture"),
        ("cut.png", "not a picture"),
        ("x.png", "no file"),
    ):
        with pytest.raises(BadInput, match=said):
            load_picture(tmp_path / name, (8, 8, 3))
    for shape in ((64,), (8, 8, 2)):
        with pytest.raises(BadInput, match="takes no pictures"):
            load_picture(picture, shape)


def test_a_model_with_words_and_pixels(picture, tmp_path, monkeypatch, capsys):
    """A convolution of a recorded file: from an archive, with labels, a picture as its sample."""
    pytest.importorskip("tflite", reason="package tflite (extra: models)")
    from tests.kernels.network.test_litert import recorded

    monkeypatch.chdir(tmp_path)
    content = next(content for kind, content, *_ in recorded() if kind == "CONV_2D")
    with zipfile.ZipFile("conv.zip", "w") as archive:
        archive.writestr("notes.txt", "")
        archive.writestr("conv.tflite", content)
    assert run(["models", "show", "conv.zip"]) == 0
    assert run(["models", "import", "conv.zip", "--labels", "one,two"]) == 2
    assert "give as many labels" in capsys.readouterr().err
    count = json.loads(model_json(capsys))
    labels = ",".join(f"label {i}" for i in range(count))
    assert run(["models", "import", "conv.zip", "--labels", labels, "--pixels", "-o", "m"]) == 0
    network = decode_network((tmp_path / "m").read_bytes())
    assert classify(network, np.eye(count, dtype=np.int32)[-1:]) == [f"label {count - 1}"]
    shape = network.input_shape
    if shape[2] not in (1, 3):
        with pytest.raises(BadInput, match="takes no pictures"):
            load_samples(network, picture)
    pixels = np.random.default_rng(1).integers(0, 256, (2, *shape)).astype(np.uint8)
    assert np.array_equal(load_samples(network, pixels), (pixels.astype(int) - 128).astype(np.int8))
    assert build_payload("m", pixels)["batch"] == 2


def model_json(capsys):
    """How many outputs the model in conv.zip has."""
    capsys.readouterr()
    assert run(["models", "show", "conv.zip", "--json"]) == 0
    return str(np.prod(json.loads(capsys.readouterr().out)["layers"][-1]["shape"]))


@pytest.mark.parametrize("names", [[], ["a.tflite", "b.tflite"], None])
def test_archives_without_one_model(names, tmp_path, capsys):
    file = tmp_path / "bad.zip"
    if names is None:
        file.write_bytes(b"PK\3\4 no archive")
    else:
        with zipfile.ZipFile(file, "w") as archive:
            for name in names:
                archive.writestr(name, "x")
    assert run(["models", "import", str(file)]) == 2
    assert "not an archive with one .tflite" in capsys.readouterr().err
