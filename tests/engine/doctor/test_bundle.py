"""The report for others: complete, and nothing in it that tells who somebody is."""

import json
import os
import socket
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.doctor.bundle import Redaction
from tests.engine.cli.conftest import cli, home, keys  # noqa: F401 - fixtures

SECRET = "correct-horse-battery"
HOSTS = st.from_regex(r"[a-z]{4,12}(\.[a-z]{3,8}){1,3}", fullmatch=True)


def bundle(cli, path, line=""):  # noqa: F811
    done = cli(f"doctor --device reference {line} --bundle {path}")
    return done, json.loads(path.read_text())


def test_it_has_what_a_report_needs(cli, home, keys):  # noqa: F811
    done, found = bundle(cli, home / "report.json")
    assert found["kind"] == "cpc-engine host report"
    assert found["packages"]["numba"]
    assert found["settings"]["size"] == 1024
    assert {"python", "key", "node"} <= {check["name"] for check in found["checks"]}
    assert str(home / "report.json") in done.out
    assert stat.S_IMODE((home / "report.json").stat().st_mode) == 0o600


def test_nothing_in_it_tells_who_somebody_is(cli, home, keys, monkeypatch):  # noqa: F811
    monkeypatch.setenv("CPC_PASSPHRASE", SECRET)
    monkeypatch.setenv("LOGNAME", "wilhelmina")
    monkeypatch.setenv("USER", "wilhelmina")
    (home / "state").mkdir(mode=0o700)
    (home / "state" / "broken.sqlite").write_bytes(b"no database" * 100)
    config = home / "wilhelmina.toml"
    config.write_text('node = "http://me:hunter22@node.of.mine.example:8000/l1"\n')
    _done, found = bundle(cli, home / "report.json", f"--config {config}")
    text = json.dumps(found)
    for known in (SECRET, "wilhelmina", "hunter22", "node.of.mine", str(home)):
        assert known not in text
    for info in keys.values():
        assert info.address not in text
        assert info.address[:8] in text or info.name != "worker"
    assert "CPC_PASSPHRASE" in found["variables"]
    assert "http://HOST" in text
    assert "error" in found["days"]


def test_a_file_that_is_there_is_kept(cli, home, keys):  # noqa: F811
    path = home / "report.json"
    path.write_text("mine")
    done = cli(f"doctor --device reference --bundle {path}")
    assert (done.code, path.read_text()) == (2, "mine")
    assert "Name a file that does not exist yet" in done.err


@given(host=HOSTS, password=st.from_regex(r"[A-Za-z0-9]{6,20}", fullmatch=True))
def test_no_url_keeps_its_host_or_password(host, password):
    redacted = Redaction({})(f"it failed: https://u:{password}@{host}:8443/a/b?token={password}.")
    assert host not in redacted
    assert password not in redacted.replace("https://HOST", "")
    assert redacted.startswith("it failed: https://HOST/a/b")


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("http://localhost:8000/status", "http://localhost:8000/status"),
        ("http://127.0.0.1:9/x", "http://127.0.0.1:9/x"),
        ("http://localhost.evil.example/x", "http://HOST/x"),
        ("peer 192.168.7.9 and fe80:1:2:3:4:5:6:7", "peer IP and IP"),
        ("127.0.0.1 is free", "127.0.0.1 is free"),
        ("block " + "ab" * 32, "block abababab..."),
        ("12:30:59 passed", "12:30:59 passed"),
    ],
)
def test_what_is_kept_and_what_is_not(text, redacted):
    assert Redaction({})(text) == redacted


def test_this_host_and_this_home_have_no_name():
    redact = Redaction.here()
    assert redact({os.path.expanduser("~/x"): [1, None]}) == {"~/x": [1, None]}  # noqa: PTH111
    name = socket.gethostname()
    assert len(name) < 3 or name in ("localhost",) or redact(f"on {name}:") == "on HOST:"
