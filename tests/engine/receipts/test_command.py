"""`cpc-engine receipt`: exit codes, and the sentences that a user sees."""

import json

import numpy as np
import pytest

from engine.cli.app import run
from engine.poc_protocol.strict_json import canonical
from tests.engine.receipts.market import MODEL, SAMPLES
from tests.engine.validator.arena import RECEIPT_KEY


@pytest.fixture
def files(layered, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "receipt.json").write_bytes(layered[0])
    (tmp_path / "output.bin").write_bytes(layered[1])
    (tmp_path / "model.safetensors").write_bytes(MODEL)
    np.save(tmp_path / "x.npy", SAMPLES.reshape(3, 4, 4, 1))
    return tmp_path


ALL = ["--output", "output.bin", "--model", "model.safetensors", "--input", "x.npy"]


def test_verify(files, capsys):
    verify = ["receipt", "verify", "receipt.json"]
    assert run([*verify, *ALL, "--validator", RECEIPT_KEY.address]) == 0
    shown = capsys.readouterr().out
    assert "valid: signed by" in shown
    assert "NOT COMPARED" not in shown
    assert run([*verify, "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["valid"] is True
    assert about["not_compared"] == ["input", "model", "output", "validator"]
    assert run([*verify, *ALL[2:]]) == 0
    assert "for want of its option: --output, --validator" in capsys.readouterr().out
    assert run([*verify, "--validator", "cpc1somebody"]) == 1
    assert "cpc1somebody" in capsys.readouterr().out
    (files / "output.bin").write_bytes(b"\0" * 4)
    assert run([*verify, "--output", "output.bin", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["differences"]


def test_bad_input(files, capsys):
    for arguments in (
        ["missing.json"],
        ["x.npy"],
        ["receipt.json", "--output", "missing"],
        ["receipt.json", "--model", "x.npy", "--input", "x.npy"],
        ["receipt.json", "--input", "x.npy"],
    ):
        assert run(["receipt", "verify", *arguments]) == 2
        assert "Traceback" not in capsys.readouterr().err
    value = json.loads((files / "receipt.json").read_bytes())
    (files / "receipt.json").write_text(json.dumps(value, indent=1))
    assert run(["receipt", "verify", "receipt.json"]) == 2
    assert "canonical" in capsys.readouterr().err
    (files / "receipt.json").write_text(canonical(value))
    assert run(["receipt", "verify", "receipt.json"]) == 0
