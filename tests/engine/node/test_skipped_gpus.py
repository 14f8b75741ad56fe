"""Each GPU that does not compute is named, with the reason."""

import sys

import pytest

from engine.mining.config import MiningConfig
from engine.monitor.events.pool import GpuSkipped
from engine.node import skipped_gpus as module
from engine.node.devices import devices_of
from engine.node.request import NodeRequest
from engine.node.skipped_gpus import skipped_gpus
from tests.engine.doctor.nvml import ADA, HOPPER, KEPLER, Nvml, bus


@pytest.fixture(autouse=True)
def with_the_compiler(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda _name: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def reasons(asked=("auto",), cards=(ADA,), pci="/none", **more):
    nvml = Nvml(list(cards), **more.pop("nvml", {}))
    return {
        one.device: one.reason
        for one in skipped_gpus(asked, nvml=nvml, pci=module.Path(pci), **more)
    }


def test_a_card_that_computes_is_not_named():
    assert reasons(cards=[ADA, HOPPER]) == {}


def test_one_that_the_operator_left_out(monkeypatch):
    found = skipped_gpus(("cuda:1",), nvml=Nvml([ADA, HOPPER, ADA]), pci=module.Path("/none"))
    assert [(one.device, one.by_choice) for one in found] == [("cuda:0", True), ("cuda:2", True)]
    assert "--device cuda:1 leaves it out" in found[0].reason
    assert reasons(("cpu",), [ADA]) == {"cuda:0": "--device cpu leaves it out"}
    assert list(reasons(("cuda",), [ADA, HOPPER])) == ["cuda:1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-1,0")
    assert reasons(cards=[ADA, HOPPER, KEPLER]) == {"GPU 2": "CUDA_VISIBLE_DEVICES hides it"}


def test_one_that_is_too_old_has_no_room_or_does_not_answer():
    found = reasons(cards=[KEPLER, None, ADA | {"name": "small"}], needed=30 << 30)
    assert found == {
        "cuda:0": "compute capability 3.7 is too old, 5.0 is the least",
        "cuda:1": "it does not answer: GPU is lost",
        "cuda:2": "no room: a task needs 30.0 GiB on it, and it has 24.0 GiB",
    }


def test_one_whose_driver_is_old_broken_or_has_lost_it(tmp_path):
    found = reasons(nvml={"cuda": 11040, "driver": "470.1"})
    assert found == {"cuda:0": "the driver 470.1 is too old: it has CUDA 11, and 12 is the least"}
    pci = bus(tmp_path)
    found = reasons(pci=pci, nvml={"broken": "Driver Not Loaded"})
    assert found == {"GPU 0000:01:00.0": "its driver does not answer (Driver Not Loaded)"}
    (pci / "0000:02:00.0").mkdir()
    for name in ("vendor", "class"):
        (pci / "0000:02:00.0" / name).write_text((pci / "0000:01:00.0" / name).read_text())
    assert "1 more are on the PCI bus" in reasons(pci=pci)["GPU"]


def test_one_without_the_compiler(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda _name: None)
    assert reasons() == {"cuda:0": "numba-cuda is not installed"}


def test_the_engine_tells_of_each_and_computes_with_the_rest(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pynvml", Nvml([KEPLER, ADA]))
    for device, told in (("auto", ["cuda:0"]), ("cpu", ["cuda:0", "cuda:1"])):
        events = []
        request = NodeRequest(mining=MiningConfig(size=256), devices=(device,))
        devices, _launch = devices_of(request, events.append)
        assert [event.device for event in events if isinstance(event, GpuSkipped)] == told
        assert devices == ("cpu",)  # the packages for a card are not installed here
    assert "is not used: --device cpu leaves it out" in events[1].line()
    assert events[1].severity() == "info"
