"""Text of others, fit for a terminal and a log."""

import re
from typing import Any

_CREDENTIALS = re.compile(r"(?<=://)[^/?#\s]*@")


def printable(text: str) -> str:
    """Return it with a space for every character that could control a terminal or begin a line."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def without_passwords(text: str) -> str:
    """Return it with *** for user and password of every URL in it."""
    return _CREDENTIALS.sub("***@", text) if "@" in text else text


def fit_to_show(value: Any) -> Any:
    """Return a text, or lists of them, printable and without passwords; anything else as it is."""
    if isinstance(value, str):
        return without_passwords(printable(value))
    if type(value) in (list, tuple):
        return type(value)(map(fit_to_show, value))
    return value
