"""docs/digits.md as it stands: a validator, a worker and a customer, each by its own command."""

import json
import os
import signal
import subprocess
from contextlib import contextmanager

import numpy as np
import pytest

from engine.jobs.models import digits
from tests.processes import ENGINE, PATIENCE_SECONDS, end, free_port


@contextmanager
def running(event, *arguments):
    """A command as a process of its own, from the moment when it reports that event."""
    process = subprocess.Popen(
        [*ENGINE, *arguments, "--json"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    try:
        for line in process.stdout:
            if json.loads(line)["event"] == event:
                break
        yield process
    finally:
        try:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            end(process)


@pytest.mark.slow
def test_a_digit_through_the_market(cli, home, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    port = free_port()
    monkeypatch.setenv("CPC_MARKET", f"http://127.0.0.1:{port}")
    images, labels = digits.test_set()
    np.save(home / "images.npy", images[20:25])
    assert cli("keys add worker").code == 0
    token = cli("validator customers add alice").out
    (home / "alice.token").write_text(token)
    assert "10" in cli("validator customers deposit alice 10").out

    on = ("--device", "reference")
    url = f"ws://127.0.0.1:{port}/worker"
    with (
        running("ready", "validator", "serve", "--port", str(port), *on),
        running("ready", "work", "--validator", url, "--from", "worker", *on) as work,
    ):
        options = f"--token-file {home}/alice.token --wait {PATIENCE_SECONDS:.0f}"
        one = cli(f"tasks post inference digits digits:17 {options}")
        many = cli(f"tasks post inference digits {home}/images.npy {options}")
        listed = cli("tasks list --json")
        task_id = listed.json()["tasks"][0]["task_id"]
        stranger = cli(f"tasks show {task_id}")
        taking = cli(f"tasks show {task_id} --out {home}/taken")
    assert work.returncode == 0
    assert one.code == many.code == 0
    assert f"this is a {labels[17]}" in one.out
    said = [line for line in many.out.splitlines() if line.startswith("this is")]
    assert said == [f"this is a {label}" for label in labels[20:25]]
    assert {task["status"] for task in listed.json()["tasks"]} == {"completed"}
    assert stranger.code == 0
    assert "this is" not in stranger.out
    assert taking.code == 2
    assert "--token-file" in taking.err
    assert not (home / "taken").exists()
