"""The bench with a device whose times are known, contenders of the test's own, and fake libraries."""

import time
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pytest

from engine.benchmark import baselines as compare
from engine.benchmark import chart
from engine.benchmark import stages as bench
from engine.benchmark.baselines import Contender, LeftOut, Runner
from engine.benchmark.chart import Bar, Chart, Panel
from engine.benchmark.stages import OURS, measure
from engine.cli.bench import draw
from engine.runtime.errors import BadInput
from kernels.device import Device
from kernels.task import Task

TASK = Task(bytes(range(32)), 4096)


class FakeGpu(Device):
    """A card of which only times are known."""

    name = "cuda:0"
    tier = SimpleNamespace(name="wgmma")

    def __init__(self, card="NVIDIA H100 80GB HBM3"):
        self.card = SimpleNamespace(
            name=card, multiprocessors=132, capability=(9, 0), clock_khz=1980000, uuid="secret"
        )

    def compute(self, task):
        time.sleep(0.0002)

    def profile(self, task):
        return {"expand": 2e-5, "product": 1e-4, "commit": 3e-5, "check": 1e-5}


class Fixed(Runner):
    def __init__(self, **seconds):
        self.seconds = seconds
        self.closed = False

    def run(self):
        return self.seconds

    def close(self):
        self.closed = True


class Fails(Runner):
    """Fails on its second run."""

    def __init__(self):
        self.left = 1

    def run(self):
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("out of\nmemory " + 200 * "x")
        return {"product": 1.0}


def rival(name, runner, *stages, why=""):
    return Contender(name, stages or ("product",), lambda task: runner, why, slow=False)


def test_a_card_s_report_has_rates_share_and_ratios():
    other = Fixed(product=2e-4)
    report = measure(
        FakeGpu(), TASK, repeat=2, contenders=[rival("other", other), rival("gone", None, why="no")]
    )
    rows = {(row.name, row.stage): row for row in report.rows}
    assert report.product_tops == pytest.approx(2 * 4096**3 / 1e-4 / 1e12)
    assert report.peak_share == pytest.approx(report.product_tops / 1979)
    assert rows["other", "product"].ratio == pytest.approx(2)
    assert rows["other", "product"].tops == pytest.approx(report.product_tops / 2)
    assert rows[OURS, "product"].ratio == 1
    assert rows[OURS, "task"].seconds >= 0.0002
    assert rows["gone", "product"].seconds is None
    assert rows["gone", "product"].note == "no"
    assert [row.stage for row in report.rows if row.name == OURS] == [
        "expand",
        "product",
        "check",
        "commit",
        "task",
    ]
    assert report.card["name"] == "NVIDIA H100 80GB HBM3"
    assert "uuid" not in report.card
    assert report.tier == "wgmma"
    assert report.title() == "cuda:0, NVIDIA H100 80GB HBM3, tier wgmma, n = 4096, 1 iteration"
    assert other.closed


def test_a_contender_that_fails_is_named_and_ends_nothing():
    report = measure(FakeGpu(), TASK, repeat=2, contenders=[rival("weak", Fails())])
    row = next(row for row in report.rows if row.name == "weak")
    assert row.seconds is None
    assert row.note.startswith("out of memory x")
    assert len(row.note) <= 100
    assert next(row for row in report.rows if row.name == OURS).runs >= 2


def test_a_contender_that_cannot_start_is_named():
    def refuse(task):
        raise ValueError("self.size(0) needs to be greater than 16")

    picky = Contender("picky", ("product",), refuse, slow=False)
    turns, left_out = compare.start([picky], TASK)
    assert turns == []
    assert left_out == [LeftOut("picky", ("product",), "self.size(0) needs to be greater than 16")]


def test_what_would_take_minutes_is_left_out_with_its_reason(monkeypatch):
    monkeypatch.setattr(compare, "_PROBE_SIZE", 16)
    monkeypatch.setattr(compare, "LONGEST_RUN", 1e-3)
    numpy = compare.contenders("cpu")[0]
    _, left_out = compare.start([numpy], Task(bytes(range(32)), 2048))
    assert "would take about" in left_out[0].why
    turns, left_out = compare.start([numpy], Task(bytes(range(32)), 16))
    assert left_out == []
    turns[0].close()


def test_a_contender_stops_when_it_has_had_its_time(monkeypatch):
    turns, _ = compare.start([rival("slow", Fixed(product=1.0))], TASK)
    turns[0].take()
    monkeypatch.setattr(compare, "LONGEST_TURNS", -1.0)
    before = turns[0].runs
    turns[0].take()
    assert turns[0].runs == before > 1  # a short run is repeated within its turn


@pytest.mark.parametrize(
    ("card", "tops"),
    [
        ("NVIDIA H100 80GB HBM3", 1979),
        ("NVIDIA H100 PCIe", 1513),
        ("NVIDIA H100 NVL", None),
        ("NVIDIA H200", 1979),
        ("NVIDIA H200 NVL", None),
        ("NVIDIA GH200 480GB", None),
        ("NVIDIA A100-SXM4-80GB", 624),
        ("NVIDIA A100 80GB PCIe", 624),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", None),
        ("NVIDIA L40S", 733),
        ("NVIDIA L40", None),
        ("NVIDIA GeForce RTX 4090", 660.6),
        ("NVIDIA GeForce RTX 4090 D", None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("NVIDIA GeForce RTX 5090", 838),
        ("NVIDIA GeForce RTX 3060", None),
    ],
)
def test_a_peak_is_that_of_the_very_card(card, tops):
    found = compare.peak(card)
    assert (found and found.tops) == tops


def test_without_a_known_peak_there_is_no_share():
    report = measure(FakeGpu("NVIDIA GeForce RTX 3060"), TASK, repeat=1)
    assert report.peak_share is None
    assert not any("peak" in note for note in draw(report).notes)


@pytest.mark.parametrize(("fold", "on_gpu"), [(False, True), (True, True), (True, False)])
def test_torch_is_asked_for_every_iteration(monkeypatch, fold, on_gpu):
    numpy = pytest.importorskip("numpy")
    log = []

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            log.append("record")

        def synchronize(self):
            log.append("wait")

        def elapsed_time(self, other):
            return 7.0  # milliseconds

    class Tensor(numpy.ndarray):
        def t(self):
            return self.T

        def to(self, dtype):
            log.append("fold")

    def multiply(a, b):
        log.append("multiply")
        return (a.astype("i4") @ b.astype("i4")).view(Tensor)

    fake = SimpleNamespace(
        int8="i1",
        set_num_threads=lambda count: log.append(count),
        randint=lambda low, high, shape, dtype, device: numpy.ones(shape, dtype).view(Tensor),
        _int_mm=multiply,
        cuda=SimpleNamespace(
            Event=Event,
            set_device=lambda device: log.append(device),
            synchronize=lambda: None,
            _sleep=lambda cycles: log.append("sleep"),
        ),
    )
    monkeypatch.setattr(compare.importlib, "import_module", {"torch": fake}.__getitem__)
    device = "cuda:1" if on_gpu else "cpu"
    runner = compare._TorchProduct(device, 3, fold, Task(bytes(range(32)), 4, 2))
    seconds = runner.run()["product"]
    products = 2 * (["multiply", "fold"] if fold else ["multiply"])
    if on_gpu:
        assert log == ["cuda:1", "sleep", "record", *products, "record", "wait"]
        assert seconds == 0.007
    else:
        assert log == [3, *products]
        assert 0 < seconds < 1


def test_the_guide_s_pipeline_is_followed(monkeypatch):
    numpy = pytest.importorskip("numpy")
    log = []

    class Card:
        def __init__(self, index):
            log.append(index)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return

    fake = SimpleNamespace(
        cuda=SimpleNamespace(Device=Card), random=numpy.random, dot=numpy.dot, ndarray=None
    )
    monkeypatch.setattr(compare.importlib, "import_module", {"cupy": fake}.__getitem__)
    assert compare._Guide("cuda:2", Task(bytes(range(32)), 8)).run()["task"] > 0
    assert log == [2]


def test_notes_say_what_is_like_for_like(monkeypatch):
    names = ["numpy (float64 BLAS)", "torch _int_mm", "guide's pipeline (cupy)"]
    beside = [rival(name, Fixed(product=1.0, task=1.0), "product", "task") for name in names]
    task = Task(bytes(range(32)), 64, 3)
    told = " ".join(measure(FakeGpu(), task, repeat=1, contenders=beside).notes)
    assert "int32" in told
    assert "Like for like is '_int_mm, then fold'" in told
    assert "once, not 3 times" in told
    assert "torch" not in " ".join(measure(FakeGpu(), task, repeat=1).notes)


def bars(count):
    return [
        Bar(f"row <{i}> & more", 10.0**-i, f"{10.0**-i:g} s", ours=i == 0) for i in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, 7])
def test_a_chart_is_well_formed_and_nothing_leaves_it(count):
    drawn = chart.svg(Chart("A title " * 20, [Panel("panel", bars(count))], ["A note. " * 60]))
    root = ET.fromstring(drawn)
    width, height = float(root.get("width")), float(root.get("height"))
    space = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{space}rect")) == count + 1
    for rect in root.findall(f"{space}rect"):
        assert float(rect.get("width")) >= 1
        assert float(rect.get("x", 0)) + float(rect.get("width")) <= width
    for text in root.findall(f"{space}text"):
        letters = 0.51 * float(text.get("font-size")) * len(text.text)
        first = float(text.get("x")) - (letters if text.get("text-anchor") == "end" else 0)
        assert first >= 0
        assert first + letters <= width
        assert 0 < float(text.get("y")) < height


def test_a_report_is_drawn_with_its_ratios(tmp_path):
    report = measure(FakeGpu(), TASK, repeat=1, contenders=[rival("other", Fixed(product=3e-4))])
    chart.write(tmp_path / "a.svg", draw(report))
    written = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "300.0 µs · 458.1 TOPS · 3.00x our time" in written
    assert "1374.4 TOPS" in written
    assert "69.4%" in written


@pytest.mark.parametrize(
    "name", ["a.gif", "a", "nowhere/a.svg", "a.svg", "b.svg/c.svg", "x" * 300 + ".svg"]
)
def test_a_chart_that_cannot_be_written_is_refused_before_the_run(tmp_path, name):
    (tmp_path / "a.svg").mkdir()
    (tmp_path / "b.svg").touch()
    with pytest.raises(BadInput):
        chart.check_path(tmp_path / name)


def test_a_chart_may_take_an_older_one_s_place(tmp_path):
    chart.check_path(tmp_path / "new.svg")
    (tmp_path / "old.svg").touch()
    chart.check_path(tmp_path / "old.svg")
    assert not (tmp_path / "new.svg").exists()


def test_a_png_needs_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setattr(chart.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match="matplotlib") as refused:
        chart.check_path(tmp_path / "a.png")
    assert "a.svg" in refused.value.advice


def test_versions_name_what_is_not_installed():
    versions = bench._versions()
    assert versions["python"]
    assert versions["numpy"]
    assert set(versions) == {"python", "numpy", "numba", "numba-cuda", "torch", "triton", "cupy"}
