"""Where a key's passphrase comes from: a file, CPC_PASSPHRASE, or a prompt, in that order.

key = Keystore().load("worker", passphrase_source(None))

Never an argument of a command: every user of the machine can read those. CPC_PASSPHRASE is taken
out of the environment when this module is imported, which is before anything that may start a
process, and whenever it is looked for, so that no child inherits it.
"""

import getpass
import os
import warnings
from collections.abc import Callable
from gettext import gettext as _
from pathlib import Path

from node_client.errors import KeystoreError
from node_client.private_file import advice_for, exposure_of
from node_client.secret import Secret

ENVIRONMENT = "CPC_PASSPHRASE"
LONGEST = 4096
"""Bytes of a passphrase."""

_at_the_start: Secret[str | None] = Secret(os.environ.pop(ENVIRONMENT, None))


def passphrase_source(file: Path | None = None) -> Callable[[], str]:
    """Return a function that returns the passphrase of an existing key.

    The environment is cleared at once, also where the function is never called.
    """
    from_environment = _taken_from_environment()
    if file is not None:
        return lambda: _from_file(file)
    if from_environment is not None:
        return lambda: from_environment
    return lambda: _prompt(_("Passphrase (not shown): "))


def is_in_environment() -> bool:
    """Return whether CPC_PASSPHRASE is set, or was when the program started."""
    return bool(os.environ.get(ENVIRONMENT) or _at_the_start.reveal())


def new_passphrase(file: Path | None = None) -> str:
    """Return a passphrase for a new key; a prompt asks for it twice. Raises KeystoreError."""
    from_environment = _taken_from_environment()
    if file is not None:
        passphrase = _from_file(file)
    elif from_environment is not None:
        passphrase = from_environment
    else:
        passphrase = _prompt(_("New passphrase (not shown): "))
        if passphrase != _prompt(_("The same again: ")):
            del passphrase, from_environment
            raise KeystoreError(_("the two passphrases differ"))
    if not passphrase:
        raise KeystoreError(_("the passphrase is empty"))
    return passphrase


def _taken_from_environment() -> str | None:
    """Return it and forget it: a command opens one key, and nothing else may find it here later."""
    global _at_the_start
    now = os.environ.pop(ENVIRONMENT, None)
    kept, _at_the_start = _at_the_start, Secret(None)
    return kept.reveal() if now is None else now


def _from_file(file: Path) -> str:
    """The first line of a file, or of a pipe; without its line end and a byte order mark."""
    reason, raw = "", b""
    try:
        with file.open("rb") as lines:
            if exposed := exposure_of(os.fstat(lines.fileno()), file):
                raise KeystoreError(
                    _("the passphrase file is not used: {exposed}").format(exposed=exposed),
                    advice=advice_for(file),
                )
            raw = lines.readline(LONGEST + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
    passphrase = _decoded(raw)
    if not reason and (passphrase is None or len(raw) > LONGEST):
        reason = _("its first line is not UTF-8 text of at most {LONGEST} bytes").format(
            LONGEST=LONGEST
        )
    elif not reason and not passphrase:
        reason = _("its first line is empty")
    if reason or passphrase is None:
        del raw, passphrase
        raise KeystoreError(
            _("the passphrase file {file} cannot be used: {reason}").format(
                file=file, reason=reason
            )
        )
    return passphrase


def _decoded(raw: bytes) -> str | None:
    try:
        return raw.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        return None


def _prompt(question: str) -> str:
    with warnings.catch_warnings():
        # getpass would rather echo than fail where there is no terminal.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(question)
        except (getpass.GetPassWarning, EOFError, OSError):
            pass
    raise KeystoreError(
        _("there is no terminal to ask for the passphrase on"),
        advice=_("Use --passphrase-file, or {ENVIRONMENT}.").format(ENVIRONMENT=ENVIRONMENT),
    )
