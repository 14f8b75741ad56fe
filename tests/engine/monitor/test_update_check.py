"""A newer version is told once, and a receiver that misbehaves costs nothing: real sockets."""

import json
import socket
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from engine.monitor.events.run import UpdateAvailable, UpdateUnknown
from engine.monitor.notify import Notifier
from engine.monitor.receivers import Command
from engine.monitor.update_check import MOST_BYTES, UpdateCheck, newest_version, order
from engine.runtime.errors import BadInput
from tests.processes import wait_until
from tests.serving import serving

SIMPLE = b"""<!DOCTYPE html><a href="/f/cpc_engine-0.9.0-py3-none-any.whl#sha256=0">x</a>
<a href="../cpc-engine-0.10.1.tar.gz">y</a><a href="cpc_engine-2.0rc1-py3-none-any.whl">z</a>
<a href="/other-7.0.tar.gz">w</a>"""


@contextmanager
def site(*answers):
    """A server that answers with these in turn, the last for ever; gives its URL and the paths."""
    asked, left, over = [], list(answers), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            answer = left.pop(0) if len(left) > 1 else left[0]
            answer(self, over)

        def log_message(self, *_arguments):
            pass

    with serving(Handler, ThreadingHTTPServer) as url:
        try:
            yield url, asked
        finally:
            over.set()


def body(content, status=200):
    def answer(handler, _over):
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def hangs(_handler, over):
    over.wait()


def never_ends(handler, over):
    handler.send_response(200)
    handler.end_headers()
    piece = b"cpc_engine-99.0.tar.gz " * 4096
    while not over.is_set():
        try:
            handler.wfile.write(piece)
        except OSError:
            return


@pytest.mark.parametrize(
    ("answer", "newest"),
    [
        ({"info": {"version": "0.4.1"}, "releases": {}}, "0.4.1"),
        ({"version": "1.2"}, "1.2"),
        ({"versions": ["0.9", "0.10.0", "1.0rc1", 7], "files": []}, "0.10.0"),
    ],
)
def test_forms_of_json(answer, newest):
    assert newest_version(json.dumps(answer).encode()) == newest


def test_a_simple_index():
    assert newest_version(SIMPLE) == "0.10.1"
    assert order("1.2") == order("1.2.0") < order("1.10")


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\xff\xfe", b"[" * 100_000, b"{}", b'{"version": 7}', b'{"version": "9' + b"9" * 5000],
)
def test_garbage_names_no_release(garbage):
    with pytest.raises(ValueError, match="names no release"):
        newest_version(garbage)


def test_a_newer_version_is_told_once_and_to_the_operators_command(tmp_path):
    told, path = [], tmp_path / "notice"
    code = f"import sys; open({str(path)!r}, 'a').write(sys.stdin.read())"
    command = Command(f'{sys.executable} -c "{code}"')
    with (
        site(body(SIMPLE)) as (url, asked),
        Notifier([command], told.append) as notifier,
        UpdateCheck(
            f"{url}/simple/cpc-engine/?x=1",
            lambda event: (told.append(event), notifier(event)),
            period=0.01,
        ),
    ):
        wait_until(lambda: len(asked) > 3, "further questions")
        wait_until(path.exists, "the command to be run")
        wait_until(lambda: path.read_text().endswith("}"), "its whole input")
    assert asked[0] == "/simple/cpc-engine/?x=1"
    (event,) = told
    assert isinstance(event, UpdateAvailable)
    assert (event.version, event.severity()) == ("0.10.1", "info")
    assert json.loads(path.read_text())["event"] == "update_available"


def test_the_same_or_an_older_version_is_not_told():
    told = []
    with (
        site(body(b'{"version": "0.3"}')) as (url, asked),
        UpdateCheck(url, told.append, period=0.01, running="0.3.0"),
    ):
        wait_until(lambda: len(asked) > 2)
    assert told == []


def test_errors_hangs_and_answers_without_end_are_passed_and_asked_again(monkeypatch):
    monkeypatch.setattr("engine.monitor.update_check.TOTAL_SECONDS", 1.0)
    told = []
    answers = (body(b"no", 500), body(b"<html>"), never_ends, hangs, body(b'{"version": "99.0"}'))
    with site(*answers) as (url, _asked), UpdateCheck(url, told.append, period=0.01):
        wait_until(lambda: any(isinstance(event, UpdateAvailable) for event in told))
    *failed, found = told
    assert [type(event) for event in failed] == [UpdateUnknown] * 4
    assert str(MOST_BYTES) in failed[2].reason
    assert all(event.line() == "" for event in failed)
    assert found.version == "99.0"


def test_the_end_does_not_wait_for_an_answer():
    told = []
    with site(hangs) as (url, asked):
        check = UpdateCheck(url, told.append)
        wait_until(lambda: asked, "the question")
        check.close()  # returns at once
    assert told == []


def test_nobody_is_there_and_a_wrong_url():
    told = []
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        with UpdateCheck(url, told.append):
            wait_until(lambda: told)
    assert isinstance(told[0], UpdateUnknown)
    for wrong in ("", "ftp://host/x", "pypi"):
        with pytest.raises(BadInput, match="--update-url"):
            UpdateCheck(wrong, told.append)
