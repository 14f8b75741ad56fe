"""Each kind of trouble is made to last, is found in /healthz, and is over when the fault is.

One engine runs for most of them: it mines, works for a validator, and is asked over HTTP. Its network
is believed to make a block in less time than it does, so that what lasts for blocks lasts shortly.
"""

import contextlib
import os
import re
import socket
import sqlite3
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import psutil
import pytest
import requests

from engine.mining.config import MiningConfig
from engine.monitor import output
from engine.monitor.events.pool import DeviceLeft
from engine.monitor.events.trouble import MEANING, TroubleKind
from engine.monitor.http.server import engine_servers
from engine.monitor.output import Output
from engine.monitor.snapshot import Snapshot
from engine.monitor.state import Monitor
from engine.monitor.troubles import Troubles
from engine.node import thread_watch
from engine.node.agreement import Agreement
from engine.node.request import NodeRequest
from engine.poc_protocol.frames import Verdict
from engine.poc_worker.connection import Patience
from engine.poc_worker.options import ValidatorsOptions
from engine.pool.limits import Limits
from engine.pool.pool import Pool
from engine.pool.processes import LocalProcesses
from engine.pool.ray import launcher as farm
from engine.protection.policy import Thresholds
from engine.protection.sensors import Protection
from engine.runtime.program_files import ProgramFiles
from engine.txmgr import alarms
from node_client.devnet import DevnetServer, Lie
from node_client.evidence import Evidence
from node_client.keys import PrivateKey
from node_client.networks import NETWORKS, UNITS_PER_CPC
from node_client.rpc import NodeClient
from node_client.transaction import BASE_GAS, Transaction, TxType
from tests.engine.logs import Log
from tests.engine.node.troubled_children import child_beside, gateway
from tests.engine.poc_worker.conftest import Validator, job, receive, send, synthetic
from tests.processes import PATIENCE_SECONDS, wait_until

KEY = PrivateKey(bytes(31) + b"\x2d")
FOR_LONG = 600.0
"""Seconds: until the fault is ended."""
BELIEVED, MADE = 0.1, 0.2
"""Seconds a block."""


class Engine:
    """An engine that runs, as those see it who ask it over HTTP."""

    def __init__(self, url):
        self.url = url

    def reasons(self):
        answer = requests.get(f"{self.url}/healthz", timeout=PATIENCE_SECONDS)
        assert (answer.status_code == 200) == (answer.json()["reasons"] == [])
        return answer.json()["reasons"]

    def health(self):
        return requests.get(f"{self.url}/healthz", timeout=PATIENCE_SECONDS).json()

    def status(self):
        answer = requests.get(f"{self.url}/status", timeout=PATIENCE_SECONDS)
        return Snapshot.model_validate(answer.json())

    def troubles(self):
        return {one.kind: one for one in self.status().troubles}

    def wait(self, kind):
        """Until it tells of that; gives what it tells."""
        return wait_until(
            lambda: self.troubles().get(kind), lambda: f"{kind}: {self.troubles()}", every=0.1
        )

    def wait_well(self):
        wait_until(lambda: not self.troubles(), lambda: f"the end of {self.troubles()}", every=0.1)
        assert self.reasons() == []


@dataclass
class Scene:
    """What the faults need. `temperatures` is what the machine's sensors say."""

    devnet: DevnetServer
    engine: Engine
    monitor: Monitor
    temperatures: dict
    notify: socket.socket
    validator: Validator
    directory: Path
    patch: pytest.MonkeyPatch


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    directory = tmp_path_factory.mktemp("troubles")
    temperatures = {"coretemp": [SimpleNamespace(current=50.0)]}
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        notify = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        notify.bind(str(directory / "notify"))
        notify.settimeout(PATIENCE_SECONDS)
        patch.setenv("CPC_STATE", str(directory))
        patch.setenv("NOTIFY_SOCKET", str(directory / "notify"))
        patch.setenv("WATCHDOG_USEC", "300000")
        patch.setitem(NETWORKS, "devnet", replace(NETWORKS["devnet"], block_time=BELIEVED))
        patch.setattr(psutil, "sensors_temperatures", lambda: temperatures, raising=False)
        patch.setattr(
            "engine.poc_worker.worker.Patience",
            partial(Patience, first=0.05, most=0.1, away=0.4, rest=0.3),
        )
        patch.setattr("engine.node.meter.LEAST_SECONDS", 0.5)
        program = directory / "program"
        (program / "engine").mkdir(parents=True)
        (program / "engine" / "one.py").write_text("VERSION = 1\n")
        patch.setattr("engine.node.program_watch.ProgramFiles", partial(ProgramFiles, program))
        patch.setattr("engine.node.program_watch.LOOK_SECONDS", 0.1)
        funds = {KEY.address: UNITS_PER_CPC}
        devnet = stack.enter_context(DevnetServer(block_time=MADE, balances=funds))
        validator = Validator()
        request = NodeRequest(
            urls=[devnet.url],
            mining=MiningConfig(size=16),
            validators=ValidatorsOptions(validator=(validator.url,)),
            job_ledger=directory / "jobs.sqlite",
            ledger=directory / "ledger.sqlite",
            depth=2,
            devices=("reference",),
            protection=Protection(Thresholds(95.0, 90.0), look_seconds=0.1),
        )
        log = Log()
        monitor = Monitor(log)
        attend = stack.enter_context(engine_servers(monitor, ("127.0.0.1", 0), None))
        stack.enter_context(log.mining(request, KEY, attend, report=monitor))
        log.wait("confirmed")
        (listening,) = log.all("http")
        scene = Scene(
            devnet,
            Engine(listening["url"]),
            monitor,
            temperatures,
            notify,
            validator,
            directory,
            patch,
        )
        yield scene
        scene.validator.close()


@pytest.fixture
def scene(running):
    running.engine.wait_well()
    return running


CASES = {}


def case(*kinds):
    """A fault, and what it causes: a context manager that begins it, and ends it."""

    def add(make):
        CASES.update(dict.fromkeys(kinds, contextlib.contextmanager(make)))
        return make

    return add


@case("node_away")
def no_answer(scene):
    scene.devnet.faults.unavailable(FOR_LONG)
    yield
    scene.devnet.faults.clear()


@case("tip_refused")
def no_true_block(scene):
    scene.devnet.faults.lie(Lie.BLOCK_HASH)
    yield
    scene.devnet.faults.clear()


@case("nodes_disagree")
def two_nodes_of_two_minds(scene):
    with scene.devnet.follower() as other:
        client = NodeClient([scene.devnet.url, other.url], evidence=Evidence())
        failures = []
        agreement = Agreement(
            client, KEY.address, BELIEVED, Troubles(scene.monitor), failures.append
        )
        agreement.start()
        other.faults.lie(Lie.BALANCE, value=5)
        yield
        other.faults.clear()
        scene.engine.wait_well()
        agreement.stopping.set()
        agreement.join(timeout=PATIENCE_SECONDS)
        assert failures == []


@case("node_behind")
def fewer_blocks(scene):
    wait_until(lambda: scene.engine.status().run.seen > 20, "blocks that the engine knows")
    scene.devnet.faults.lie(Lie.BEHIND, value=15)
    yield
    scene.devnet.faults.clear()


@case("chain_silent")
def no_more_blocks(scene):
    scene.devnet.faults.hold(FOR_LONG)
    yield
    scene.devnet.faults.clear()


@case("unreadable_blocks")
def a_stranger_with_a_payload_of_infinity(scene):
    scene.patch.setattr(alarms, "TASK_LIFETIME_BLOCKS", 5)  # so long it is told
    scene.devnet.faults.include({"payload": {"x": float("inf")}})
    yield


@case("scan_stuck")
def no_blocks_to_read(scene):
    scene.devnet.faults.lie(Lie.GARBAGE, path="/block/")
    yield
    scene.devnet.faults.clear()


@case("not_sent", "sending_stuck")
def every_result_refused(scene):
    scene.devnet.faults.lie(Lie.REFUSAL, value="mempool_full")
    yield
    scene.devnet.faults.clear()


@case("balance_low")
def nearly_no_coins(scene):
    scene.devnet.faults.lie(Lie.BALANCE, value=5)
    yield
    scene.devnet.faults.clear()


@case("balance_short")
def coins_for_a_few_minutes(scene):
    scene.devnet.faults.lie(Lie.BALANCE, value=10**11)
    yield
    scene.devnet.faults.clear()


@case("balance_unknown")
def no_balance(scene):
    scene.devnet.faults.lie(Lie.GARBAGE, path="/balance/")
    yield
    scene.devnet.faults.clear()


@case("nonce_unproven")
def absurd_nonce(scene):
    scene.devnet.faults.lie(Lie.NONCE, value=10**9)
    yield
    scene.devnet.faults.clear()


@case("gas_price")
def high_prices(scene):
    scene.devnet.faults.lie(Lie.LEAST_PRICE, value=5000)
    yield
    scene.devnet.faults.clear()


@case("key_shared")
def another_program_with_the_same_key(scene):
    scene.patch.setattr(alarms, "TASK_LIFETIME_BLOCKS", 5)  # so long it is told
    client, gas = NodeClient([scene.devnet.url]), BASE_GAS[TxType.TRANSFER]

    def sent():
        draft = Transaction(
            tx_type=TxType.TRANSFER,
            from_address=KEY.address,
            to_address=scene.devnet.faucet.address,
            amount=1,
            fee=gas * 1000,
            nonce=client.nonce(KEY.address),
            gas_price=1000,
            gas_limit=gas,
        )
        return scene.devnet.chain.send(draft.signed_by(KEY)) is None

    wait_until(sent, "a nonce that the engine has not taken")
    yield


@case("thread_stuck")
def answers_that_do_not_come(scene):
    scene.patch.setattr(thread_watch, "TOLD_SECONDS", 1.0)
    scene.devnet.faults.stall(FOR_LONG)
    yield
    scene.devnet.faults.clear()


@case("sensors_silent")
def sensors_that_say_nothing(scene):
    sensors = scene.temperatures.pop("coretemp")
    yield
    scene.temperatures["coretemp"] = sensors


@case("validator_away")
def no_validator(scene):
    port = int(scene.validator.url.split(":")[2].partition("/")[0])
    scene.validator.close()
    yield
    scene.validator = Validator(port)


@case("validator_rests")
def a_validator_that_calls_right_results_wrong(scene):
    connection, _hello = scene.validator.accept()
    for number in range(6):
        send(connection, job(f"wrong-{number}", synthetic(seed=bytes([*range(31), number]))))
        assert receive(connection)["type"] == "job_result"
        send(connection, Verdict(job_id=f"wrong-{number}", accepted=False, reason="no"))
    yield


@case("device_out")
def a_device_whose_children_end(scene):
    """Two more devices, of which one starts no child as long as a file is there."""
    broken = scene.directory / "broken"
    broken.touch()
    limits = Limits(start=60.0, restarts=0, cooldown=0.5)
    launch = partial(LocalProcesses, entry=partial(child_beside, str(broken)))
    with Pool(["spare", "broken"], scene.monitor, limits=limits, launch=launch):
        yield
        out = scene.engine.wait("device_out")
        assert (out.subject, out.stops) == ("broken", False)
        assert "1 failure within 5 min 0 s, and 0 is the most" in out.message
        assert MEANING["device_out"] in scene.engine.health()["warnings"]
        broken.unlink()
        scene.engine.wait_well()
    for name in ("spare", "broken"):
        scene.monitor(DeviceLeft(name, "the test is over"))


@case("database_busy")
def a_database_browser(scene):
    (ledger,) = (path for path in scene.directory.rglob("*.sqlite") if "job" not in path.name)
    with contextlib.closing(sqlite3.connect(ledger, isolation_level=None)) as browser:
        browser.execute("PRAGMA busy_timeout = 60000")
        browser.execute("BEGIN IMMEDIATE")
        yield
        browser.execute("ROLLBACK")
        scene.engine.wait_well()


@case("program_updated")
def another_version_on_the_disk(scene):
    """The engine's own files stay as they are: it looks at others, of which one is written anew."""
    source = scene.directory / "program" / "engine" / "one.py"
    before = source.read_text()
    source.write_text("VERSION = 2\n")
    yield
    source.write_text(before)


@case("log_unwritten")
def a_reader_that_stands_still(scene):
    """A pipe that is full, as that of a paused pager; a service goes on."""
    scene.patch.setattr(output, "PATIENCE_SECONDS", 0.05)
    reader, writer = os.pipe()
    with os.fdopen(reader), os.fdopen(writer, "w") as stream:
        log = Output(stream, service=True)
        log.report = scene.monitor
        os.set_blocking(writer, False)
        with contextlib.suppress(BlockingIOError):
            while os.write(writer, bytes(4096)):
                pass
        log.line("lost")
        yield
        os.read(reader, 1 << 20)
        log.line("written again")
        scene.engine.wait_well()


@case("farm_away")
def a_cluster_that_is_lost(scene):
    up = scene.directory / "the cluster is up"
    up.touch()
    scene.patch.setattr(farm, "FIRST_CONNECT_SECONDS", PATIENCE_SECONDS)  # for a busy machine
    with Pool([], scene.monitor, launch=partial(farm.Farm, str(up), entry=gateway)):
        up.unlink()
        yield
        up.touch()
        scene.engine.wait_well()


def test_results_that_only_lie_in_a_mempool_are_told_of(scene):
    """No node refuses anything, and no block holds it."""
    scene.devnet.faults.lie(Lie.REFUSAL, value="already_in_pool")
    scene.engine.wait("sending_stuck")
    assert "not_sent" not in scene.engine.troubles()
    scene.devnet.faults.clear()
    scene.engine.wait_well()


BY_BLOCKS = ("unreadable_blocks", "key_shared")
"""Told for as many blocks as a task counts: made few here, which keeps results from waiting."""


def every_kind():
    """Those of BY_BLOCKS last. A farm's gateways take seconds to start."""
    for kind in sorted(get_args(TroubleKind), key=lambda kind: kind in BY_BLOCKS):
        yield pytest.param(kind, marks=[pytest.mark.slow] if kind == "farm_away" else [])


@pytest.mark.parametrize("kind", list(every_kind()))
def test_it_is_told_while_it_lasts_and_over_afterwards(scene, kind):
    engine = scene.engine
    with CASES[kind](scene):
        told = engine.wait(kind)
        assert told.message
        assert told.advice
        assert (MEANING[kind] in engine.reasons()) == told.stops
    engine.wait_well()


def test_the_service_manager_is_told_and_its_watchdog_is_fed_all_the_same(scene):
    """A restart helps against none of it: the engine stays alive, and says what is wrong."""
    said = scene.notify.recv
    with CASES["node_away"](scene):
        told = scene.engine.wait("node_away")
        while told.message not in (heard := said(4096).decode()):
            pass
        assert re.fullmatch(r"STATUS=.+; \d+ blocks seen; reference \w+", heard)
        for _ in range(3):
            while said(4096) != b"WATCHDOG=1":
                pass
        assert MEANING["node_away"] in scene.engine.reasons()
    while not re.match(r"STATUS=\d+ blocks seen", said(4096).decode()):
        pass
