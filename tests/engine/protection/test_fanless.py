"""Mining on a card that has no fan: it heats up while it computes, and cools while it is paused.

The miner, its children and the chain are real; the card behind cuda:0 is a CPU, and what NVML says of
its temperature follows from whether the engine has paused it.
"""

import contextlib
import sqlite3
from functools import partial

import pytest

from engine.mining.config import MiningConfig
from engine.node.request import NodeRequest
from engine.pool.processes import LocalProcesses
from engine.protection.policy import Thresholds
from engine.protection.sensors import Protection
from node_client.devnet import DevnetServer
from node_client.keys import PrivateKey
from node_client.networks import UNITS_PER_CPC
from tests.engine.logs import Log
from tests.engine.pool.villains import cpu_in_disguise
from tests.engine.protection.fake_nvml import Machine
from tests.processes import wait_until

KEY = PrivateKey(bytes(31) + b"\x2c")
THRESHOLDS = Thresholds(pause_above=80, resume_below=70)
DEGREES_A_LOOK = 0.6
NOISE = (0.0, 2.5, -2.5, 1.0, -1.0)
"""A sensor that wavers by more than what a look changes: one threshold alone would flap."""


class FanlessCard:
    """Its temperature, and every one that was read.

    It changes slowly, next to how soon the engine acts: until what a reading calls for has been done,
    there is no next reading, however long a busy machine takes over it.
    """

    def __init__(self, log):
        self._log = log
        self._heat = 60.0
        self.read = []
        self.over = False

    def __call__(self):
        wait_until(self._was_acted_on, "the engine to act on a temperature")
        self._heat += -DEGREES_A_LOOK if self._paused else DEGREES_A_LOOK
        temperature = self._heat + NOISE[len(self.read) % len(NOISE)]
        self.read.append(temperature)
        return temperature

    @property
    def _paused(self):
        return len(self._log.all("paused")) > len(self._log.all("resumed"))

    def _was_acted_on(self):
        if self.over or not self.read:
            return True
        if self._paused:
            return self.read[-1] >= THRESHOLDS.resume_below
        return self.read[-1] <= THRESHOLDS.pause_above


@contextlib.contextmanager
def mining(log, directory, devices, protection):
    """A node whose cards are CPUs, on a devnet; gives its ledger's path."""
    with DevnetServer(block_time=0.25, balances={KEY.address: UNITS_PER_CPC}) as devnet:
        path = directory / "ledger.sqlite"
        request = NodeRequest(
            urls=[devnet.url],
            mining=MiningConfig(size=64),
            devices=devices,
            threads=1,
            depth=2,
            ledger=path,
            protection=protection,
        )
        launch = partial(LocalProcesses, entry=cpu_in_disguise)
        with log.mining(request, KEY, launch=launch):
            yield path


@pytest.mark.slow
def test_a_fanless_card_pauses_and_resumes_without_flapping(tmp_path, monkeypatch):
    log = Log()
    machine = Machine(monkeypatch)
    card = machine.cards[0].temperature = FanlessCard(log)
    with mining(log, tmp_path, ("cuda:0",), Protection(THRESHOLDS, look_seconds=0.05)) as path:
        log.wait("resumed", 3)
        log.wait("computed", 4)
        card.over = True
    with contextlib.closing(sqlite3.connect(path)) as ledger:
        reasons = {reason for (reason,) in ledger.execute("SELECT skipped FROM blocks")}
    story = [event for event, _ in log.events if event in ("paused", "resumed")]
    assert story[:6] == ["paused", "resumed"] * 3
    # A full way down and up again lies between two pauses: 10 degrees each, less what wavers.
    looks_a_cycle = 2 * (THRESHOLDS.pause_above - THRESHOLDS.resume_below - 5) / DEGREES_A_LOOK
    assert len(story) / 2 <= len(card.read) / looks_a_cycle
    for paused in log.all("paused"):
        temperature = int(paused["reason"].split()[0])
        assert 80 <= temperature <= 84
    assert max(card.read) < 85
    assert len(log.all("computed")) > 3
    assert any(reason and reason.startswith("paused: ") for reason in reasons)
    assert not log.all("child_killed")
    assert not log.all("child_ended")
    assert log.error is None
    print(
        f"{len(card.read)} readings from {min(card.read):.1f} to {max(card.read):.1f} °C,"
        f" {len(log.all('paused'))} pauses, {len(log.all('computed'))} results,"
        f" {len(log.all('skipped'))} blocks skipped"
    )


def test_a_card_that_fell_off_the_bus_gets_no_more_work(tmp_path, monkeypatch):
    """Two cards; Xid 79 takes one away for good, and the other goes on."""
    log = Log()
    machine = Machine(monkeypatch, cards=2)
    with mining(log, tmp_path, ("cuda:0", "cuda:1"), Protection(look_seconds=0.05)):
        log.wait("ready", 2)
        log.wait("computed")
        machine.xid(machine.cards[0], 31)
        log.wait("card_fault")
        machine.xid(machine.cards[0], 79)
        log.wait("out_of_service")
        seen = len(log.all("computed"))
        log.wait("computed", seen + 3)
    (gone,) = log.all("out_of_service")
    assert gone["device"] == "cuda:0"
    assert gone["reason"] == "Xid 79: it has fallen off the bus; the card needs a reset"
    assert {done["device"] for done in log.all("computed")[seen + 1 :]} == {"cuda:1"}
    assert log.error is None
