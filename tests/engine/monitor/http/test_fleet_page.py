"""Fifty rigs on one page, by the whole command: rows, links, what is wrong, and who may look."""

import contextlib
import re
import subprocess
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from engine.monitor.events.trouble import TroubleBegan
from engine.monitor.state import Monitor
from tests.engine.monitor import story
from tests.engine.monitor.http.chromium import Chromium, find_chromium
from tests.processes import ENGINE, PATIENCE_SECONDS, end, started
from tests.serving import serving

RIGS = 50
SICK = 7


def board(sick):
    made = Monitor()
    for event in story.two_cards():
        made(event)
    if sick:
        made(TroubleBegan("node_behind", "the node <i>is</i> behind", "", True))
    return made.snapshot().model_dump_json().encode()


@pytest.fixture
def rigs():
    """Addresses of many engines, all of them one server's; the last one is nobody's."""
    answers = {f"/rig{n}/status": board(n == SICK) for n in range(RIGS - 1)}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = answers[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words):
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 2 * RIGS

    with serving(Handler, Server) as base:
        yield [f"{base}/rig{n}" for n in range(RIGS - 1)] + ["http://127.0.0.1:9"]


@contextlib.contextmanager
def fleet(rigs, *options):
    with started(
        [*ENGINE, "fleet", *rigs, "--http", "127.0.0.1:0", *options],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield re.search(r"http://[0-9.:]+", process.stdout.readline())[0], process
        finally:
            end(process)


@pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium here")
def test_every_rig_has_its_row(rigs, tmp_path):
    with fleet(rigs) as (url, process), Chromium(tmp_path) as browser:
        page = browser.open(url)
        page.wait(f"document.querySelectorAll('tbody tr').length === {RIGS}")
        rows = page.look("[...document.querySelectorAll('tbody tr')].map((row) => row.innerText)")
        assert "behind" in rows[SICK]
        assert "connection refused" in rows[-1]
        assert page.look("document.querySelectorAll('td.bad').length") == 2
        assert page.look("document.querySelector('#state').innerText") == "2 with something wrong"
        assert page.look("document.querySelector('tbody a').href") == rigs[0]
        page.look("document.querySelector('#search').value = 'REFUSED'")
        page.look("document.querySelector('#search').dispatchEvent(new Event('input'))")
        page.wait("document.querySelectorAll('tbody tr').length === 1")
        assert page.complaints == []
        process.terminate()
        assert process.wait(10) == 0


def test_nobody_looks_without_the_token(rigs, tmp_path):
    file = tmp_path / "token"
    file.write_text("a-token-of-some-length")
    with fleet(rigs[:2], "--http-token-file", str(file)) as (url, _process):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{url}/rigs", timeout=PATIENCE_SECONDS)
        assert refused.value.code == 401
        refused.value.close()
