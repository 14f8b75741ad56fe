"""Every state of an engine, made for real, and seen alike in view, page, `/healthz` and metrics."""

import contextlib
import os
import signal
import subprocess

import psutil
import pytest
import requests
from rich.console import Console

from engine.monitor.snapshot import Snapshot
from engine.monitor.terminal.render import Size, draw
from tests.engine.monitor.http.chromium import Chromium, find_chromium
from tests.processes import ENGINE, PATIENCE_SECONDS, end, free_port, started, stop, wait_until

pytestmark = pytest.mark.slow
QUICK = ("--size", "64", "--block-time", "0.5", "--threads", "1")


class Running:
    """A `mine` that is looked at from all sides."""

    def __init__(self, process, url, page):
        self.process, self.page, self._url = process, page, url

    def snapshot(self):
        try:
            answer = requests.get(f"{self._url}/status", timeout=PATIENCE_SECONDS)
        except requests.ConnectionError:
            return None  # it does not listen yet
        return Snapshot.model_validate(answer.json())

    def seen(self, state, *, healthy, word=""):
        """Wait until it is in this state; return it, once all sides agree."""

        def agreed():
            before = self.snapshot()
            if before is None or before.state != state:
                return None
            metrics = requests.get(f"{self._url}/metrics", timeout=PATIENCE_SECONDS).text
            health = requests.get(f"{self._url}/healthz", timeout=PATIENCE_SECONDS)
            title = self.page.look("document.title") if self.page else ""
            after = self.snapshot()
            sides = (
                f'cpc_engine_state{{state="{state}"}} 1.0' in metrics,
                (health.status_code == 200) == healthy,
                (word or state) in shown(after),
                not self.page or title.startswith(word or state),
            )
            return after if all(sides) and after.state == state else None

        return wait_until(agreed, lambda: f"{state} on all sides: {self.snapshot()}", every=0.05)

    def children(self):
        """The processes of its device, and of those that check."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        return [one for one in found if "spawn_main" in " ".join(one.cmdline())]


def shown(snapshot):
    console = Console(width=100, height=30)
    with console.capture() as captured:
        console.print(draw(snapshot, Size(100, 30)))
    return captured.get()


@pytest.fixture
def mine(home, tmp_path, request):
    """With the devices of its parameter; its kernels are compiled for the first time."""
    port = free_port()
    devices = [word for name in request.param for word in ("--device", name)]
    with started(
        [*ENGINE, "mine", "--devnet", *devices, *QUICK, "--http", f"127.0.0.1:{port}"],
        env=os.environ | {"CPC_CACHE": str(tmp_path / "cache"), "LC_ALL": "C.UTF-8"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        url = f"http://127.0.0.1:{port}"
        if find_chromium() is None:
            yield Running(process, url, None)
        else:
            with Chromium(tmp_path / "chromium") as browser:
                running = Running(process, url, None)
                wait_until(running.snapshot, "its first answer")
                running.page = browser.open(url)
                yield running
        end(process)


@pytest.mark.parametrize("mine", [["cpu"]], indirect=True)
def test_from_compiling_to_mining_and_a_pause(mine, cli):
    wait_until(lambda: mine.snapshot().state == "compiling", "its kernels to be compiled")
    for child in mine.children():
        stop(child)  # it takes its time
    compiling = mine.seen("compiling", healthy=True)
    assert "compiling kernels" in compiling.events[-1].line
    for child in mine.children():
        child.send_signal(signal.SIGCONT)
    mine.seen("mining", healthy=True)
    assert cli("pause").code == 0
    paused = mine.seen("paused", healthy=True)
    assert paused.devices[0].reason == "asked for"
    assert cli("resume").code == 0
    mine.seen("mining", healthy=True)


@pytest.mark.parametrize("mine", [["cpu", "reference"]], indirect=True)
def test_a_device_that_falls_again_and_again(mine):
    mine.seen("mining", healthy=True)

    def is_out():
        for child in mine.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if any("llvmlite" in place.path for place in child.memory_maps()):
                    child.kill()  # the CPU's, but not the reference's
        return [device for device in mine.snapshot().devices if device.state == "out"]

    (out,) = wait_until(is_out, "the device to be out of service")
    assert out.name == "cpu"
    assert "it is tried again after 10 min" in out.reason
    degraded = mine.seen("degraded", healthy=True)
    assert [trouble.kind for trouble in degraded.troubles] == ["device_out"]
