"""The content of a key file, in plain text (as cpc-cli writes it) or encrypted.

    {"name", "address", "public_key", "private_key", "created_at"}
    {"name", "address", "public_key", "created_at", "crypto": {...}}

`crypto` holds the 32 bytes of the private key under AES-256-GCM; its key comes from the passphrase
(UTF-8 of the NFC form) through scrypt, and address and public key are authenticated with it. This
module handles bytes and values only; `keystore` has the directory.

What goes wrong with a file is returned as a `KeyFileProblem`, not raised: an exception would carry the
frames that hold the secret, and JSONDecodeError even the whole text, into a traceback.

created_at: ISO-8601 in UTC, as cpc-cli writes it; a number (Unix seconds) or anything else that is
short is read, too, since nothing depends on it.
"""

import hashlib
import json
import os
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from gettext import gettext as _
from typing import Any, Literal, NoReturn

from Crypto.Cipher import AES

from node_client.address import address_from_public_key
from node_client.errors import InvalidKey, KeystoreError
from node_client.keys import PrivateKey
from node_client.secret import Secret

LARGEST_FILE = 16_384
"""Bytes; a key file has about 500, and cpc-cli reads no more than this either."""

MOST_MEMORY = 256 * 2**20
"""Bytes that a file may make scrypt use; ours take 128 MiB."""

MOST_WORK = 2**25
"""Largest n * r * p; ours are 2^20, a third of a second."""

_CIPHER = "aes-256-gcm"


@dataclass(frozen=True, slots=True)
class ScryptCost:
    """Parameters of scrypt: memory is 128 * n * r bytes."""

    n: int = 2**17
    r: int = 8
    p: int = 1

    def is_acceptable(self) -> bool:
        """Whether the parameters are valid, within MOST_MEMORY and MOST_WORK."""
        positive = self.n > 1 and self.n & (self.n - 1) == 0 and self.r > 0 and self.p > 0
        return (
            positive
            and 128 * self.n * self.r <= MOST_MEMORY
            and self.n * self.r * self.p <= MOST_WORK
            and 128 * self.r * self.p <= MOST_MEMORY
        )


@dataclass(frozen=True, slots=True)
class KeyFileProblem:
    """Why a key file cannot be used. The reason quotes nothing of the file."""

    kind: Literal["broken", "passphrase"]
    reason: str


@dataclass(frozen=True, slots=True)
class EncryptedKey:
    """The `crypto` part of an encrypted file."""

    cost: ScryptCost
    salt: bytes
    nonce: bytes
    ciphertext: bytes
    tag: bytes


@dataclass(frozen=True, slots=True, repr=False)
class KeyFile:
    """A parsed key file. Exactly one of `key` and `encrypted_key` is there."""

    name: str
    address: str
    public_key: str
    created_at: str
    key: PrivateKey | None = None
    encrypted_key: EncryptedKey | None = None

    def decrypt(self, passphrase: Secret[str]) -> PrivateKey | KeyFileProblem:
        """The key in the clear, or through the passphrase."""
        if self.key is not None:
            return self.key
        assert self.encrypted_key is not None
        box = self.encrypted_key
        associated_data = _associated_data(self.address, self.public_key)
        cipher = _cipher(passphrase, box.cost, box.salt, box.nonce, associated_data)
        try:
            secret = cipher.decrypt_and_verify(box.ciphertext, box.tag)
        except ValueError:
            return KeyFileProblem(
                "passphrase", _("the passphrase is wrong, or the file was changed")
            )
        key = _key_from(secret)
        if key is None or key.public_key != self.public_key:
            return KeyFileProblem("broken", _("its private key does not belong to its address"))
        return key

    def __repr__(self) -> str:
        return f"KeyFile({self.address})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key file cannot be pickled")


def plaintext_document(name: str, key: PrivateKey, created_at: str) -> Secret[bytes]:
    """A file's bytes, with the private key in the clear."""
    return _document(
        {
            "name": name,
            "address": key.address,
            "public_key": key.public_key,
            "private_key": key.secret_hex(),
            "created_at": created_at,
        }
    )


def encrypted_document(
    name: str, key: PrivateKey, created_at: str, passphrase: Secret[str], cost: ScryptCost
) -> Secret[bytes]:
    """A file's bytes, with the private key encrypted; decrypted once again before they are given.

    Takes a third of a second and 128 MiB, twice, with the usual cost.
    """
    salt, nonce = os.urandom(32), os.urandom(12)
    associated_data = _associated_data(key.address, key.public_key)
    cipher = _cipher(passphrase, cost, salt, nonce, associated_data)
    ciphertext, tag = cipher.encrypt_and_digest(bytes.fromhex(key.secret_hex()))
    document = _document(
        {
            "name": name,
            "address": key.address,
            "public_key": key.public_key,
            "created_at": created_at,
            "crypto": {
                "kdf": "scrypt",
                "n": cost.n,
                "r": cost.r,
                "p": cost.p,
                "salt": salt.hex(),
                "cipher": _CIPHER,
                "nonce": nonce.hex(),
                "ciphertext": ciphertext.hex(),
                "tag": tag.hex(),
            },
        }
    )
    again = parse(document.reveal())
    opened = again.decrypt(passphrase) if isinstance(again, KeyFile) else again
    if not isinstance(opened, PrivateKey) or opened.public_key != key.public_key:
        raise KeystoreError(
            _("the encrypted key could not be decrypted again; nothing was written")
        )
    return document


def parse(raw: bytes) -> KeyFile | KeyFileProblem:
    """Read a file's bytes, and check that its parts belong together."""
    try:
        fields = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return KeyFileProblem("broken", _("it is not valid JSON"))
    if not isinstance(fields, dict):
        return KeyFileProblem("broken", _("it is not a JSON object"))
    name, address, public_key = (fields.get(part) for part in ("name", "address", "public_key"))
    if not (isinstance(name, str) and isinstance(address, str) and isinstance(public_key, str)):
        return KeyFileProblem("broken", _("name, address or public_key is missing"))
    if not _belongs(public_key, address):
        return KeyFileProblem("broken", _("its address does not belong to its public key"))
    created_at = _time_of(fields.get("created_at"))
    if "crypto" in fields:
        encrypted_key = _encrypted_key_of(fields["crypto"])
        if isinstance(encrypted_key, KeyFileProblem):
            return encrypted_key
        return KeyFile(name, address, public_key.lower(), created_at, encrypted_key=encrypted_key)
    key = _key_of(fields.get("private_key"))
    if key is None:
        return KeyFileProblem(
            "broken", _("its private_key is not a secp256k1 key of 64 hex digits")
        )
    if key.public_key != public_key.lower() or key.address != address:
        return KeyFileProblem("broken", _("its private key does not belong to its address"))
    return KeyFile(name, address, key.public_key, created_at, key=key)


def now_text() -> str:
    """Now, as `created_at` has it: ISO-8601 in UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _document(fields: dict[str, Any]) -> Secret[bytes]:
    return Secret(json.dumps(fields, indent=2).encode() + b"\n")


def _cipher(
    passphrase: Secret[str], cost: ScryptCost, salt: bytes, nonce: bytes, associated_data: bytes
) -> Any:
    secret = hashlib.scrypt(
        unicodedata.normalize("NFC", passphrase.reveal()).encode("utf-8", "surrogatepass"),
        salt=salt,
        n=cost.n,
        r=cost.r,
        p=cost.p,
        maxmem=2 * MOST_MEMORY,
        dklen=32,
    )
    cipher = AES.new(secret, AES.MODE_GCM, nonce=nonce, mac_len=16)
    cipher.update(associated_data)
    return cipher


def _associated_data(address: str, public_key: str) -> bytes:
    return f"cpc-engine key 1|{address}|{public_key}".encode()


def _belongs(public_key: str, address: str) -> bool:
    try:
        return address_from_public_key(public_key) == address
    except InvalidKey:
        return False


def _time_of(value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        except (ValueError, OverflowError, OSError):
            return ""
    if isinstance(value, str) and len(value) <= 64 and value.isprintable():
        return value
    return ""


def _key_of(value: Any) -> PrivateKey | None:
    try:
        return PrivateKey.from_hex(value) if isinstance(value, str) else None
    except InvalidKey:
        return None


def _key_from(secret: bytes) -> PrivateKey | None:
    try:
        return PrivateKey(secret)
    except InvalidKey:
        return None


def _encrypted_key_of(value: Any) -> EncryptedKey | KeyFileProblem:
    unknown = KeyFileProblem(
        "broken", _("its crypto part is of a kind that this version does not know")
    )
    if not isinstance(value, dict):
        return unknown
    if (value.get("kdf"), value.get("cipher")) != ("scrypt", _CIPHER):
        return unknown
    n, r, p = (value.get(part) for part in ("n", "r", "p"))
    if type(n) is not int or type(r) is not int or type(p) is not int:
        return unknown
    cost = ScryptCost(n, r, p)
    if not cost.is_acceptable():
        return KeyFileProblem(
            "broken", _("its scrypt parameters are invalid, or ask for too much memory")
        )
    parts = [
        _bytes_of(value.get(part), size)
        for part, size in (("salt", 32), ("nonce", 12), ("ciphertext", 32), ("tag", 16))
    ]
    salt, nonce, ciphertext, tag = parts
    if salt is None or nonce is None or ciphertext is None or tag is None:
        return unknown
    return EncryptedKey(cost, salt, nonce, ciphertext, tag)


def _bytes_of(value: Any, size: int) -> bytes | None:
    if not isinstance(value, str) or re.fullmatch(r"[0-9a-f]*", value, re.ASCII) is None:
        return None
    return bytes.fromhex(value) if len(value) == 2 * size else None
