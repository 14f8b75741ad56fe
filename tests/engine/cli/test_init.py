"""The first run: three questions, a key and a file."""

import os
import pty
import select
import subprocess
import time
import tomllib

import pytest

from tests.processes import ENGINE, PATIENCE_SECONDS, end


@pytest.fixture
def file(home):
    return home / ".computechain" / "engine.toml"


def test_init_without_questions_makes_a_key_and_a_file_that_config_reads(cli, file, home):
    made = cli("init --yes --node http://127.0.0.1:9 --from w --device cpu --device reference")
    assert made.code == 0, made
    assert (home / "keys" / "w.json").exists()
    document = tomllib.loads(file.read_text())
    assert document == {
        "node": ["http://127.0.0.1:9"],
        "from": "w",
        "mine": {"device": ["cpu", "reference"]},
    }
    shown = cli("config show --json").json()["settings"]
    assert shown["node"]["value"] == ["http://127.0.0.1:9"]
    assert {shown[key]["source"] for key in ("node", "from", "device")} == {"file"}
    assert cli("mine --no-wait").code == 3  # the file's node, which is none


def test_init_never_overwrites_and_keeps_a_key_that_is_there(cli, file, home):
    cli("keys add worker")
    key = (home / "keys" / "worker.json").read_bytes()
    assert cli("init --yes").code == 0
    assert (home / "keys" / "worker.json").read_bytes() == key
    before = file.read_bytes()
    again = cli("init --yes --node http://other")
    assert again.code == 2
    assert str(file) in again.err
    assert file.read_bytes() == before
    elsewhere = cli(f"init --yes --config {home}/other.toml")
    assert elsewhere.code == 0
    assert (home / "other.toml").exists()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("init", "--yes"),  # nobody to ask
        ("init --yes --node ftp://x", "http"),
        ("init --yes --device toaster", "toaster"),
        ("init --yes --from ../evil", "name"),
        ("init --yes --config /dev/null/engine.toml", "engine.toml"),
    ],
)
def test_a_wrong_answer_leaves_nothing_behind(cli, file, line, says):
    outcome = cli(line)
    assert outcome.code == 2
    assert says in outcome.err
    assert not file.exists()


def test_what_was_answered_may_hold_any_letters(cli, home, monkeypatch):
    odd = home / 'ключи "и" \\ пути'
    assert cli("init --yes --node http://h:1").code == 0
    from engine.cli.init import InitOptions, write_settings

    write_settings(home / "odd.toml", InitOptions(node="http://h:1", device=("cpu",), keys_dir=odd))
    assert tomllib.loads((home / "odd.toml").read_text())["keys-dir"] == str(odd)


class Terminal:
    """A real terminal with the program on its other side."""

    def __init__(self, arguments):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [*ENGINE, *arguments], stdin=slave, stdout=slave, stderr=slave, close_fds=True
        )
        os.close(slave)
        self.said = ""

    def expect(self, text, seconds=PATIENCE_SECONDS):
        deadline = time.monotonic() + seconds
        while text not in self.said:
            ready, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
            assert ready, self.said
            try:
                self.said += os.read(self.master, 4096).decode(errors="replace")
            except OSError:
                break
        assert text in self.said, self.said
        self.said = self.said.partition(text)[2]

    def answer(self, text):
        os.write(self.master, f"{text}\n".encode())


@pytest.fixture
def terminal():
    made = []

    def start(*arguments):
        made.append(Terminal(arguments))
        return made[-1]

    yield start
    for one in made:
        end(one.process)
        os.close(one.master)


def test_the_three_questions_at_a_terminal(home, file, terminal):
    at = terminal("init")
    at.expect("Which node?")
    at.answer("http://127.0.0.1:9")
    at.expect("Which key?")
    at.answer("miner")
    at.expect("Which devices?")
    at.answer("cpu, reference")
    at.expect("Wrote")
    assert at.process.wait(PATIENCE_SECONDS) == 0
    document = tomllib.loads(file.read_text())
    assert document["node"] == ["http://127.0.0.1:9"]
    assert document["from"] == "miner"
    assert document["mine"] == {"device": ["cpu", "reference"]}


def test_mine_offers_the_questions_where_nothing_is_set_up(home, file, terminal):
    at = terminal("mine", "--blocks", "1", "--no-wait")
    at.expect("three questions now?")
    at.answer("")
    at.expect("Which node?")
    at.answer("http://127.0.0.1:9")
    at.expect("Which key?")
    at.answer("")
    at.expect("Which devices?")
    at.answer("cpu")
    at.expect("Wrote")
    at.expect("http://127.0.0.1:9 does not answer")  # it goes on to mine, and there is no node
    at.process.wait(PATIENCE_SECONDS)
    assert (home / "keys" / "worker.json").exists()


def test_mine_that_is_told_no_says_how_to_go_on(home, file, terminal):
    at = terminal("mine")
    at.expect("three questions now?")
    at.answer("n")
    at.expect("keys add worker")
    assert at.process.wait(PATIENCE_SECONDS) == 2
    assert not file.exists()
