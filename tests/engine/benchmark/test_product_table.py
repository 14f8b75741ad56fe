"""The table of products, what a card draws, and cuBLASLt where it is not installed."""

import json
import sys

import pytest

from engine.benchmark import cublaslt
from engine.benchmark.product_table import (
    CHECKED,
    CUBLASLT,
    FOLD,
    INT32,
    OURS,
    Cell,
    Table,
    line,
)
from kernels.energy import Draw, Meter, draw


def table(*cells):
    return Table("NVIDIA H200", (9, 0), 132, "13.0", {"cuBLASLt": "13.1.0"}, list(cells))


def test_each_output_is_compared_with_the_same_output_of_cublaslt():
    drawn = Draw(690.0, 1455.0, 0.0696)
    made = table(
        Cell(4096, OURS, INT32, "a", 1e-4),
        Cell(4096, OURS, FOLD, "a", 9e-5, 1e-4, drawn),
        Cell(4096, OURS, CHECKED, "a", 9.5e-5),
        Cell(4096, CUBLASLT, INT32, "1", 9.2e-5),
        Cell(4096, CUBLASLT, FOLD, "2", 1.35e-4, 1.6e-4),
        Cell(8192, OURS, FOLD, "a", 7e-4),
        Cell(8192, CUBLASLT, FOLD, "", None, why_not="no"),
    )
    written = made.markdown()
    assert "| cpc-engine, int32 | 1374 (0.92) |  |" in written
    assert "| cpc-engine, fold | 1527 (1.50) | 1571 |" in written
    assert "| cpc-engine, fold, checked | 1447 (1.42) |  |" in written
    assert "| cuBLASLt, fold | 1018 |  |" in written
    assert "| cpc-engine, fold | 4096 | 1374 (1.60) | 100.0 | 690 | 1455 | 69.6 |" in written
    assert "| cuBLASLt, fold | 4096 | 859 | 160.0 | - | - | - |" in written
    assert json.loads(json.dumps(made.to_json()))["cells"][1]["draw"]["watts"] == 690.0


@pytest.mark.parametrize(("differences", "right"), [(None, True), (0, True), (3, False)])
def test_one_wrong_word_makes_the_table_wrong(differences, right):
    cell = Cell(64, OURS, FOLD, "a", 1e-6, checked="numpy", differences=differences)
    assert table(cell).right() is right
    assert ("WRONG" in line(cell)) is not right


def test_joules_are_counted_between_steps_of_the_counter():
    # The counter steps by 70 J each 0.1 s; samples come each 0.04 s, 4 products a sample.
    times = [0.04 * i for i in range(60)]
    samples = [(t, 70.0 * int(t / 0.1 + 1e-9), 4 * i) for i, t in enumerate(times)]
    watts, joules = draw(samples)
    assert watts == pytest.approx(700, rel=0.01)
    assert joules == pytest.approx(7.0, rel=0.01)


@pytest.mark.parametrize("samples", [[], [(0.0, 1.0, 0)], [(0.0, 1.0, 0), (1.0, 2.0, 1)]])
def test_too_few_steps_say_nothing(samples):
    assert draw(samples) is None


def test_a_card_that_nvml_does_not_know_has_no_draw():
    meter = Meter("0" * 32)
    meter.begin()
    meter.sample(1)
    assert meter.end() == Draw()


def test_without_the_library_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.pathfinder", None)
    with pytest.raises(cublaslt.NotAvailable, match="pip install nvidia-cublas"):
        cublaslt.CublasLt()


def test_the_answer_of_the_heuristics_has_the_size_of_the_header_s_struct():
    # cublasLt.h: uint64_t[8], size_t, cublasStatus_t, float, int[4]
    assert cublaslt.ctypes.sizeof(cublaslt.Algorithm) == 8 * 8 + 8 + 4 + 4 + 4 * 4
