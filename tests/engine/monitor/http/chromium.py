"""A headless Chromium, driven over its DevTools protocol: what the page's tests look through.

    with Chromium(directory) as browser:
        page = browser.open(url, Screen(width=390, height=844, dark=True, phone=True))
        page.wait("document.querySelector('#state').textContent === 'mining'")
        page.screenshot(path)

Source: https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import urllib.request
from dataclasses import dataclass

from websockets.sync.client import connect

from tests.processes import PATIENCE_SECONDS, end, wait_until

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


def find_chromium():
    """Path of a Chromium or Chrome, None where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for path in map(shutil.which, names) if path), None)


@dataclass(frozen=True)
class Screen:
    """What it is looked at on."""

    width: int = 1280
    height: int = 900
    dark: bool = False
    phone: bool = False


class Page:
    """One tab. `complaints` are errors of scripts, and what the page's policy forbade."""

    def __init__(self, socket, screen):
        self._socket = socket
        self._numbers = itertools.count(1)
        self.complaints = []
        for domain in ("Runtime", "Page", "Log"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=screen.width,
            height=screen.height,
            deviceScaleFactor=2 if screen.phone else 1,
            mobile=screen.phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if screen.dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def call(self, method, **parameters):
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=PATIENCE_SECONDS))
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def go(self, url):
        self.call("Page.navigate", url=url)

    def look(self, script):
        """The value of an expression."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, script):
        """Until the expression is true; what it needs may not be there yet."""
        tried = f"(() => {{ try {{ return !!({script}) }} catch {{ return false }} }})()"
        wait_until(
            lambda: self.look(tried),
            lambda: f"{script} in {self.look('document.body.innerText')}",
            every=0.05,
        )

    def screenshot(self, path, whole=True):
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def _note(self, message):
        match message.get("method"):
            case "Runtime.exceptionThrown":
                self.complaints.append(message["params"]["exceptionDetails"])
            case "Log.entryAdded" if message["params"]["entry"]["level"] == "error":
                self.complaints.append(message["params"]["entry"])


class Chromium:
    """A context manager; every tab is gone with it."""

    def __init__(self, directory):
        self._directory = directory
        self._closing = contextlib.ExitStack()

    def __enter__(self):
        program = subprocess.Popen(
            [find_chromium(), *FLAGS, f"--user-data-dir={self._directory}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._closing.callback(end, program)
        port_file = self._directory / "DevToolsActivePort"

        def says_its_port():
            assert program.poll() is None, "Chromium did not start"
            return port_file.exists() and port_file.read_text().strip()

        wait_until(says_its_port, "Chromium to say its port")
        self._port = int(port_file.read_text().splitlines()[0])
        return self

    def __exit__(self, *_error):
        self._closing.close()

    def open(self, url, screen=None, language="en"):
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self._port}/json/new?about:blank", method="PUT"
        )
        with urllib.request.urlopen(asked, timeout=PATIENCE_SECONDS) as answer:
            address = json.load(answer)["webSocketDebuggerUrl"]
        socket = self._closing.enter_context(connect(address, max_size=64 * 2**20))
        page = Page(socket, screen or Screen())
        page.call("Network.enable")
        page.call("Network.setExtraHTTPHeaders", headers={"Accept-Language": language})
        page.go(url)
        return page
