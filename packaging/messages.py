"""The catalogue of messages: everything in `_()` and `ngettext()`, and what each language has for it.

    python packaging/messages.py    # bring engine/locale/*/LC_MESSAGES/cpc-engine.po up to date

A new message comes in empty, one whose English was changed is marked fuzzy, and one that is used no
more goes. Translate with any editor of .po files, then run this again; a test refuses what is
missing. The commands' docstrings, which are their help, and Typer's own words ("Options",
"required") are in the catalogue, too.
"""

import sys
from pathlib import Path

import typer
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir, extract_from_file
from babel.messages.pofile import read_po, write_po

from engine.cli.app import program
from engine.cli.config.command_tree import groups, paragraphs, walk

ROOT = Path(__file__).parent.parent
WINGS = ("engine", "kernels", "node_client")
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2)}


def catalogues() -> list[Path]:
    """The .po file of each language."""
    return sorted(ROOT.glob("engine/locale/*/LC_MESSAGES/*.po"))


def extract() -> Catalog:
    """Every message of the tree, and of Typer."""
    template = Catalog(charset="utf-8")
    for wing in WINGS:
        for name, _line, message, comments, context in extract_from_dir(
            ROOT / wing, [("**.py", "python")], keywords=KEYWORDS, comment_tags=("NOTE:",)
        ):
            place = (f"{wing}/{name}", None)
            template.add(message, None, [place], auto_comments=comments, context=context)
    root = program()
    for command in (*groups(root), *(command for _words, command in walk(root))):
        for paragraph in paragraphs(command.help):
            template.add(paragraph, None, [("help", None)])
    core = Path(typer.__file__).parent / "core.py"
    for _line, message, _comments, _context in extract_from_file("python", core, KEYWORDS):
        template.add(message, None, [("typer", None)])
    return template


def read(path: Path) -> Catalog:
    """A language's catalogue; its language is the name of its directory."""
    with path.open("rb") as file:
        return read_po(file, locale=path.parent.parent.name)


def main() -> int:
    """Bring every catalogue up to date; 1 where something is still to be translated."""
    template = extract()
    missing = 0
    for path in catalogues():
        catalogue = read(path)
        catalogue.update(template, update_creation_date=False)
        catalogue.obsolete.clear()
        with path.open("wb") as file:
            write_po(file, catalogue, width=100, sort_by_file=True)
        for message in catalogue:
            if message.id and (message.fuzzy or not all(_texts(message.string))):
                missing += 1
                print(f"{path.name}: {'fuzzy' if message.fuzzy else 'empty'}: {message.id!r}")
    return 1 if missing else 0


def _texts(string: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return string if isinstance(string, tuple) else (string or "",)


if __name__ == "__main__":
    sys.exit(main())
