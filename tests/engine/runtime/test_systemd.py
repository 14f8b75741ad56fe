"""sd_notify, spoken to a real datagram socket, by the parts and by a whole `mine`."""

import os
import shlex
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from engine.runtime.systemd import Manager
from tests.processes import ENGINE, PATIENCE_SECONDS, end, stop

PACKAGING = Path(__file__).parents[3] / "packaging" / "systemd"


@pytest.fixture
def listening(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "notify"))
        line.settimeout(PATIENCE_SECONDS)
        yield line


def words(line):
    line.setblocking(False)
    heard = []
    while True:
        try:
            heard.append(line.recv(4096).decode())
        except BlockingIOError:
            return heard


def test_the_watchdog_is_told_three_times_in_its_period_and_a_status_once(listening, tmp_path):
    now = 0.0
    manager = Manager(str(tmp_path / "notify"), 3.0, clock=lambda: now)
    manager.ready()
    for tenth in range(31):
        now = tenth / 10
        manager.alive("block 1")
    manager.stopping()
    heard = words(listening)
    assert heard == ["READY=1", "STATUS=block 1", *["WATCHDOG=1"] * 4, "STOPPING=1"]


def test_what_a_full_queue_did_not_take_is_said_again(listening, tmp_path):
    manager = Manager(str(tmp_path / "notify"), 3.0, clock=lambda: 0.0)
    while manager.ready():
        pass
    manager.alive("block 1")
    assert set(words(listening)) == {"READY=1"}
    assert manager.ready()
    manager.alive("block 1")
    assert words(listening) == ["READY=1", "STATUS=block 1", "WATCHDOG=1"]


def test_no_word_of_a_node_becomes_an_assignment(listening, tmp_path):
    Manager(str(tmp_path / "notify")).alive("the node says: no\nMAINPID=1\n" + "x" * 5000)
    (heard,) = words(listening)
    assert "\n" not in heard
    assert heard.startswith("STATUS=the node says: no MAINPID=1 xxx")
    assert len(heard) < 600


def test_an_abstract_socket_and_no_socket_at_all():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind("\0cpc-engine-test")
        Manager("@cpc-engine-test").ready()
        assert words(line) == ["READY=1"]
    Manager("@cpc-engine-test").ready()
    Manager("/nowhere/at/all").alive("well")
    Manager(None).stopping()


@pytest.mark.parametrize(
    ("environment", "every"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 20.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 20.0),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_environment_is_read_and_not_handed_on(environment, every, monkeypatch):
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Manager.from_environment()._every == every
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & set(os.environ)


def test_a_mine_says_ready_and_alive_until_its_loop_stands_still(listening, tmp_path):
    """Type=notify with a watchdog of 0.9 s: a stopped process is one that systemd would kill."""
    process = subprocess.Popen(
        [
            *ENGINE,
            *shlex.split("mine --devnet --block-time 0.2 --device reference --size 64 --plain"),
        ],
        env=os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "900000"},
        stdout=subprocess.DEVNULL,
    )
    try:
        awaited = {"READY=1", "WATCHDOG=1", "blocks seen"}
        while awaited:
            told = listening.recv(4096).decode()
            awaited = {word for word in awaited if word not in told}
        stop(process)
        words(listening)
        listening.settimeout(1.0)
        with pytest.raises(TimeoutError):
            listening.recv(4096)
        process.send_signal(signal.SIGCONT)
        listening.settimeout(PATIENCE_SECONDS)
        while listening.recv(4096) != b"WATCHDOG=1":
            pass
        process.send_signal(signal.SIGTERM)
        while listening.recv(4096) != b"STOPPING=1":
            pass
        assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        end(process)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze here")
def test_systemd_takes_the_unit_and_finds_it_hardened(tmp_path):
    unit = tmp_path / "cpc-engine.service"
    text = (PACKAGING / "cpc-engine.service").read_text()
    unit.write_text(text.replace("/opt/cpc-engine/bin/cpc-engine", shutil.which("true")))
    verified = subprocess.run(
        ["systemd-analyze", "verify", unit],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    complaints = [
        line
        for line in verified.stderr.splitlines()
        if unit.name in line and "RestartSteps" not in line and "RestartMaxDelaySec" not in line
    ]
    assert complaints == []  # the two are newer than some systemd, which says so and goes on
    secured = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=25", unit],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    if "offline" not in secured.stderr:  # systemd before 250 cannot look at a file
        assert secured.returncode == 0, secured.stdout[-400:]
