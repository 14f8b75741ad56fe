"""`keys import` from a file, from standard input, and typed at a terminal."""

import os
import pty
import subprocess

import pytest

from node_client.keys import PrivateKey
from node_client.keystore import Keystore
from tests.processes import ENGINE, PATIENCE_SECONDS, wait_until
from tests.variants import quick_and_slow

MARK = b"\xef\xbb\xbf"


@pytest.fixture
def key():
    return PrivateKey.generate()


def imported(given, *options):
    """Run it without a terminal, as a script or a service does."""
    return subprocess.run(
        [*ENGINE, "keys", "import", "worker", *options],
        input=given,
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        check=False,
        start_new_session=True,
    )


@pytest.mark.parametrize(
    ("mark", "form", "options"),
    quick_and_slow(
        [(b"", "  0x{}  \r\n", ()), (MARK, "0X{}\n", ("--key-file", "-"))],
        [(b"", "{}", ()), (MARK, "{}\n", ())],
    ),
)
def test_standard_input_is_read_quietly(home, key, mark, form, options):
    done = imported(mark + form.format(key.secret_hex()).encode(), *options)
    assert (done.returncode, done.stderr) == (0, b"")
    assert Keystore().info("worker").address == key.address


def test_nothing_or_nonsense_on_it_is_one_sentence(home):
    for given, says in ((b"", b"no private key on standard input"), (b"\xff\xfe\n", b"")):
        done = imported(given)
        assert done.returncode == 2
        assert says in done.stderr
        assert b"Warning" not in done.stderr
        assert b"Traceback" not in done.stderr
    assert Keystore().names() == []


@pytest.mark.parametrize("form", [b"%s", b"0x%s\r\n", MARK + b"%s\n"])
def test_a_file_is_read_as_editors_write_it(cli, home, key, form):
    file = home / "secret"
    file.write_bytes(form % key.secret_hex().encode())
    file.chmod(0o600)
    outcome = cli(f"keys import worker --key-file {file}")
    assert outcome.code == 0, outcome
    assert key.address in outcome.out


def test_at_a_terminal_it_is_asked_for_and_not_shown(home, key):
    terminal, end = pty.openpty()
    with subprocess.Popen(
        [*ENGINE, "keys", "import", "worker"],
        stdin=end,
        stdout=end,
        stderr=end,
        preexec_fn=os.setsid,
    ) as process:
        os.close(end)
        shown = os.read(terminal, 4096)
        assert b"Private key" in shown
        os.write(terminal, b"0x" + key.secret_hex().encode() + b"\n")
        wait_until(lambda: process.poll() is not None)
    shown = os.read(terminal, 4096)
    os.close(terminal)
    assert process.returncode == 0, shown
    assert key.secret_hex().encode() not in shown
    assert Keystore().info("worker").address == key.address


def test_a_configuration_with_a_byte_order_mark_is_read(cli, home):
    path = home / ".computechain" / "engine.toml"
    path.parent.mkdir()
    path.write_bytes(MARK + b'node = ["http://localhost:1234"]\r\n')
    outcome = cli("config show --json")
    assert outcome.code == 0, outcome.err
    assert outcome.json()["settings"]["node"]["value"] == ["http://localhost:1234"]


def test_a_token_with_one_is_the_token(home):
    from engine.monitor.http.server import read_token

    file = home / "token"
    file.write_bytes(MARK + b"0123456789abcdef\n")
    assert read_token(file) == "0123456789abcdef"
