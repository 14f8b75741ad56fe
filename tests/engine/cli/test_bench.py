"""`cpc-engine bench` on the CPU."""

import subprocess
import sys

import pytest

from engine.benchmark import baselines as compare
from engine.benchmark import stages as bench
from kernels.cpu.product.tiers import TIERS


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    """And no other libraries, whatever this machine has."""
    monkeypatch.setattr(bench, "_PAUSE", 0.0)
    monkeypatch.setattr(compare, "_TURN_SECONDS", 0.0)
    monkeypatch.setattr(
        compare, "_missing", lambda package: f"{package} is not installed" if package else ""
    )


def test_json_is_one_object_with_every_row(cli):
    found = cli("bench --size 64 --repeat 2 --device cpu --threads 1 --json").json()
    assert (found["device"], found["threads"], found["size"], found["iterations"]) == (
        "cpu",
        1,
        64,
        1,
    )
    assert found["card"] is found["peak_share"] is None
    assert found["tier"] in {tier.name for tier in TIERS}
    assert found["versions"]["numpy"]
    ours = [row for row in found["rows"] if row["name"] == "cpc-engine"]
    assert [row["stage"] for row in ours] == ["expand", "product", "commit", "task"]
    numpy = {row["stage"]: row for row in found["rows"] if row["name"].startswith("numpy")}
    assert set(numpy) == {"expand", "product", "commit", "task"}
    for row in ours:
        theirs = numpy[row["stage"]]
        assert row["seconds"] > 0
        assert theirs["ratio"] == pytest.approx(theirs["seconds"] / row["seconds"])
        assert row["runs"] == 2
    assert found["product_tops"] == pytest.approx(2e-12 * 64**3 / ours[1]["seconds"])


def test_the_table_names_stages_rates_and_what_is_not_installed(cli):
    said = cli("bench --size 64 --repeat 1 --device cpu").out
    for words in ("expand", "whole task", "GOP/s", "dense int8 peak: -", "numpy (float64 BLAS)"):
        assert words in said
    assert "not run: torch is not installed" in said
    assert "not run: needs a GPU" in said
    assert "like for like" in said


def test_no_compare_times_us_alone(cli):
    outcome = cli("bench --size 33 --iterations 2 --repeat 1 --device cpu --no-compare")
    assert outcome.code == 0
    assert "numpy" not in outcome.out
    assert "2 iterations" in outcome.out


def test_a_chart_is_written(cli, tmp_path):
    path = tmp_path / "bench.svg"
    assert cli(f"bench --size 64 --repeat 1 --device cpu --chart {path}").code == 0
    assert "our time" in path.read_text(encoding="utf-8")
    assert cli(f"bench --size 9 --repeat 1 --device cpu --no-compare --chart {path}").code == 0
    assert "our time" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--size 0", "matrix size"),
        ("--size 70000", "matrix size"),
        ("--iterations 0", "iterations"),
        ("--repeat 0", "--repeat"),
        ("--threads 0", "--threads"),
        ("--device toaster", "toaster"),
        ("--device cpu --tier mma", "has no tier"),
        ("--device cpu --tier nonsense", "has no tier"),
        ("--chart /nowhere/at/all.svg", "/nowhere/at/all.svg"),
        ("--chart /", "neither"),
        ("--chart bench.gif", ".svg or .png"),
    ],
)
def test_bad_input_gets_a_sentence_and_exit_code_2(cli, options, says):
    outcome = cli(f"bench {options}")
    assert outcome.code == 2, outcome
    assert says in outcome.err
    assert outcome.out == ""


def test_the_commands_module_loads_no_numba():
    script = (
        "import sys\nfrom engine.cli.app import run\nrun(['bench', '--help'])\n"
        "raise SystemExit(bool({'numba', 'numpy', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0
    assert "--tier" in done.stdout
