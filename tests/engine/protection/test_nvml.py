"""What is read of cards, on a simulated NVML; kernels/cuda/test_cards_gpu.py asks a real one."""

import pynvml
import pytest

from engine.monitor.events.protection import Reading
from engine.protection.nvml import Cards
from engine.protection.readings import DriverFault
from tests.engine.protection.fake_nvml import Machine


def test_a_card_is_read(monkeypatch):
    machine = Machine(monkeypatch)
    with Cards.open(["cpu", "cuda:0"]) as cards:
        assert cards.read() == {
            "cuda:0": Reading(
                name="NVIDIA Test Card 0",
                temperature=60.0,
                power=250.0,
                power_limit=450.0,
                energy=5000.0,
                memory_used=2**31,
                memory_total=24 * 2**30,
                utilization=0.75,
                fan=None,
                clock=2.52e9,
            )
        }
        assert cards.faults() == []
    assert machine.opened == 0


@pytest.mark.parametrize("cards", [0, 1])
def test_a_machine_without_the_card_is_silent(monkeypatch, cards):
    machine = Machine(monkeypatch, cards=cards)
    with Cards.open(["cuda:5"]) as found:
        assert found.read() == {}
        assert found.faults() == []
    assert machine.opened == 0


def test_this_very_machine_is_silent_or_has_cards():
    """Nothing is replaced here: whatever this machine has, reading it is no error."""
    with Cards.open(["cuda:0"]) as cards:
        assert set(cards.read()) <= {"cuda:0"}
        assert all(not fault.fatal for fault in cards.faults())


def test_a_sensor_that_ends_is_none(monkeypatch):
    machine = Machine(monkeypatch)
    with Cards.open(["cuda:0"]) as cards:
        machine.cards[0].temperature = machine.cards[0].power = None
        reading = cards.read()["cuda:0"]
        assert (reading.temperature, reading.power, reading.utilization) == (None, None, 0.75)


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        (None, [0, 1, 2]),
        ("2,0", [2, 0]),
        ("GPU-1234abcd-0000-0000-0000-000000000000", [1]),
        ("GPU-22,1", [2, 1]),
        ("MIG-a", [1]),
        ("", []),
    ],
)
def test_cards_are_numbered_as_cuda_does(monkeypatch, visible, names):
    Machine(monkeypatch, cards=3, mig={"MIG-a": 1})
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with Cards.open([f"cuda:{index}" for index in range(4)]) as cards:
        found = [reading.name for reading in cards.read().values()]
    assert found == [f"NVIDIA Test Card {index}" for index in names]


def test_an_order_that_is_not_known_is_not_guessed(monkeypatch):
    Machine(monkeypatch, cards=2)
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "FASTEST_FIRST")
    with Cards.open(["cuda:0"]) as cards:
        assert cards.read() == {}


def test_xids_and_ecc_errors_become_faults_of_their_card(monkeypatch):
    machine = Machine(monkeypatch, cards=2)
    with Cards.open(["cuda:0", "cuda:1"]) as cards:
        machine.xid(machine.cards[1], 13)
        machine.xid(machine.cards[1], 79)
        machine.tell(machine.cards[0], pynvml.nvmlEventTypeDoubleBitEccError)
        machine.cards[0].ecc = 2
        faults = cards.faults()
        assert [(fault.device, fault.fatal) for fault in faults] == [
            ("cuda:1", False),
            ("cuda:1", True),
            ("cuda:0", True),
            ("cuda:0", True),
        ]
        assert faults[0].message == "the driver reported Xid 13"
        assert "fallen off the bus" in faults[1].message
        assert faults[3] == DriverFault("cuda:0", "uncorrected ECC errors in its memory: 2", True)
        assert cards.faults() == []  # each is told once


def test_a_driver_that_tells_no_more_is_told_of_once(monkeypatch):
    machine = Machine(monkeypatch)
    with Cards.open(["cuda:0"]) as cards:
        machine.lost = True
        (fault,) = cards.faults()
        assert (fault.device, fault.fatal) == ("cuda:0", False)
        assert fault.message.startswith("the driver tells of no more errors: ")
        assert cards.faults() == []


def test_errors_of_before_are_no_news(monkeypatch):
    machine = Machine(monkeypatch)
    machine.cards[0].ecc = 7
    with Cards.open(["cuda:0"]) as cards:
        assert cards.faults() == []


def test_a_card_without_events_or_ecc_is_read_all_the_same(monkeypatch):
    machine = Machine(monkeypatch)
    machine.cards[0].events, machine.cards[0].ecc = 0, None
    machine.xid(machine.cards[0], 79)
    with Cards.open(["cuda:0"]) as cards:
        assert cards.faults() == []
        assert cards.read()["cuda:0"].temperature == 60.0
