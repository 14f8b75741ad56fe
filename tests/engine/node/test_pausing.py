"""Pauses: the policy by itself, then real mining that is paused and goes on."""

import contextlib
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.mining.config import MiningConfig
from engine.monitor.events.protection import Reading
from engine.node.request import NodeRequest
from engine.protection.hysteresis import Hysteresis
from engine.protection.policy import PausePolicy, Thresholds
from engine.protection.readings import Observation
from engine.protection.sensors import Protection
from engine.runtime.errors import BadInput
from engine.txmgr.ledger import Ledger
from node_client.devnet import DevnetServer
from node_client.keys import PrivateKey
from node_client.networks import UNITS_PER_CPC
from tests.engine.logs import Log

KEY = PrivateKey(bytes(31) + b"\x2b")
TEMPERATURES = st.lists(st.one_of(st.none(), st.floats(20, 110)), max_size=80)


@given(TEMPERATURES)
def test_it_changes_only_beyond_the_far_threshold(values):
    heat, was_on = Hysteresis(above=80, below=70), False
    for value in values:
        on = heat.see(value)
        if on and not was_on:
            assert value > 80
        if was_on and not on:
            assert value < 70
        was_on = on


@given(TEMPERATURES)
def test_between_the_thresholds_nothing_ever_changes(values):
    heat = Hysteresis(above=80, below=70)
    heat.see(85)
    assert all(heat.see(None if value is None else 70 + value % 10) for value in values)


@pytest.mark.parametrize("below", [80, 81])
def test_thresholds_that_would_flap_are_refused(below):
    with pytest.raises(BadInput, match="switch all the time"):
        Hysteresis(above=80, below=below)


def test_heat_pauses_one_device_and_the_rest_all():
    pausing = PausePolicy(["cuda:0", "cuda:1"], Thresholds(80, 70))
    pausing.see(Observation(readings={"cuda:0": Reading(temperature=84.0), "cuda:1": Reading()}))
    assert pausing.reasons("cuda:0") == ("84 °C, and the limit is 80 °C",)
    assert pausing.reasons("cuda:1") == ()
    pausing.ask(paused=True)
    pausing.see(Observation(on_battery=True, quiet=True))  # no reading: as hot as it was
    assert pausing.reasons("cuda:1") == ("asked for", "on battery", "quiet hours")
    assert len(pausing.reasons("cuda:0")) == 4
    pausing.ask(paused=False)
    pausing.see(Observation(readings={"cuda:0": Reading(temperature=69.0)}))
    assert pausing.reasons("cuda:0") == pausing.reasons("cuda:1") == ()


def hot(temperature):
    return Observation(readings={"cpu": Reading(temperature=temperature)})


def test_what_comes_while_paused_is_skipped_and_nothing_is_lost(tmp_path):
    """Paused by the operator, resumed; paused by heat that wavers, resumed. Children stay."""
    log = Log()
    path = tmp_path / "ledger.sqlite"

    with DevnetServer(block_time=0.25, balances={KEY.address: UNITS_PER_CPC}) as devnet:
        ask = NodeRequest(
            urls=[devnet.url],
            mining=MiningConfig(size=64),
            ledger=path,
            depth=2,
            devices=("cpu",),
            threads=1,
            protection=Protection(Thresholds(88, 75)),
        )
        with log.mining(ask, KEY) as node:
            log.wait("confirmed")
            pids = node.child_pids()
            node.pause()
            log.wait("paused")
            skipped = len(log.all("skipped"))
            log.wait("skipped", skipped + 2)
            computed = len(log.all("computed"))
            log.wait("skipped", skipped + 3)
            assert len(log.all("computed")) == computed
            node.resume()
            log.wait("computed", computed + 1)
            for temperature in (91.0, 87.0, 76.0, 92.0, 89.0):
                node.controller.see(hot(temperature))
            log.wait("paused", 2)
            log.wait("skipped", skipped + 5)
            node.controller.see(hot(74.0))
            log.wait("resumed", 2)
            log.wait("confirmed", len(log.all("confirmed")) + 2)
            assert node.child_pids() == pids
        assert log.error is None
        genesis = devnet.chain.block(0).hash()
        chain_id = devnet.chain.chain_id
    assert len(log.all("paused")) == len(log.all("resumed")) == 2
    with contextlib.closing(sqlite3.connect(path)) as database:
        reasons = {reason for (reason,) in database.execute("SELECT skipped FROM blocks")}
        assert "paused: asked for" in reasons
        assert "paused: 91 °C, and the limit is 88 °C" in reasons
    with Ledger.open(path, chain_id=chain_id, genesis=genesis, address=KEY.address) as ledger:
        assert len(ledger.unanswered_blocks()) <= 1  # the one at work when it was stopped
        assert ledger.totals().final == len(log.all("confirmed"))
