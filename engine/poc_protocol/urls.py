"""Which validators a worker may connect to.

>>> check_validator_url("ws://localhost:8080/worker")
'ws://localhost:8080/worker'

A validator on another machine needs `wss`, whose certificate is checked: on an unencrypted
connection anyone on the path can read and change the frames.
"""

import ipaddress
from gettext import gettext as _
from urllib.parse import SplitResult, urlsplit

from engine.poc_protocol.constants import MAX_ID_LENGTH
from engine.runtime.errors import BadInput
from engine.runtime.printable import without_passwords


def check_validator_url(text: str) -> str:
    """Return the URL unchanged, because it is signed as given. Raise BadInput if it is refused."""
    shown = without_passwords(text)[:80]
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        # The error's own words may show a port that is a password.
        sentence = _("{url!r} is not a URL").format(url=shown)
        raise BadInput(sentence) from None
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        advice = _("It looks like wss://HOST/worker, or ws://localhost:8080/worker.")
        raise BadInput(_("{url!r} is not a validator's address").format(url=shown), advice=advice)
    extras = parts.username or parts.password or parts.fragment
    if (
        extras
        or port == 0
        or len(text) > MAX_ID_LENGTH
        or not text.isascii()
        or " " in text
        or not text.isprintable()
    ):
        raise BadInput(
            _("{url!r} cannot be dialled").format(url=shown),
            advice=_("Leave out user, password and #..., and keep it under 256 plain characters."),
        )
    if parts.scheme == "ws" and not is_loopback(parts):
        message = _("{url} is not on this machine, and ws:// is not encrypted").format(url=shown)
        raise BadInput(message, advice=_("Use wss://, or a tunnel that ends at ws://localhost."))
    return text


def is_loopback(url: SplitResult | str) -> bool:
    """Return whether the host is this machine, judged by its name alone, without a DNS lookup."""
    host = (urlsplit(url) if isinstance(url, str) else url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
