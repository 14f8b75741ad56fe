"""Settings are declared once: the dataclass, the help, the file and `config show` say the same."""

import dataclasses
import inspect

import pytest
import typer

from engine.cli import mine, work
from engine.cli.app import program
from engine.cli.config.command_tree import key_of, options_of, walk
from engine.cli.config.groups import groups_of, key_of_field, made_of, with_options
from engine.cli.options import Json, NodeOptions
from engine.runtime.settings import declared, setting
from engine.tasks.options import TaskOptions

COMMANDS = {path: command for path, command in walk(program()) if groups_of(command.callback)}


def settings_of(command):
    """(key, default of this command, declaration) of each setting of the command's groups."""
    for group in groups_of(command.callback).values():
        for field, told in declared(group):
            yield key_of_field(field), getattr(group, field.name), told


def test_work_takes_whole_groups_of_mine_and_declares_none_itself():
    names = {}
    for command in (mine.mine, work.work):
        found = groups_of(command)
        assert len(inspect.signature(command).parameters) > len(found)
        names[command] = {type(group) for group in found.values()}
    assert len(names[work.work] & names[mine.mine]) == len(names[work.work])


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_default_is_the_same_in_the_dataclass_the_help_and_config_show(cli, path):
    command = COMMANDS[path]
    shown = cli(f"config show {' '.join(path)} --json").json()["settings"]
    options = {key_of(option): option for option in options_of(command)}
    context = typer.Context(command)
    for key, default, told in settings_of(command):
        plain = list(default) if isinstance(default, tuple) else default
        if told.variable is None:  # CPC_KEYS is set for every test
            assert shown[key] == {"value": plain, "source": "default", "place": ""}, key
        text = options[key].get_help_record(context)[1]
        assert text.startswith(told.help), key
        if isinstance(default, bool):
            assert not default or "default: " in text, key
        elif default not in (None, (), ""):
            words = ", ".join(map(str, default if isinstance(default, tuple) else [default]))
            assert f"default: {words}" in text, key


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_setting_is_a_key_of_the_file_and_no_other_name_is(cli, home, path):
    table = ".".join(path)
    keys = {key for key, *_ in settings_of(COMMANDS[path])}
    assert keys <= {key_of(option) for option in options_of(COMMANDS[path])}
    file = home / ".computechain" / "engine.toml"
    file.parent.mkdir()
    file.write_text(f"[{table}]\nnot-a-setting = 1\n")
    refused = cli("config show")
    assert refused.code == 2
    assert f"{table}.not-a-setting: there is no such setting" in refused.err


def test_an_origin_is_kept_for_a_list_too(cli, home, monkeypatch):
    def device():
        return cli("config show mine --json").json()["settings"]["device"]

    assert device() == {"value": ["auto"], "source": "default", "place": ""}
    file = home / ".computechain" / "engine.toml"
    file.parent.mkdir()
    file.write_text('[mine]\ndevice = ["cpu", "reference"]\n')
    assert device() == {"value": ["cpu", "reference"], "source": "file", "place": str(file)}
    monkeypatch.setenv("CPC_MINE_DEVICE", "reference cpu")
    said = {"source": "environment", "place": "CPC_MINE_DEVICE"}
    assert device() == {"value": ["reference", "cpu"]} | said


def called(function, line):
    """What a command of these options is called with."""
    app = typer.Typer()
    app.command()(function)
    typer.main.get_command(app).main(args=line.split(), standalone_mode=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    number: int = setting(3, "A number.", least=1)
    words: tuple[str, ...] = setting(("a",), "Words.")
    wanted: bool = setting(True, "Whether.")
    from_: str | None = setting(None, "Whence.")


def test_a_command_is_called_with_the_groups_that_it_names():
    calls = []

    @with_options
    def command(task: TaskOptions, number: Sample = Sample(number=9), json: Json = False) -> None:
        calls.append((task, number, json))

    called(command, "")
    called(command, "--number 4 --words x --words y --no-wanted --from z --size 5 --json")
    assert calls == [
        (TaskOptions(), Sample(number=9), False),
        (TaskOptions(size=5), Sample(number=4, words=("x", "y"), wanted=False, from_="z"), True),
    ]


def test_an_empty_list_stands_for_the_default():
    assert made_of(NodeOptions, {"node": []}) == NodeOptions()


def test_sighup_changes_what_is_declared_as_live():
    live = {key for key, _default, told in settings_of(COMMANDS[("mine",)]) if told.live}
    assert live == {"tasks-per-block", "openings", "pause-on-battery", "quiet-hours"}
