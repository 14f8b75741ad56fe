"""The Python client, a validator and a worker: the lines of README and docs as they stand."""

import re
from pathlib import Path

import numpy as np
import pytest

from engine.cli.app import run
from engine.client import Market, NotDone
from engine.jobs.models import digits
from engine.runtime.errors import BadInput, WrongClaim
from engine.validator.http.client import MarketRefused
from kernels.network.layers import ArgMax, Dense, Flatten, Rescale
from kernels.network.model import Network, encode_network
from tests.engine.receipts.market import KINDS
from tests.engine.validator.live import LiveValidator, LiveWorker

Image = pytest.importorskip("PIL.Image", reason="package pillow (extra: models)")
ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "README.ru.md", "docs/digits.md")


@pytest.fixture
def market(tmp_path, monkeypatch):
    """The address of a market with one worker; alice's token is in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CPC_STATE", str(tmp_path / "state"))
    validator = LiveValidator(tmp_path)
    token = validator.customer()["authorization"].removeprefix("Bearer ")
    (tmp_path / "alice.token").write_text(token)
    validator.start()
    blobs = tmp_path / "blobs"  # the validator's own: it fetches nothing
    worker = LiveWorker(validator.url, blobs)
    worker.mind.capabilities = KINDS
    worker.start()
    yield validator.http
    worker.stop()
    validator.stop()


def lines_of(page):
    found = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    (text,) = (one for one in found if "engine.client" in one)
    assert len([line for line in text.splitlines() if line.strip()]) == 5
    return text


def put_example(directory):
    """What README has fetched, in small: light is a person, and the astronaut is white."""
    weights = np.int8([[1] * 48, [-1] * 48])
    scaling = np.int32([0, 0]), np.int32([1 << 30, 1 << 30]), np.uint8([8, 8])
    layers = Flatten(), Dense(weights, 0, Rescale(*scaling, 0, -128, 127)), ArgMax()
    about = {"labels": ["person", "none"], "pixels": {"most": 255, "times": 1, "plus": -128}}
    model = encode_network(Network((4, 4, 3), layers, about))
    (directory / "person.safetensors").write_bytes(model)
    file = directory / "example/skimage/data/astronaut.png"
    file.parent.mkdir(parents=True)
    Image.new("RGB", (9, 7), "white").save(file)


def test_five_lines(market, tmp_path, capsys, monkeypatch):
    put_example(tmp_path)
    for page in PAGES:
        exec(lines_of(page).replace("http://localhost:8080", market), {})
        label = digits.test_set()[1][17] if "digits" in page else "person"
        assert f"['{label}']" in capsys.readouterr().out
    verify = ["receipt", "verify", "receipt.json", "--model", "digits", "--input", "digits:17"]
    assert run(verify) == 0

    customer = Market(market, token_file="alice.token")
    images, labels = digits.test_set()
    task = customer.infer("digits", images[:3])
    assert task.labels(seconds=60) == [str(label) for label in labels[:3]]
    (tmp_path / "out").write_bytes(task.data())
    assert customer.task(task.id).receipt().body.output.size == len(task.data())
    stranger = Market(market, token_file="alice.token", validator="cpc1stranger")
    with pytest.raises(WrongClaim, match="stranger"):
        stranger.task(task.id).data()
    with pytest.raises(BadInput):
        customer.infer("digits", np.zeros((2, 3), np.int8))
    with pytest.raises(MarketRefused):
        Market(market, token="cpc_wrong").infer("digits", images[:1])
    with pytest.raises(NotDone):
        customer.infer("digits", images[:2], layers=False).wait(seconds=0.0)
