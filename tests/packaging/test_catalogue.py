"""Every sentence is in the catalogue, in every language, with the places that it has in English."""

import gettext
import io
import os
import re
import string
import subprocess
import sys
from functools import cache

import hatch_hook
import messages
import polib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.runtime.i18n import DOMAIN
from tests.processes import PATIENCE_SECONDS
from tests.variants import quick_and_slow

CATALOGUES = {path.parent.parent.name: path for path in messages.catalogues()}


@pytest.fixture(scope="module")
def template():
    """Every message of the source: to read all of it takes a second."""
    return messages.extract()


def texts(value):
    return (value,) if isinstance(value, str) else tuple(value or ("",))


def fields(text):
    """Name, conversion and format of each place of a template; the order is the language's own."""
    return sorted(
        (name, spec or "", conversion or "")
        for _, name, spec, conversion in string.Formatter().parse(text)
        if name is not None
    )


def test_there_is_a_catalogue_and_there_are_messages(template):
    assert "ru" in CATALOGUES
    assert len(template) > 500


@pytest.mark.parametrize("language", CATALOGUES)
def test_every_message_is_translated(language, template):
    catalogue = messages.read(CATALOGUES[language])
    missing = []
    for message in template:
        if not message.id:
            continue
        found = catalogue.get(message.id if isinstance(message.id, str) else message.id[0])
        if found is None or found.fuzzy or not all(texts(found.string)):
            missing.append(message.id)
    assert missing == [], "make messages, then translate"


@pytest.mark.parametrize("language", CATALOGUES)
def test_a_translation_has_the_places_of_its_message(language):
    for message in messages.read(CATALOGUES[language]):
        if not message.id or not message.string:
            continue
        english = fields(texts(message.id)[-1])
        for text in texts(message.string):
            assert fields(text) == english, message.id


@pytest.mark.parametrize("language", CATALOGUES)
def test_a_translation_is_no_copy_and_keeps_what_is_typed(language):
    """Options, commands and variables are the same in every language."""
    for message in messages.read(CATALOGUES[language]):
        if not message.id or not message.string:
            continue
        for text in texts(message.string):
            for word in texts(message.id)[-1].split():
                if word.startswith(("--", "CPC_")):
                    assert word.strip(".,;:()[]") in text, message.id


@given(count=st.integers(0, 10**6))
def test_russian_has_three_plurals(count):
    said = _russian().ngettext(
        "{count} result in blocks {first} to {last}",
        "{count} results in blocks {first} to {last}",
        count,
    )
    assert ("результат ", "результата ", "результатов ")[_form(count)] in said


def _form(count):
    if count % 10 == 1 and count % 100 != 11:
        return 0
    return 1 if count % 10 in (2, 3, 4) and count % 100 not in (12, 13, 14) else 2


@cache
def _russian():
    return gettext.GNUTranslations(io.BytesIO(polib.pofile(str(CATALOGUES["ru"])).to_binary()))


def say(*arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-c", "from engine.cli import main; main()", *arguments],
        env={**os.environ, "LANGUAGE": "", "LC_ALL": "", "LANG": "C.UTF-8", **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    return done.stdout + done.stderr


ENGLISH, RUSSIAN = "there is no key 'nobody'", "нет ключа 'nobody'"
LOCALE = {"LC_ALL": "ru_RU.UTF-8"}


@pytest.mark.parametrize(
    ("before", "after", "environment", "told"),
    quick_and_slow(
        [
            ((), (), LOCALE, RUSSIAN),
            ((), (), {"CPC_LANG": "ru"}, RUSSIAN),
            ((), ("--lang", "en"), LOCALE, ENGLISH),
        ],
        [
            ((), (), {}, ENGLISH),
            ((), (), {"LANG": "ru_RU.UTF-8"}, RUSSIAN),
            ((), (), {"LANGUAGE": "ru"}, RUSSIAN),
            (("--lang", "ru"), (), {}, RUSSIAN),
            ((), ("--lang=ru",), {}, RUSSIAN),
        ],
    ),
)
def test_the_language_is_the_locale_s_or_the_one_that_was_asked_for(
    before, after, environment, told, tmp_path
):
    hatch_hook.compile_catalogues(messages.ROOT)
    line = (*before, "keys", "show", "nobody", "--keys-dir", str(tmp_path), *after)
    assert told in say(*line, **environment)


def test_help_is_translated():
    hatch_hook.compile_catalogues(messages.ROOT)
    help_text = say("--lang", "ru", "mine", "--help")
    assert "Параметры:" in help_text
    assert "Использование: cpc-engine mine" in help_text


def test_without_a_catalogue_it_speaks_english(tmp_path):
    """Also where a terminal lacks the letters, nothing ends for that."""
    script = (
        "from pathlib import Path\nimport engine.runtime.i18n as l\n"
        f"l.LOCALE_DIRECTORY = Path({str(tmp_path)!r})\n"
        "from engine.cli import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "--lang", "ru", "keys", "show", "nobody"],
        env={**os.environ, "CPC_KEYS": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert "there is no key 'nobody'" in done.stderr
    hatch_hook.compile_catalogues(messages.ROOT)
    assert "?" in say("--lang", "ru", "keys", "show", "x", PYTHONIOENCODING="latin-1")


def test_the_domain_is_the_file_s_name():
    assert {path.stem for path in CATALOGUES.values()} == {DOMAIN}


COUNTED = (
    "attempts|blocks|bytes|cards|characters|checks|connections|customers|devices|"
    "digits|dimensions|engines|entries|errors|failures|features|files|inputs|"
    "iterations|jobs|keys|layers|leaves|lines|multiply-adds|nodes|numbers|openings|"
    "outputs|products|requests|restarts|results|rows|samples|starts|tasks|tensors|"
    "threads|times|transactions|transfers|units|validators|values|workers"
)
BOUNDS = {"most", "least", "limit", "longest", "allowed"}
"""Names of limits, which are more than one: only their code knows them, and no count is among them."""
NO_COUNTS = {"rank", "dimensions", "lengths", "price", "gas_price", "text", "names"}
"""Fixed numbers, lists of sizes, names, what the user typed, and gas prices of 1,000 and more."""
COUNT = re.compile(rf"\{{(\w+)[^}}]*\}} (?:[a-z-]+ )?(?:{COUNTED})\b")


def test_every_counted_noun_has_its_plurals(template):
    """`1 failures` is said nowhere: such a message goes through ngettext, or names the count last."""
    wrong = [
        message.id
        for message in template
        if isinstance(message.id, str)
        for name in COUNT.findall(message.id)
        if name not in BOUNDS | NO_COUNTS and name != name.upper()
    ]
    assert wrong == []


def test_plurals_are_told_apart_in_every_language(template):
    """English has the count's two forms, Russian three, and each of them has the count in it."""
    plurals = [message.id for message in template if isinstance(message.id, tuple)]
    assert len(plurals) > 40
    for one, many in plurals:
        assert one != many
        assert fields(one) == fields(many)
    for language, path in CATALOGUES.items():
        for message in messages.read(path):
            if isinstance(message.id, tuple) and language == "ru":
                assert len(texts(message.string)) == 3, message.id
