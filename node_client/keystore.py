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
import errno
import os
import re
import secrets
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
from node_client.private_file import advice_for, exposure_of
from node_client.secret import Secret

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
        return KeyInfo(
            name,
            found.address,
            found.public_key,
            found.created_at,
            encrypted=found.encrypted_key is not None,
            path=str(path),
            warnings=tuple(self._warnings(path)),
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
            _write_new(path, self._document(name, key, now_text(), passphrase))
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
        opened = found.decrypt(Secret(passphrase()))
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
        with self._os_errors_explained(path), path.open("r+b") as old:
            document = self._document(name, found.key, found.created_at or now_text(), hidden)
            _replace(path, document)
            _blank(old.fileno())
        return self.info(name)

    def _require_private(self, name: str) -> None:
        path = self._path(name)
        with self._os_errors_explained(path):
            reason = exposure_of(path.lstat(), path)
        if reason:
            raise KeystoreError(
                _("key '{name}' is not used: {reason}").format(name=name, reason=reason),
                advice=advice_for(path),
            )
        if _mode(self.directory) & 0o022:
            raise KeystoreError(
                _("key '{name}' is not used: other users may put keys into {directory}").format(
                    name=name, directory=self.directory
                ),
                advice=_("Make it yours alone: chmod 700 {directory}").format(
                    directory=self.directory
                ),
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
            advice=_("Restore it from a backup, or make another key."),
        )

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
                advice=_("Make it: cpc-engine keys add {stem}").format(stem=path.stem),
            ) from None
        except FileExistsError:
            raise _exists(path.stem) from None
        except OSError as error:
            if error.errno == errno.ELOOP:
                reason = _("it is a symbolic link")
            else:
                reason = error.strerror or type(error).__name__
            raise KeystoreError(
                _("the key file {path} cannot be used: {reason}").format(path=path, reason=reason)
            ) from None

    def _warnings(self, path: Path) -> Iterator[str]:
        if _mode(path) & 0o077:
            yield _("Other users of this machine may read {path}: chmod 600 {path}").format(
                path=path
            )
        if _mode(self.directory) & 0o022:
            yield (
                _(
                    "Other users of this machine may put keys into {directory}: chmod 700"
                    " {directory}"
                ).format(directory=self.directory)
            )

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


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0


def _parse_file(path: Path) -> KeyFile | KeyFileProblem:
    # O_NONBLOCK: a FIFO in place of the file must not hold us before its type is known.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return KeyFileProblem("broken", _("it is not a regular file"))
        raw = file.read(LARGEST_FILE + 1)
    if len(raw) > LARGEST_FILE:
        return KeyFileProblem("broken", _("it is too large for a key file"))
    return parse(raw)


def _write_new(path: Path, document: Secret[bytes]) -> None:
    """Write a file that is not there yet. Raises FileExistsError."""
    with _temporary(path, document) as temporary:
        try:
            os.link(temporary, path, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError:
            # A file system without hard links: take the name first, then move the file onto it.
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            temporary.replace(path)
    _sync_directory(path.parent)


def _replace(path: Path, document: Secret[bytes]) -> None:
    with _temporary(path, document) as temporary:
        temporary.replace(path)
    _sync_directory(path.parent)


@contextlib.contextmanager
def _temporary(path: Path, document: Secret[bytes]) -> Iterator[Path]:
    """A synced file in the same directory that holds `document`; gone afterwards."""
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(document.reveal())
            file.flush()
            os.fsync(file.fileno())
        if temporary.read_bytes() != document.reveal():
            raise OSError(errno.EIO, _("the file system returned other bytes than were written"))
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _blank(descriptor: int) -> None:
    """Overwrite an unlinked file's bytes, as well as can be."""
    with contextlib.suppress(OSError):
        os.pwrite(descriptor, bytes(os.fstat(descriptor).st_size), 0)
        os.fsync(descriptor)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
