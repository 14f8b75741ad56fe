"""Read JSON from a stranger, bounded before it is parsed; write it in the form that is digested.

>>> parse(b'{"b": [1, 2], "a": null}')
{'b': [1, 2], 'a': None}
>>> canonical(parse(b'{"b": [1, 2], "a": null}'))
'{"a":null,"b":[1,2]}'

A few bytes of JSON can become gigabytes of objects (`[[],[],...`), so values and depth are counted
first, by a handful of passes over the bytes that make no object for a value. What two readers may read
differently (a key twice, NaN, a number that is not finite) is refused, because one of them signs it.
"""

import json
import math
from dataclasses import dataclass
from gettext import gettext as _
from typing import Any, NoReturn

from engine.poc_protocol.constants import FIRST_ITEMS, MAX_DEPTH, MAX_ITEMS

_ROUND = bytes.maketrans(b"[{]}", b"(())")
_NO_MARKS = bytes(set(range(256)) - set(b'[]{},"'))


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most values, and the deepest nesting of objects and lists, of one text."""

    values: int = MAX_ITEMS
    depth: int = MAX_DEPTH


FULL = Bounds()
"""A frame of a worker or validator that has introduced itself, a customer's body."""
FIRST = Bounds(values=FIRST_ITEMS)
"""A frame of a stranger."""


class NotJson(ValueError):
    """The text is not JSON; the message is one sentence."""


class NotTaken(NotJson):
    """The text may be JSON, but there is too much of it, or two readers may read two things."""


def parse(text: str | bytes, bounds: Bounds = FULL) -> Any:
    """Return the value of the text, which as bytes is UTF-8. Raises NotJson."""
    count_values(text.encode(errors="surrogatepass") if isinstance(text, str) else text, bounds)
    try:
        text = text if isinstance(text, str) else text.decode()
        return json.loads(
            text, object_pairs_hook=_unique_keys, parse_constant=_no_constant, parse_float=_finite
        )
    except NotJson:
        raise
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from None


def count_values(text: bytes, bounds: Bounds) -> int:
    """Return how many values the text can have at most. Raises NotJson beyond the bounds.

    Each pass is linear and makes one object. Where the text is not valid JSON, the count holds for
    the part that a parser reads before it finds out.
    """
    if b"\\" in text:  # else a quote in a string would end it: first the escaped backslashes
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = text.translate(_ROUND, _NO_MARKS)
    most_quotes = 4 * bounds.values + 4  # a key and a value for each comma or bracket
    outside = (
        b"" if (quotes := marks.count(b'"')) > most_quotes else b"".join(marks.split(b'"')[::2])
    )
    values = outside.count(b"(") + outside.count(b",") + 1
    if quotes > most_quotes or values > bounds.values + 1:
        raise NotTaken(_("there are more than {most} values").format(most=bounds.values))
    brackets = outside.replace(b",", b"")
    for _level in range(bounds.depth):
        brackets = brackets.replace(b"()", b"")
    if b"(" in brackets:
        sentence = _("objects and lists are nested more than {depth} deep, or do not end")
        raise NotTaken(sentence.format(depth=bounds.depth))
    return values


def canonical(value: Any) -> str:
    """Return the text that is digested: keys sorted, no spaces, ASCII, as in transactions.

    Raises ValueError for a number that is not finite.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def is_canonical(text: str) -> bool:
    """Return whether every reader of the text that writes it again writes the same."""
    try:
        return canonical(parse(text)) == text
    except ValueError:
        return False


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise NotTaken(_("an object has a key twice"))
    return value


def _no_constant(name: str) -> NoReturn:
    raise NotTaken(_("{name} is not valid JSON").format(name=name))


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise NotTaken(_("a number is out of range"))
    return number
