"""SIGHUP at a real engine: what it takes over, what it only tells, and what it refuses."""

import json
import os
import pty
import signal
import subprocess

import pytest

from tests.processes import ENGINE, PATIENCE_SECONDS, end, wait_until


class Running:
    def __init__(self, file, *arguments):
        self.process = subprocess.Popen(
            [*ENGINE, "mine", "--json", "--config", str(file), *arguments],
            env=dict(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )

    def until(self, wanted):
        for line in self.process.stdout:
            event = json.loads(line)
            if wanted(event):
                return event
        raise AssertionError("it ended")

    def event(self, *names):
        return self.until(lambda event: event["event"] in names)

    def hang_up(self):
        self.process.send_signal(signal.SIGHUP)


@pytest.fixture
def engine(devnet, home):
    started = []

    def start(text, *arguments):
        (home / "engine.toml").write_text(text)
        started.append(Running(home / "engine.toml", *arguments))
        started[-1].event("block")
        return started[-1]

    yield start
    for one in started:
        end(one.process)
        one.process.communicate()


def test_sighup_takes_over_what_can_change_and_tells_the_rest(engine, home):
    running = engine("[mine]\ndevice = 'reference'\nsize = 16\nopenings = 4\n")
    (home / "engine.toml").write_text(
        "[mine]\ndevice = 'reference'\nsize = 32\nopenings = 8\ntasks-per-block = '3'\n"
    )
    running.hang_up()
    told = {}
    for _ in range(3):
        event = running.event("setting_changed", "setting_waits")
        told[event["name"]] = (event["event"], event["value"])
    assert told == {
        "openings": ("setting_changed", 8),
        "tasks-per-block": ("setting_changed", "3"),
        "size": ("setting_waits", 32),
    }
    assert running.until(lambda event: event["event"] == "block" and event["tasks"] == 3)
    running.hang_up()
    assert running.event("setting_waits", "settings_same", "setting_changed")["name"] == "size"


def test_a_file_that_became_wrong_changes_nothing(engine, home):
    running = engine("[mine]\ndevice = 'reference'\nsize = 16\n")
    for text, says in (
        ("[mine]\ntasks-per-block = 'many'\n", "many"),
        ("[mine]\nopenings = 5000\n", "1024"),
        ("[mine]\nopenigns = 5\n", "openigns"),
        ("[mine\n", "TOML"),
    ):
        (home / "engine.toml").write_text(text)
        running.hang_up()
        assert says in running.event("settings_refused", "setting_changed")["message"]
    assert running.event("block")["tasks"] == 1
    assert running.process.poll() is None


def test_what_was_typed_stands_over_the_file_also_then(engine, home):
    running = engine("[mine]\ndevice = 'reference'\nsize = 16\n", "--openings", "2")
    (home / "engine.toml").write_text("[mine]\ndevice = 'reference'\nsize = 16\nopenings = 8\n")
    running.hang_up()
    assert running.event("settings_same", "setting_changed")["event"] == "settings_same"


def test_a_terminal_that_is_closed_ends_it_in_order(devnet, home):
    master, slave = pty.openpty()
    log = home / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [*ENGINE, "mine", "--json", "--device", "reference", "--size", "16"],
            stdin=slave,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=lambda: __import__("fcntl").ioctl(0, 0x540E, 0),  # TIOCSCTTY
        )
    os.close(slave)
    try:
        wait_until(lambda: '"signed"' in log.read_text(), "a result to be signed")
        os.close(master)  # the kernel sends SIGHUP
        assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        end(process)
    assert '"stopping"' in log.read_text()
