"""The configuration file `engine.toml`, checked against the options of the commands.

    settings = read_settings(find_file(None), program)
    context.default_map = settings.of(("mine",))

A setting is declared once. This module finds the command's option of that name, and Typer does the
rest: the command line takes precedence over the environment, that over the file, that over the default.

    node = ["http://localhost:8000"]     # at the top: for every command that has --node

    [mine]
    tasks-per-block = 4                  # for this command only; [tx.send] for one of a group
"""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from gettext import gettext as _
from pathlib import Path
from typing import Any, get_args, get_origin

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.exceptions import TyperException

from engine.cli.config import command_tree as tree
from engine.cli.config import usage_errors as usage
from engine.runtime.errors import BadInput
from engine.runtime.paths import expanded

VARIABLE = "CPC_CONFIG"
BEFORE = "cpc-engine.config-before"
"""Key of a context's `meta`: the --config that was given before the command's name."""
LARGEST_FILE = 1 << 20
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_SECRET = re.compile(r"secret|passphrase|password|private|mnemonic|token")


@dataclass(frozen=True, slots=True)
class Settings:
    """The file's values, by command and then by parameter. `path` is None if there is no file."""

    path: Path | None = None
    values: Mapping[tree.Path, Mapping[str, Any]] = field(default_factory=dict)

    def of(self, command: tree.Path) -> dict[str, Any]:
        """Return the values for a command, by the names of its parameters."""
        return dict(self.values.get(command, {}))


def default_file() -> Path:
    """Return the path of `engine.toml`, beside the keys and the ledgers."""
    return expanded("~/.computechain/engine.toml")


def find_file(given: Path | None) -> Path | None:
    """Return the file named, else CPC_CONFIG, else the default if it exists. Raises BadInput."""
    named = given or (Path(text) if (text := os.environ.get(VARIABLE)) else None)
    if named is not None:
        named = expanded(named)
        if not named.exists():
            raise BadInput(
                _("the configuration file {path} does not exist").format(path=named),
                advice=_("Name another with --config, or create it: cpc-engine init --config {path}")
                .format(path=named),
            )  # fmt: skip
        return named
    try:
        default = default_file()
        return default if default.exists() else None
    except (OSError, BadInput):  # no home directory, or one that we may not read
        return None


def file_to_write(context: typer.Context, given: Path | None) -> Path:
    """Return where a new file goes: named on the command line, by CPC_CONFIG, or the default."""
    named = given or context.meta.get(BEFORE) or os.environ.get(VARIABLE)
    return expanded(named) if named else default_file()


def read_settings(path: Path | None, program: TyperGroup) -> Settings:
    """Read the file and check every name and value in it. Raises BadInput."""
    if path is None:
        return Settings()
    text = _read(path)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(
            _("{path} is not valid TOML: {reason}").format(path=path, reason=error),
            advice=_("Fix that line: text goes in quotes, a list in square brackets."),
        ) from None
    reader = _Reader(path, text)
    reader.take(document, program, ())
    return Settings(path, reader.values)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
        if len(raw) > LARGEST_FILE:
            raise BadInput(_("{path} is too large for a configuration file").format(path=path))
        return raw.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except UnicodeDecodeError:
        reason = _("it is not UTF-8 text")
    raise BadInput(
        _("the configuration file {path} cannot be read: {reason}").format(path=path, reason=reason)
    )


type _Place = tuple[tree.Path, TyperCommand, TyperOption]


class _Reader:
    """Reads the tables from the top down, so that a command's own value replaces the general one."""

    def __init__(self, path: Path, text: str) -> None:
        self.values: dict[tree.Path, dict[str, Any]] = {}
        self._path = path
        self._lines = text.splitlines()

    def take(
        self, table: Mapping[str, Any], at: TyperGroup | TyperCommand, where: tree.Path
    ) -> None:
        inner = dict(at.commands) if isinstance(at, TyperGroup) else {}
        below = list(tree.walk(at, where)) if isinstance(at, TyperGroup) else [(where, at)]
        plain = {key: value for key, value in table.items() if key not in inner}
        for key, value in plain.items():
            found = [
                (path, command, option)
                for path, command in below
                for option in tree.options_of(command)
                if tree.key_of(option) == key
            ]
            if not found:
                raise self._unknown(key, where, below, list(inner))
            self._give(key, value, where, found)
        for key in table.keys() - plain.keys():
            if not isinstance(table[key], dict):
                raise self._error(key, where, _("is a table: write [{key}]").format(key=key))
            nested = inner[key]
            assert isinstance(nested, TyperGroup | TyperCommand)
            self.take(table[key], nested, (*where, key))

    def _give(self, key: str, value: Any, where: tree.Path, to: list[_Place]) -> None:
        """Give the value to the commands whose option accepts it; at least one must."""
        errors = []
        for path, command, option in to:
            fitting = _fitting(value, option)
            reason = _objection(fitting, command, option)
            if reason:
                errors.append(reason)
                continue
            self.values.setdefault(path, {})[option.name] = fitting
        if len(errors) == len(to):
            raise self._error(key, where, errors[0])

    def _unknown(
        self,
        key: str,
        where: tree.Path,
        below: list[tuple[tree.Path, TyperCommand]],
        inner: list[str],
    ) -> BadInput:
        options = {
            tree.key_of(option) for _path, command in below for option in tree.options_of(command)
        }
        near = difflib.get_close_matches(key, [*sorted(options), *inner], 1, cutoff=0.5)
        if _SECRET.search(key.lower()):
            advice = _("No secrets in this file: name a file that contains it, mode 600.")
        elif near:
            advice = _("Did you mean {name}?").format(name=near[0])
        else:
            advice = _("cpc-engine config show {command} lists what can be set.").format(
                command=" ".join(where) or "mine"
            )
        return self._error(key, where, _("there is no such setting"), advice)

    def _error(self, key: str, where: tree.Path, reason: str, advice: str = "") -> BadInput:
        place = str(self._path)
        if line := self._line_of(key, where):
            place = _("{path}, line {line}").format(path=self._path, line=line)
        name = ".".join((*where, key))
        return BadInput(f"{place}: {name}: {reason}", advice=advice)

    def _line_of(self, key: str, where: tree.Path) -> int | None:
        """Return the line of `key = ...` in its table; None where it is written in another way."""
        table = ""
        for number, line in enumerate(self._lines, 1):
            if header := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
                table = re.sub(r"[\s\"']", "", header[1])
                if table == ".".join((*where, key)):
                    return number
            elif table == ".".join(where) and re.match(
                rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line
            ):
                return number
        return None


def _fitting(value: Any, option: TyperOption) -> Any:
    """Return one value as a list of one, and a number as text where the default is such a text."""
    if option.multiple and not isinstance(value, list):
        return [value]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and isinstance(option.default, str) and _NUMBER.fullmatch(option.default):
        return str(value)
    return value


def _objection(value: Any, command: TyperCommand, option: TyperOption) -> str:
    """Return why the option does not accept the value; empty where it does."""
    if wanted := _mismatch(option.type_descriptor.annotation, value):
        return wanted
    try:
        option.get_runtime_param().coerce(value, option, typer.Context(command))
    except TyperException as error:
        return usage.wanted(option) or error.message
    return ""


def _mismatch(annotation: Any, value: Any) -> str:
    """Return what the value must be; empty where it is of that type. Never contains the value."""
    if get_origin(annotation) is list:
        (item,) = get_args(annotation)
        return next((wrong for each in value if (wrong := _mismatch(item, each))), "")
    if annotation is bool:
        return "" if isinstance(value, bool) else _("must be true or false")
    if annotation is int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return "" if whole else _("must be a whole number, without quotes")
    if annotation is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return "" if number else _("must be a number, without quotes")
    return "" if isinstance(value, str) else _("must be text in quotes")
