"""Notices to a real command and a real receiver: what is told, how often, and what a failure costs."""

import hashlib
import hmac
import json
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest

from engine.monitor.events.mining import BlockSkipped
from engine.monitor.events.pool import ChildKilled, DeviceReady
from engine.monitor.events.run import Warned
from engine.monitor.events.trouble import TroubleBegan, TroubleEnded
from engine.monitor.notify import Notifier
from engine.monitor.receivers import SIGNATURE, Command, Webhook
from engine.runtime.errors import BadInput
from tests.processes import wait_until
from tests.serving import serving

AWAY = TroubleBegan("node_away", "the node does not answer", "Start it.", stops=True)


@contextmanager
def receiver(*statuses):
    """A server that answers with these, then 200; gives its URL and what it was sent."""
    taken, answers = [], list(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((self.path, dict(self.headers), body))
            self.send_response(answers.pop(0) if answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    with serving(Handler) as url:
        yield url, taken


def writer(path, *, then="0"):
    """A command that adds its standard input to a file, and exits so."""
    code = (
        f"import sys; open({str(path)!r}, 'a').write(sys.stdin.read() + chr(10)); sys.exit({then})"
    )
    return Command(f'{sys.executable} -c "{code}"')


def test_a_command_gets_warnings_and_errors_as_json_and_nothing_else(tmp_path):
    path, told = tmp_path / "notices", []
    with Notifier([writer(path)], told.append) as notifier:
        notifier(DeviceReady("cpu", 0.1))
        for _ in range(5):
            notifier(ChildKilled("cpu", "hung"))
        notifier(ChildKilled("cuda:0", "hung"))  # another device is another kind
        notifier(AWAY)
        notifier(TroubleEnded("node_away", "it answers again"))
        wait_until(
            lambda: path.exists() and len(path.read_text().splitlines()) == 4, "four notices"
        )
    notices = [json.loads(line) for line in path.read_text().splitlines()]
    assert [notice["event"] for notice in notices] == [
        *("child_killed", "child_killed", "trouble", "trouble_over"),
    ]
    assert notices[2]["fields"]["message"] == "the node does not answer"
    assert notices[2]["level"] == "error"
    assert told == []


def test_a_webhook_is_tried_again_and_its_notice_is_signed():
    with receiver(500) as (url, taken), Notifier([Webhook(f"{url}/x?a=1", "secret")], print) as say:
        say(AWAY)
        wait_until(lambda: len(taken) == 2, "a second try")
    (path, headers, body), again = taken
    assert (path, body) == ("/x?a=1", again[2])
    signed = hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    assert headers[SIGNATURE] == f"sha256={signed}"
    assert json.loads(body)["event"] == "trouble"


@pytest.mark.parametrize("host", ["hooks.slack.com", "api.telegram.org"])
def test_the_forms_of_slack_and_telegram(host, monkeypatch):
    with receiver() as (url, taken):
        proxy = url  # what the host's name stands for is not reached from a test
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.delenv("no_proxy", raising=False)
        Webhook(f"http://{host}/bot123:secret/sendMessage?chat_id=42").send({"line": "it broke"})
    ((_path, _headers, body),) = taken
    found = json.loads(body)
    assert found.pop("text") == "cpc-engine: it broke"
    assert found == ({"chat_id": "42"} if host == "api.telegram.org" else {})


def test_what_is_not_taken_is_told_once_without_the_secret_and_blocks_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr("engine.monitor.notify.FIRST_WAIT_SECONDS", 0.01)
    told = []
    failing = [writer(tmp_path / "x", then="3"), Webhook("http://127.0.0.1:9/bot123:secret")]
    with Notifier(failing, told.append) as notifier:
        notifier(AWAY)
        for height in range(1000):
            notifier(BlockSkipped(height, "no device"))
        wait_until(lambda: len(told) >= 2, "both failures to be told")
    assert all(isinstance(event, Warned) for event in told)
    lines = " ".join(event.line() for event in told)
    assert "the command ended with 3" in lines
    assert "the webhook at 127.0.0.1 does not answer" in lines
    assert "secret" not in lines


def test_a_wrong_command_and_a_wrong_file_are_refused(tmp_path):
    for line in ("", "'unclosed"):
        with pytest.raises(BadInput):
            Command(line)
    for text in ("", "ftp://example.org/x", "a b c"):
        (tmp_path / "hook").write_text(text)
        with pytest.raises(BadInput, match="cannot be used"):
            Webhook.read(tmp_path / "hook")
    with pytest.raises(BadInput):
        Webhook.read(tmp_path / "none")
