"""`status`, `pause` and `resume` of an engine that runs, and what `--http` refuses."""

import signal
import socket
import stat
import threading

import pytest
import requests

from engine.doctor.running import check_running
from engine.monitor.events.pool import DeviceReady
from engine.monitor.events.protection import DevicesPaused, DevicesResumed, PauseAsked
from engine.monitor.http import control_client
from engine.monitor.http.routes import create_app
from engine.monitor.http.server import ServerThread, sockets_directory, user_socket
from engine.monitor.state import Monitor
from tests.engine.monitor.http.served import Orders, served
from tests.processes import PATIENCE_SECONDS, free_port, stop, wait_until
from tests.situations import mining


@pytest.fixture
def mine(home, devnet):
    """A running `mine` with a port of its own, seen up to its first result."""
    port = free_port()
    small = ("--device", "reference", "--size", "32")
    with mining(*small, "--http", f"127.0.0.1:{port}") as process:
        process.url = f"http://127.0.0.1:{port}"
        yield process


def status_with_a_skipped_block(cli, pid):
    (status,) = cli(f"status --json --engine {pid}").json()
    return status if status["blocks"]["skipped"] > 0 else None


def test_a_running_engine_is_asked_paused_and_resumed(mine, cli, keys):
    (seen,) = cli("status --json").json()
    assert (seen["state"], seen["pid"]) == ("mining", mine.pid)
    assert seen["address"] == keys["worker"].address
    assert seen["devices"][0]["tasks"] > 0
    assert seen["run"]["computed"] > 0
    assert 999 < float(seen["balance"]) <= 1000
    assert "reference  " in cli("status").out
    assert cli("pause").out == f"engine {mine.pid}: paused, asked for\n"
    after = wait_until(
        lambda: status_with_a_skipped_block(cli, mine.pid), "a block to be skipped", every=0.2
    )
    assert after["paused"] == "asked for"
    assert "Paused: asked for" in cli("status").out
    assert requests.get(f"{mine.url}/healthz", timeout=PATIENCE_SECONDS).json() == {
        "healthy": True,
        "reasons": [],
        "warnings": [],
    }
    (row,) = cli("pause --json").json()
    assert row == {"pid": mine.pid, "state": "paused", "paused": "asked for"}
    assert cli(f"resume --engine {seen['address']}").out == f"engine {mine.pid}: mining\n"
    ours = {"X-CPC-Engine": "1"}
    assert (
        requests.post(f"{mine.url}/pause", headers=ours, timeout=PATIENCE_SECONDS).status_code
        == 202
    )
    (own,) = sockets_directory().iterdir()
    assert stat.S_IMODE(own.stat().st_mode) == 0o600
    assert stat.S_IMODE(own.parent.stat().st_mode) == 0o700
    mine.terminate()
    assert mine.wait(timeout=PATIENCE_SECONDS) == 0
    assert list(sockets_directory().iterdir()) == []


class LateDevices(Orders):
    """Its devices follow a moment after the order was heard."""

    def pause(self):
        self.board(PauseAsked(paused=True))
        threading.Timer(0.5, self.board, [DevicesPaused("cpu", "asked for")]).start()

    def resume(self):
        self.board(PauseAsked(paused=False))
        threading.Timer(0.5, self.board, [DevicesResumed("cpu")]).start()


def test_pause_and_resume_say_what_the_devices_came_to(home, cli):
    board = Monitor()
    board(DeviceReady("cpu", 0.1))
    with (
        user_socket() as listening,
        ServerThread(listening, lambda: create_app(board, LateDevices(board)), "test") as server,
    ):
        server.wait()
        (row,) = cli("pause --json").json()
        assert (row["state"], row["paused"]) == ("paused", "asked for")
        (row,) = cli("resume --json").json()
        assert (row["state"], row["paused"]) != ("paused", "asked for")


def test_a_running_engine_tells_every_asker_what_is_wrong_with_it(mine, cli, devnet):
    def healthy():
        answer = requests.get(f"{mine.url}/healthz", timeout=PATIENCE_SECONDS)
        assert answer.json()["healthy"] == (answer.status_code == 200)
        return answer.json()["healthy"]

    (well,) = check_running()
    assert (well.state, str(mine.pid) in well.found) == ("ok", True)
    devnet.stop()
    wait_until(lambda: not healthy(), "it to say that the node is away")
    found = cli("doctor --device reference --json").json()
    checks = [check for check in found if check["name"] == "engine"]
    assert {check["state"] for check in checks} == {"fail"}
    assert any(f"{devnet.url} does not answer" in check["found"] for check in checks)
    assert f": {devnet.url} does not answer" in cli("status").out
    (away,) = cli("status --json").json()
    assert (away["state"], away["chain"]["next_block_in"]) == ("waiting", None)
    devnet.start()
    wait_until(healthy, "it to be well again")
    (back,) = cli("status --json").json()
    assert back["state"] == "mining"
    assert [check.state for check in check_running()] == ["ok"]


def test_an_engine_that_does_not_answer_is_not_one_that_does_not_run(mine, cli, monkeypatch):
    monkeypatch.setattr(control_client, "TIMEOUT_SECONDS", 0.5)
    stop(mine)
    for line in ("status", "status --json", f"pause --engine {mine.pid}"):
        done = cli(line)
        assert done.code == 2
        assert f"engine {mine.pid} does not answer: timed out" in done.err
        assert f"kill -CONT {mine.pid}" in done.err
    (silent,) = check_running()
    assert silent.state == "fail"
    mine.send_signal(signal.SIGCONT)


def test_no_engine_is_a_sentence(home, cli):
    for line in ("status", "pause", "resume --engine 1"):
        done = cli(line)
        assert done.code == 2
        assert "no engine" in done.err


def test_a_socket_that_a_kill_left_behind_is_removed(home, cli):
    sockets_directory().mkdir(parents=True)
    left = sockets_directory() / "1.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(left))
    assert cli("status").code == 2
    assert not left.exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--http 9180", "not an address with a port"),
        ("--http example.org:80", "not an IP address"),
        ("--http 0.0.0.0:0", "there is no token"),
        ("--http 127.0.0.1:0 --http-token-file missing", "cannot be read"),
        ("--http 0.0.0.0:0 --http-token-file short", "too short"),
        ("--quiet-hours 22-7", "not two times of day"),
        ("--pause-above 60 --resume-below 70", "switch all the time"),
    ],
)
def test_what_mine_refuses(cli, tmp_path, monkeypatch, options, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short").write_text("secret\n")
    done = cli(f"mine --devnet {options}")
    assert done.code == 2
    assert sentence in done.err


def test_a_port_that_is_taken_is_told_at_once(cli):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = cli(f"mine --devnet --http 127.0.0.1:{taken.getsockname()[1]}")
    assert done.code == 2
    assert "cannot listen at" in done.err


def test_a_fleet_shows_who_answers_and_who_does_not(mine, cli):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # taken, and nobody listens
        dead = f"http://127.0.0.1:{silent.getsockname()[1]}"
        both = cli(f"fleet {mine.url} {dead} --json")
        assert both.code == 1
        well, gone = both.json()
        assert (well["healthy"], well["status"]["pid"]) == (True, mine.pid)
        assert (gone["url"], gone["healthy"], gone["status"]) == (dead, False, None)
        assert "connection refused" in gone["trouble"]
    table = cli(f"fleet {mine.url}")
    assert table.code == 0
    assert mine.url.removeprefix("http://") in table.out
    assert " mining " in table.out
    for word in ("devices", "rate", "confirmed", "pending"):  # not cut at 80 columns
        assert word in table.out
    assert cli("fleet ftp://rig").code == 2


def test_a_fleet_with_a_token(home, cli, tmp_path):
    token = tmp_path / "token"
    token.write_text("0123456789abcdef0123\n")
    with served(Monitor(), token=token.read_text().strip()) as (url, _orders):
        assert "--token-file" in cli(f"fleet {url} --json").json()[0]["trouble"]
        (rig,) = cli(f"fleet {url} --json --token-file {token}").json()
        assert rig["status"]["state"] == "starting"
