"""The reference, from the commands: docs/commands.md, the man page, tables in docs/configuration.md.

python packaging/reference.py            # write all of them
python packaging/reference.py --check    # 1 if one of them is not what the commands say
python packaging/reference.py --only docs/configuration.md
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from engine import __version__
from engine.cli.app import program
from engine.cli.config.command_tree import HELP_NAMES, options_of, variable_of, walk
from engine.cli.config.command_tree import Path as Words
from engine.cli.config.examples import EXAMPLES
from engine.cli.config.groups import groups_of, key_of_field
from engine.runtime.settings import Setting, declared

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "commands.md"
MAN = ROOT / "packaging" / "man" / "cpc-engine.1"
CONFIGURATION = ROOT / "docs" / "configuration.md"
EXIT_CODES = {
    0: "Done.",
    1: "Checked and found wrong, or not there.",
    2: "Bad input or set-up; nothing was done.",
    3: "No node answers, or the transaction was refused.",
    4: "No device is in service.",
    70: "A bug in this program; CPC_DEBUG=1 shows where.",
    130: "Ended by Ctrl-C.",
}


class Sheet:
    """What there is to say about one command."""

    def __init__(self, words: Words, command: TyperCommand, parent: typer.Context) -> None:
        self.words = words
        self.context = typer.Context(command, parent=parent, info_name=" ".join(words))
        pieces = command.collect_usage_pieces(self.context)
        self.usage: str = " ".join(["cpc-engine", *words, *pieces])
        self.help = " ".join((command.help or "").split())
        settable = options_of(command)
        self.rows: list[tuple[str, str, str]] = []
        for parameter in command.get_params(self.context):
            record = parameter.get_help_record(self.context)
            if record is None:
                continue
            is_set = isinstance(parameter, TyperOption) and parameter in settable
            variable = variable_of(parameter) if is_set else ""
            text = re.sub(r"\s*\[env var: [^;\]]*\]|env var: [^;\]]*; ", "", record[1])
            self.rows.append((record[0].strip(), " ".join(text.split()), variable))


def sheets(root: TyperGroup) -> Iterator[Sheet]:
    """One for each command, in the order of --help."""
    context = typer.Context(root, info_name="cpc-engine", help_option_names=HELP_NAMES)
    for words, command in walk(root):
        yield Sheet(words, command, context)


def page(root: TyperGroup) -> str:
    """The reference as Markdown."""
    lines = [
        "# Commands",
        "",
        "<!-- Made by packaging/reference.py from the commands themselves: make reference -->",
        "",
        "Each option can also be set by the variable beside it, or in the",
        "[configuration](configuration.md), under its name without the hyphens in front.",
        "",
        "## Exit codes",
        "",
        "| Code | Meaning |",
        "| --- | --- |",
        *(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()),
    ]
    for sheet in sheets(root):
        lines += ["", f"## {' '.join(sheet.words)}", "", sheet.help, "", "```text"]
        lines += [
            sheet.usage,
            "```",
            "",
            "| Option | What it does | Variable |",
            "| --- | --- | --- |",
        ]
        for names, text, variable in sheet.rows:
            shown = f"`{variable}`" if variable else ""
            lines.append(f"| `{_cell(names)}` | {_cell(_plain(text))} | {shown} |")
        lines += ["", "```text", *EXAMPLES[sheet.words], "```"]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Square brackets are links in Markdown, and angle brackets tags."""
    return re.sub(r"([\[\]<>*_])", r"\\\1", text)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def man(root: TyperGroup) -> str:
    """The man page, in the man macros of groff_man(7)."""
    lines = [
        '.\\" Made by packaging/reference.py from the commands themselves.',
        f'.TH CPC\\-ENGINE 1 "" "cpc\\-engine {__version__}" "User Commands"',
        ".SH NAME",
        "cpc\\-engine \\- the Proof\\-of\\-Compute worker of ComputeChain",
        ".SH SYNOPSIS",
        ".B cpc\\-engine",
        '.RI [ options ] " command " [ options ]',
        ".SH DESCRIPTION",
        _roff(root.help or ""),
        "Start with",
        '.BR "cpc\\-engine init" ,',
        "then",
        '.BR "cpc\\-engine doctor" ,',
        "then",
        '.BR "cpc\\-engine mine" .',
        ".SH COMMANDS",
    ]
    for sheet in sheets(root):
        lines += [f".SS {_roff(' '.join(sheet.words))}", _roff(sheet.help), ".PP"]
        lines += [f".I {_roff(sheet.usage)}"]
        for names, text, _variable in sheet.rows:
            lines += [".TP", f".B {_roff(names)}", _roff(text)]
        lines += [".PP", "Examples:", ".nf", *map(_roff, EXAMPLES[sheet.words]), ".fi"]
    lines += [".SH EXIT STATUS"]
    for code, meaning in EXIT_CODES.items():
        lines += [".TP", f".B {code}", _roff(meaning)]
    lines += [
        ".SH ENVIRONMENT",
        "Each option of a command can be set by",
        ".IR CPC_COMMAND_OPTION ,",
        "as in CPC_MINE_TASKS_PER_BLOCK. CPC_NODE and CPC_KEYS hold for every command,",
        "CPC_CONFIG names the configuration file, CPC_STATE the directory of the ledgers,",
        "CPC_LANG the language.",
        ".SH FILES",
        ".TP",
        ".I ~/.computechain/engine.toml",
        "The configuration.",
        ".TP",
        ".I ~/.computechain/keys",
        "The key files. Back them up.",
        ".TP",
        ".I ~/.computechain/engine",
        "The ledgers.",
    ]
    return "\n".join(lines) + "\n"


def _roff(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + escaped if escaped.startswith((".", "'")) else escaped


def configuration(root: TyperGroup) -> str:
    """Return docs/configuration.md with its tables made anew; all else of it is written by hand."""
    text = CONFIGURATION.read_text(encoding="utf-8")
    for name, lines in (
        ("variables", list(_variables(root))),
        ("live", [f"* `{key}`" for key in _live(root)]),
        ("settings", list(_settings(root))),
    ):
        begin, end = f"<!-- {name}: made by make reference -->", f"<!-- {name}: end -->"
        before, _begin, rest = text.partition(begin)
        _old, _end, after = rest.partition(end)
        text = "\n".join([before + begin, "", *lines, "", end + after])
    return text


def _declared(root: TyperGroup) -> Iterator[tuple[Words, type, str, Setting, object]]:
    """Yield each command's settings: its words, their group, key, declaration and default."""
    for words, command in walk(root):
        for group in groups_of(command.callback).values():
            for field, told in declared(group):
                default = getattr(group, field.name)
                yield words, type(group), key_of_field(field), told, default


def _variables(root: TyperGroup) -> Iterator[str]:
    yield from ("| Variable | Option | What it sets |", "| --- | --- | --- |")
    own = {told.variable: (key, told) for _, _, key, told, _ in _declared(root) if told.variable}
    for variable, (key, told) in own.items():
        yield f"| `{variable}` | `--{key}` | {_cell(_plain(told.help))} |"


def _live(root: TyperGroup) -> list[str]:
    return [key for words, _, key, told, _ in _declared(root) if words == ("mine",) and told.live]


def _settings(root: TyperGroup) -> Iterator[str]:
    commands: dict[type, list[str]] = {}
    groups: dict[type, dict[str, tuple[Setting, dict[str, str]]]] = {}
    for words, group, key, told, default in _declared(root):
        name = " ".join(words)
        if name not in commands.setdefault(group, []):
            commands[group].append(name)
        _told, defaults = groups.setdefault(group, {}).setdefault(key, (told, {}))
        defaults.setdefault(_shown(default), name)
    for group, named in commands.items():
        yield from ("", f"### {(group.__doc__ or '').splitlines()[0].rstrip('.')}", "")
        yield from ("Commands: " + ", ".join(f"`{one}`" for one in named), "")
        yield from ("| Key | Default | What it sets |", "| --- | --- | --- |")
        for key, (told, defaults) in groups[group].items():
            text, _bracket, otherwise = told.help.partition(" [")
            usual, *others = defaults
            shown = [f"`{usual}`" if usual else _plain(otherwise.rstrip("]"))]
            shown += [f"{defaults[other]}: `{other}`" for other in others]
            yield f"| `{key}` | {_cell('; '.join(shown))} | {_cell(_plain(text))} |"


def _shown(default: object) -> str:
    """Return the default as engine.toml has it; empty where it is none."""
    match default:
        case None | () | "":
            return ""
        case bool():
            return str(default).lower()
        case tuple():
            return json.dumps(list(default))
        case str():
            return json.dumps(default)
        case _:
            return str(default)


def main(arguments: list[str]) -> int:
    """Write them, or say which is stale."""
    root = program()
    made = {PAGE: page(root), MAN: man(root), CONFIGURATION: configuration(root)}
    if "--only" in arguments:
        only = ROOT / arguments[arguments.index("--only") + 1]
        made = {only: made[only]}
    stale = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what the commands say: make reference")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(made[path])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
