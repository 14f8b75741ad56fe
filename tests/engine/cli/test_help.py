"""Every command's help: its examples can be typed, it fits into 80 columns, its values have names."""

import shlex

import pytest

from engine.cli.app import program
from engine.cli.config.command_tree import walk
from engine.cli.config.examples import EXAMPLES

COMMANDS = dict(walk(program()))


def test_every_command_has_an_example_and_no_other_has():
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_examples_are_read_as_typed(path, home):
    for line in EXAMPLES[path]:
        name, *words = shlex.split(line.partition(" >")[0])
        assert name == "cpc-engine"
        called = tuple(words[: len(path)])
        if called != path:  # what is done before it
            assert any(tuple(words[: len(other)]) == other for other in COMMANDS)
            continue
        parent = program().make_context(name, list(path))
        COMMANDS[path].make_context(" ".join(path), words[len(path) :], parent=parent)


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("path", [(), *COMMANDS], ids=" ".join)
def test_help_fits_into_80_columns_and_every_value_has_a_name(cli, monkeypatch, path, language):
    monkeypatch.setenv("COLUMNS", "80")
    shown = cli(f"--lang {language} {' '.join(path)} --help")
    assert shown.code == 0
    assert all(len(line) <= 80 for line in shown.out.splitlines())
    for anonymous in ("<str>", "<int>", "<path>", "<float>", "range>", "list["):
        assert anonymous not in shown.out


def test_options_stand_under_the_headings_of_their_groups(cli):
    shown = cli("mine --help").out
    headings = [
        line[:-1] for line in shown.splitlines() if line and line[0] != " " and line[-1] == ":"
    ]
    assert headings == [
        *("Key", "Devices", "Task", "Mining", "Transactions", "Node", "Trying it out"),
        *("Protection", "Validators", "Output", "Options", "Examples"),
    ]


def test_help_and_version_are_also_words(cli):
    assert cli("help mine").out == cli("mine --help").out
    assert cli("help").out == cli("--help").out
    assert cli("help mien").code == 2
    assert cli("version").out.startswith(cli("--version").out)


def test_what_a_command_does_is_told_to_the_end(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    told = " ".join(cli("--help").out.partition("Commands:")[2].split())
    assert "ask three questions, make a key if there is none, write engine.toml." in told
    assert "..." not in told
