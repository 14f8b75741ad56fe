"""The program's language: one gettext domain, bound once per process.

    speak("ru")   # speak(None) follows LANGUAGE, LC_ALL, LC_MESSAGES and LANG

Sentences are translated where they stand: `from gettext import gettext as _`, then
`_("{count} blocks").format(count=3)`. The domain is bound before any module with sentences at its
top is imported: by `engine.cli.main`, and by a child process at its entry. Where a catalogue is
missing, the sentence stays English.
"""

import contextlib
import gettext
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

DOMAIN = "cpc-engine"
LOCALE_DIRECTORY = Path(__file__).parents[1] / "locale"
LANGUAGES = ("en", "ru")
"""English is in the source; every other one has a catalogue."""


def speak(language: str | None = None) -> None:
    """Bind the domain. A `language` overrides the locale, for this process and its children."""
    if language is not None:
        os.environ["LANGUAGE"] = language
    gettext.bindtextdomain(DOMAIN, str(LOCALE_DIRECTORY))
    gettext.textdomain(DOMAIN)


def translator(language: str) -> Callable[[str], str]:
    """Return what translates into one language, whichever the program speaks."""
    return gettext.translation(DOMAIN, str(LOCALE_DIRECTORY), [language], fallback=True).gettext


def asked_language(arguments: Sequence[str]) -> str | None:
    """Return the value of `--lang`, else of CPC_LANG, else None.

    Read before the command line is parsed, since the help texts depend on it; an unknown language is
    left for the parser to refuse.
    """
    given = os.environ.get("CPC_LANG")
    before = ""
    for argument in arguments:
        if argument == "--":
            break
        if before == "--lang":
            given = argument
        elif argument.startswith("--lang="):
            given = argument.removeprefix("--lang=")
        before = argument
    return given if given in LANGUAGES else None


def replace_unencodable() -> None:
    """Show question marks for letters that the terminal's encoding lacks, instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(io.UnsupportedOperation):
                stream.reconfigure(errors="replace")
