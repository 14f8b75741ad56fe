"""Which card is cuda:N, without a card: NVML is a module of three functions here."""

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from kernels import cards
from kernels.devices import count_gpus, open_device
from kernels.errors import DeviceUnavailable

UUIDS = [f"GPU-{letter * 8}-0000-0000-0000-{letter * 12}" for letter in "abcd"]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setattr(cards, "_pinned", None)
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)


@pytest.fixture
def nvml(monkeypatch):
    found = types.SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: len(UUIDS),
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetUUID=lambda handle: UUIDS[handle],
    )
    monkeypatch.setitem(sys.modules, "pynvml", found)
    return found


def visible():
    return os.environ.get("CUDA_VISIBLE_DEVICES")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, UUIDS),
        ("0,1,2,3", UUIDS),
        ("3,1", [UUIDS[3], UUIDS[1]]),
        (" 2 , GPU-aaaa", [UUIDS[2], UUIDS[0]]),
        (f"{UUIDS[1]},{UUIDS[0]}", [UUIDS[1], UUIDS[0]]),
        ("MIG-1,0", ["MIG-1", UUIDS[0]]),
    ],
)
def test_every_card_by_its_uuid(nvml, monkeypatch, before, after):
    if before is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", before)
    cards.number_cards()
    assert visible() == ",".join(after)
    cards.number_cards()
    assert visible() == ",".join(after)
    for index, uuid in enumerate(after):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(after))
        cards.pin(f"cuda:{index}")
        assert visible() == uuid
        assert cards.ordinal(index) == 0


@pytest.mark.parametrize("before", ["9", "0,9", "GPU-x", ""])
def test_what_nvml_does_not_know_is_left_alone(nvml, monkeypatch, before):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", before)
    cards.number_cards()
    assert visible() == before


def test_numbers_of_another_order_are_left_alone(nvml, monkeypatch):
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "FASTEST_FIRST")
    cards.number_cards()
    assert visible() is None


def test_without_nvml_or_cards(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    cards.number_cards()
    assert visible() is None
    cards.pin("cuda:1")
    assert visible() is None
    assert cards.ordinal(1) == 1


def test_a_card_that_is_gone_moves_no_other(nvml, monkeypatch):
    cards.number_cards()
    nvml.nvmlDeviceGetCount = lambda: 1
    cards.number_cards()
    cards.pin("cuda:2")
    assert visible() == UUIDS[2]


@pytest.mark.parametrize("device", ["cpu", "cuda:7"])
def test_pinning_another_device_changes_nothing(monkeypatch, device):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    cards.pin(device)
    assert visible() == "0,1"


def test_packages_that_do_not_fit_together(tmp_path):
    """numba_cuda can be found, and what it needs cannot."""
    (tmp_path / "numba_cuda").mkdir()
    (tmp_path / "numba_cuda" / "__init__.py").touch()
    program = (
        "from kernels.devices import open_device\n"
        "try: open_device('cuda:0')\n"
        "except Exception as error: print(type(error).__name__, error, error.advice, sep='|')"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.startswith("DeviceUnavailable|the CUDA packages do not fit together: ")
    assert "make setup CUDA=13" in said


def test_no_card_is_visible(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert count_gpus() == 0
    with pytest.raises(DeviceUnavailable):
        open_device("cuda:0")
