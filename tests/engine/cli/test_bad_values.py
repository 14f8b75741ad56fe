"""What a hostile newcomer types ends with one sentence and exit code 2, and starts nothing."""

from pathlib import Path

import pytest
from typer.core import TyperOption

from engine.cli.app import program
from engine.cli.config.command_tree import walk
from engine.cli.config.usage_errors import name_of
from engine.runtime.bounded_file import read_bounded

BAD_BYTES = "\udcff\udcfe"
"""How Python gives a command line's bytes that are no UTF-8."""
COMMANDS = dict(walk(program()))


def texts_of(command):
    """The parameters of a command that take any text."""
    for parameter in command.params:
        kind = parameter.type_descriptor
        if kind.annotation in (str, list[str], tuple[str, ...]) and not kind.choices:
            yield parameter


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_text_that_is_not_utf_8(cli, path):
    for parameter in texts_of(COMMANDS[path]):
        if isinstance(parameter, TyperOption):
            given = f"{name_of(parameter)} {BAD_BYTES}"
        else:
            asked = [one for one in COMMANDS[path].params if not isinstance(one, TyperOption)]
            given = " ".join(BAD_BYTES if one is parameter else "x" for one in asked)
        refused = cli(f"{' '.join(path)} {given}")
        assert refused.code == 2, (given, refused)
        assert len(refused.err.splitlines()) <= 2
        assert "is not UTF-8 text" in refused.err or "is missing" in refused.err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("models import /", "Is a directory"),
        ("models show /", "Is a directory"),
        ("models quantise {model} --calibrate x.npz", "there is no file x.npz"),
        ("tasks account --token-file /dev/zero", "/dev/zero cannot be read: File too large"),
        ("tasks account --token-file none", "none cannot be read: No such file or directory"),
        ("tasks post json none", "none cannot be read: No such file or directory"),
        ("tasks post json {deep}", "is not a payload"),
        (
            "work --validator wss://localhost/worker --http 127.0.0.1:0 --http-token-file /dev/zero",
            "File too large",
        ),
        ("quary", "there is no command 'quary'. Did you mean query?"),
        ("keys lst", "there is no command 'lst'. Did you mean list?"),
        ("mine --depth -1", "--depth: must be a whole number from 0 to 100"),
        ("mine --confirmed-nonce -1", "a whole number from 0 to 4611686018427387904"),
        ("validator payouts --directory {file}/x", "Not a directory"),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence(cli, tmp_path, line, said):
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "a-file").touch()
    (tmp_path / "model.onnx").write_bytes(b"\x08\x07" * 30)
    places = {"deep": "deep.json", "file": "a-file", "model": "model.onnx"}
    line = line.format(**{name: tmp_path / place for name, place in places.items()})
    refused = cli(line)
    assert refused.code == 2
    assert said in refused.err, refused.err
    assert "[Errno" not in refused.err


def test_a_file_of_more_than_is_asked_for_is_not_read(tmp_path):
    path = Path(tmp_path, "file")
    path.write_bytes(bytes(9))
    assert read_bounded(path, 9) == bytes(9)
    with pytest.raises(OSError, match="File too large"):
        read_bounded(path, 8)
