"""The language that this program speaks: one gettext domain, bound once a process.

    speak("ru")   # or speak(None): as LANGUAGE, LC_ALL, LC_MESSAGES and LANG say

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
from collections.abc import Sequence
from pathlib import Path

DOMAIN = "cpc-engine"
LOCALE_DIRECTORY = Path(__file__).parents[1] / "locale"
LANGUAGES = ("en", "ru")
"""English is in the source; every other one has a catalogue."""


def speak(language: str | None = None) -> None:
    """Bind the domain. A `language` stands above the locale, for this process and its children."""
    if language is not None:
        os.environ["LANGUAGE"] = language
    gettext.bindtextdomain(DOMAIN, str(LOCALE_DIRECTORY))
    gettext.textdomain(DOMAIN)


def asked_language(arguments: Sequence[str]) -> str | None:
    """What `--lang` of a command line says, else CPC_LANG, else None.

    Looked for before the command line is parsed, since the help texts already depend on it; a
    language that there is not is left for the parser to refuse.
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


def bear_any_letter() -> None:
    """A terminal that lacks a sentence's letters shows question marks; nothing ends for that."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(io.UnsupportedOperation):
                stream.reconfigure(errors="replace")
