"""The directory of key files that this program and cpc-cli share: ~/.computechain/keys.

    store = Keystore(None)                       # or Keystore(Path("keys")); CPC_KEYS names another
    store.create("worker")                       # in the clear, mode 0600, as cpc-cli has it
    store.encrypt("worker", passphrase)          # cpc-cli cannot read it afterwards
    key = store.load("worker", lambda: passphrase)

A file is written whole or not at all: to a new file in the same directory, which then gets its
name. An existing key is never overwritten, but for `encrypt`, which replaces a file by its own
encrypted form.
"""

import contextlib
import difflib
import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Any

from node_client.errors import KeyExists, KeyNotFound, KeystoreError, WrongPassphrase
from node_client.keyfile import (
    LARGEST_FILE,
    KeyFile,
    KeyFileProblem,
    ScryptCost,
    encrypted_document,
    now_text,
    parse,
    plaintext_document,
)
from node_client.keys import PrivateKey
from node_client.private_file import (
    advice_for,
    exposure_of,
    followed,
    others_may_write,
)
from node_client.secret import Secret
from node_client.whole_files import blank, replace_whole, write_new

ENVIRONMENT = "CPC_KEYS"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """A key's public parts. `warnings` are sentences for a person, each with what to do.

    Where the file cannot be used at all, `address` and `public_key` are "" and a warning says why;
    only `entries` gives such, so that one broken file does not hide the others.
    """

    name: str
    address: str
    public_key: str
    created_at: str
    encrypted: bool
    path: str
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return a plain dictionary."""
        return asdict(self) | {"warnings": list(self.warnings)}


class Keystore:
    """Key files by name. Every method raises KeystoreError where a file cannot be used."""

    def __init__(self, directory: Path | None = None, *, cost: ScryptCost | None = None) -> None:
        """`directory`: else what CPC_KEYS names, else ~/.computechain/keys; made when needed.

        `cost` of the passphrases set from now on; tests lower it.
        """
        self.directory = _directory(directory)
        self._cost = cost or ScryptCost()

    def names(self) -> list[str]:
        """Return the names of all keys, sorted; other files are ignored."""
        try:
            found = [path.name for path in self.directory.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise KeystoreError(
                _("the key directory {directory} cannot be read: {strerror}").format(
                    directory=self.directory, strerror=error.strerror
                )
            ) from None
        stems = (name.removesuffix(".json") for name in found if name.endswith(".json"))
        return sorted(stem for stem in stems if _NAME.fullmatch(stem))

    def entries(self) -> list[KeyInfo]:
        """Return `info` of every key; of a broken file, why it is broken."""
        return [self._entry(name) for name in self.names()]

    def info(self, name: str) -> KeyInfo:
        """Return the public parts of a key. Needs no passphrase."""
        path = self._path(name)
        found = self._read(name)
        with self._os_errors_explained(path):
            exposures = list(self._exposures(path))
        return KeyInfo(
            name,
            found.address,
            found.public_key,
            found.created_at,
            encrypted=found.encrypted_key is not None,
            path=str(path),
            warnings=tuple(f"{reason}. {advice}" for reason, advice in exposures),
        )

    def create(self, name: str, passphrase: str | None = None) -> KeyInfo:
        """Make a new key, encrypted where a passphrase is given. Raises KeyExists."""
        hidden = _hide(passphrase)
        del passphrase  # a traceback with locals must not show it
        self._refuse_existing(name)
        return self._add(name, PrivateKey.generate(), hidden)

    def add(self, name: str, key: PrivateKey, passphrase: str | None = None) -> KeyInfo:
        """Keep a key that was made elsewhere. Raises KeyExists."""
        hidden = _hide(passphrase)
        del passphrase  # a traceback with locals must not show it
        return self._add(name, key, hidden)

    def _add(self, name: str, key: PrivateKey, passphrase: Secret[str] | None) -> KeyInfo:
        path = self._path(name)
        self._refuse_existing(name)
        with self._os_errors_explained(path):
            self._make_directory()
            write_new(path, self._document(name, key, now_text(), passphrase))
        return self.info(name)

    def load(self, name: str, passphrase: Callable[[], str] | None = None) -> PrivateKey:
        """Return the private key. `passphrase` is called only where the file is encrypted.

        Raises KeyNotFound, WrongPassphrase, or KeystoreError, also for a file or directory that
        other users of the machine have access to.
        """
        self._require_private(name)
        found = self._read(name)
        if found.key is not None:
            return found.key
        if passphrase is None:
            raise KeystoreError(
                _("key '{name}' is encrypted, and no passphrase was given").format(name=name),
                advice=_("Use --passphrase-file, or CPC_PASSPHRASE."),
            )
        hidden = Secret(passphrase())
        opened = found.decrypt(hidden)
        if not isinstance(opened, PrivateKey) and opened.kind == "passphrase":
            # Until 0.1 a passphrase file's byte order mark was a part of the passphrase.
            marked = found.decrypt(Secret("\ufeff" + hidden.reveal()))
            opened = marked if isinstance(marked, PrivateKey) else opened
        if isinstance(opened, PrivateKey):
            return opened
        raise self._error(name, opened)

    def encrypt(self, name: str, passphrase: str) -> KeyInfo:
        """Replace a key in the clear by its encrypted form, once that was decrypted again.

        The old file's bytes are overwritten as well as can be: copies that a file system, a
        snapshot or a backup keeps are out of reach.
        """
        hidden = Secret(passphrase)
        del passphrase
        path = self._path(name)
        found = self._read(name)
        if found.key is None:
            raise KeystoreError(_("key '{name}' is encrypted already").format(name=name))
        if path.is_symlink():
            raise KeystoreError(
                _("key '{name}' is a symbolic link: its file is not replaced").format(name=name),
                advice=_(
                    "Encrypt the key where its file is made, or import it under another name."
                ),
            )
        with self._os_errors_explained(path), path.open("r+b") as old:
            document = self._document(name, found.key, found.created_at or now_text(), hidden)
            replace_whole(path, document)
            blank(old.fileno())
        return self.info(name)

    def _require_private(self, name: str) -> None:
        path = self._path(name)
        with self._os_errors_explained(path):
            exposures = list(self._exposures(path))
        for reason, advice in exposures:
            raise KeystoreError(
                _("key '{name}' is not used: {reason}").format(name=name, reason=reason),
                advice=advice,
            )

    def _document(
        self, name: str, key: PrivateKey, created_at: str, passphrase: Secret[str] | None
    ) -> Secret[bytes]:
        if passphrase is None:
            return plaintext_document(name, key, created_at)
        if not passphrase.reveal():
            raise KeystoreError(_("the passphrase is empty"))
        return encrypted_document(name, key, created_at, passphrase, self._cost)

    def _path(self, name: str) -> Path:
        if _NAME.fullmatch(name) is None:
            raise KeystoreError(
                _(
                    "a key's name has 1 to 64 letters, digits, dots, hyphens and underscores,"
                    " and begins with a letter or digit"
                )
            )
        return self.directory / f"{name}.json"

    def _refuse_existing(self, name: str) -> None:
        if os.path.lexists(self._path(name)):
            raise _exists(name)

    def _entry(self, name: str) -> KeyInfo:
        try:
            return self.info(name)
        except KeystoreError as error:
            path = str(self._path(name))
            return KeyInfo(name, "", "", "", encrypted=False, path=path, warnings=(str(error),))

    def _read(self, name: str) -> KeyFile:
        path = self._path(name)
        with self._os_errors_explained(path):
            found = _parse_file(path)
        if isinstance(found, KeyFileProblem):
            raise self._error(name, found)
        return found

    def _error(self, name: str, problem: KeyFileProblem) -> KeystoreError:
        if problem.kind == "passphrase":
            return WrongPassphrase(
                _("key '{name}' was not opened: {reason}").format(name=name, reason=problem.reason)
            )
        return KeystoreError(
            _("the key file {path} cannot be used: {reason}").format(
                path=self._path(name), reason=problem.reason
            ),
            advice=_(
                "Keep the file: the key may be all in it. Restore it from a backup; another key goes"
                " under another name."
            ),
        )

    def _advice_for_absent(self, name: str) -> str:
        with contextlib.suppress(KeystoreError):
            for near in difflib.get_close_matches(name, self.names(), 1):
                return _("Did you mean {name}?").format(name=near)
        return _("Make it: cpc-engine keys add {stem}").format(stem=name)

    @contextlib.contextmanager
    def _os_errors_explained(self, path: Path) -> Iterator[None]:
        """Raise the file system's errors as KeystoreErrors about this key."""
        try:
            yield
        except FileNotFoundError:
            raise KeyNotFound(
                _("there is no key '{stem}' in {directory}").format(
                    stem=path.stem, directory=self.directory
                ),
                advice=self._advice_for_absent(path.stem),
            ) from None
        except FileExistsError:
            raise _exists(path.stem) from None
        except OSError as error:
            reason, advice = error.strerror or type(error).__name__, None
            if error.errno == errno.ELOOP:
                reason = _("it is a symbolic link that leads out of the key directory")
                advice = _(
                    "Put the file itself there, or name the directory that it is in with --keys-dir"
                    " or CPC_KEYS."
                )
            raise KeystoreError(
                _("the key file {path} cannot be used: {reason}").format(path=path, reason=reason),
                advice=advice,
            ) from None

    def _exposures(self, path: Path) -> Iterator[tuple[str, str]]:
        """Why the key is not used as it is, and what to do. Raises OSError."""
        if reason := exposure_of(followed(path).lstat(), path):
            yield reason, advice_for(path)
        if others_may_write(self.directory):
            reason = _("other users may put keys into {directory}")
            advice = _("Make it yours alone: chmod 700 {directory}")
            yield reason.format(directory=self.directory), advice.format(directory=self.directory)

    def _make_directory(self) -> None:
        self.directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            self.directory.mkdir(mode=0o700)


def _hide(passphrase: str | None) -> Secret[str] | None:
    return None if passphrase is None else Secret(passphrase)


def _directory(given: Path | None) -> Path:
    named = given or os.environ.get(ENVIRONMENT) or Path("~/.computechain/keys")
    try:
        return Path(named).expanduser()
    except RuntimeError:
        raise KeystoreError(
            _("the home directory is not known, so neither is the key directory"),
            advice=_("Name it with --keys-dir or CPC_KEYS."),
        ) from None


def _exists(name: str) -> KeyExists:
    return KeyExists(
        _("there is a key '{name}' already").format(name=name),
        advice=_("Choose another name, or move that file away."),
    )


def _parse_file(path: Path) -> KeyFile | KeyFileProblem:
    # O_NONBLOCK: a FIFO in place of the file must not hold us before its type is known.
    descriptor = os.open(followed(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return KeyFileProblem("broken", _("it is not a regular file"))
        raw = file.read(LARGEST_FILE + 1)
    if len(raw) > LARGEST_FILE:
        return KeyFileProblem("broken", _("it is too large for a key file"))
    return parse(raw)
