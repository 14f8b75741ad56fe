"""A report for others: what is in it, what is not, and that an altered one is told."""

import getpass
import json
import socket
from pathlib import Path

import pytest

from bench import report as sent
from engine.benchmark import report, stages
from engine.benchmark.product_table import CUBLASLT, FOLD, OURS, Cell, Table
from engine.benchmark.stages import Report, Row
from engine.cli.app import run
from engine.runtime.errors import BadInput

WHY = "no libthing.so in /home/alice/lib on build-host-7"


def made(**changed):
    rows = [
        Row(OURS, "product", 1e-4, 9e-5, 1374.0, 1.0, 5),
        Row("cuBLASLt int32", "product", None, None, None, None, 0, WHY),
    ]
    fields = {
        "device": "cuda:0", "card": {"name": "NVIDIA GeForce RTX 4090"}, "tier": "mma",
        "threads": None, "processor": "A CPU", "versions": {"python": "3.12.1"}, "size": 4096,
        "iterations": 1, "repeat": 5, "product_tops": 1374.0, "peak_tops": 660.6,
        "peak_source": "s", "peak_share": 2.08, "rows": rows, "notes": [],
    }  # fmt: skip
    table = Table("NVIDIA GeForce RTX 4090", (8, 9), 128, "13.0", {"cuBLASLt": "13.1.0"})
    table.cells.append(Cell(4096, OURS, FOLD, "mma 128x128-3", 1e-4, checked="numpy"))
    table.cells.append(Cell(4096, CUBLASLT, FOLD, "", None, why_not=WHY))
    return report.encode(Report(**fields | changed), table)


def test_what_another_library_said_is_left_out(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(made())
    text = path.read_text()
    assert "alice" not in text
    assert "build-host" not in text
    found = report.read(path)
    assert found["bench"]["rows"][0]["tops"] == 1374.0
    assert found["products"]["cells"][0]["variant"] == "mma 128x128-3"
    assert found["products"]["cells"][1]["burst"] is None


def test_what_was_sent_is_printed_as_tables(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(made())
    lines = list(sent.tables(path))
    assert "| cpc-engine | product | 0.1 | 1.37e+03 |" in lines
    assert "| cpc-engine, fold | 1374 |" in lines
    assert not [line for line in lines if "cuBLASLt int32" in line]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("1374.0", "1974.0", 1),
        lambda text: text.replace('"tier": "mma"', '"tier": "wgmma"'),
        lambda text: text.replace('"checksum": "', '"checksum": "0'),
        lambda text: text[:-40],
        lambda text: text.replace('"version": 1', '"version": 2'),
        lambda text: "[]",
        lambda text: "\x00",
        lambda text: "[" * 100_000,
    ],
)
def test_a_report_that_was_altered_is_refused(tmp_path, change):
    path = tmp_path / "a.json"
    text = made().decode()
    path.write_text(text)
    report.read(path)
    assert change(text) != text
    path.write_text(change(text))
    with pytest.raises(BadInput, match=r"a\.json"):
        report.read(path)


def test_a_report_in_other_order_is_the_same_report(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(json.loads(made()), sort_keys=True))
    assert report.read(path)["kind"] == report.KIND


def test_the_cpu_s_report_names_nobody(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("USER", "alice-of-the-farm")
    monkeypatch.setattr(
        stages, "known_answer_test", lambda device: None
    )  # seconds, tested elsewhere
    path = tmp_path / "mine-of-alice.json"
    command = ["bench", "--device", "reference", "--size", "64", "--repeat", "1", "--no-compare"]
    assert run([*command, "--report", str(path)]) == 0
    assert str(path) in capsys.readouterr().err
    text = path.read_text()
    found = report.read(path)
    assert found["products"] is None
    assert found["bench"]["size"] == 64
    assert {row["stage"] for row in found["bench"]["rows"]} >= {"expand", "product", "task"}
    names = {
        socket.gethostname(),
        getpass.getuser(),
        str(tmp_path),
        str(Path.home()),
        str(Path.cwd()),
    }
    assert not [name for name in names if len(name) > 3 and name in text]


def test_a_report_that_cannot_be_written_is_refused_before_the_work(tmp_path, capsys):
    assert run(["bench", "--size", "20000", "--report", str(tmp_path / "no" / "a.json")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_the_table_of_products_is_for_a_gpu(capsys):
    assert run(["bench", "--table", "--device", "cpu"]) == 2
    said = capsys.readouterr().err
    assert "is for an NVIDIA GPU, and the device is cpu" in said
    assert "without --table" in said
