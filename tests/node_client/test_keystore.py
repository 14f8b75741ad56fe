"""Key files: shared with cpc-cli, written whole, encrypted on demand, and never told."""

import json
import os
import pickle
import stat
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from Crypto.Cipher import AES

from node_client.errors import (
    InvalidKey,
    KeyExists,
    KeyNotFound,
    KeystoreError,
    NodeClientError,
    WrongPassphrase,
)
from node_client.keyfile import MOST_MEMORY, ScryptCost
from node_client.keys import PrivateKey
from node_client.keystore import Keystore
from node_client.passphrase import passphrase_source
from node_client.secret import Secret
from tests.processes import PATIENCE_SECONDS

PASSPHRASE = "correct horse battery ё"
CHEAP = ScryptCost(n=2**4)


@pytest.fixture
def store(tmp_path: Path) -> Keystore:
    return Keystore(tmp_path / "keys", cost=CHEAP)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def files(store: Keystore) -> list[str]:
    return sorted(path.name for path in store.directory.iterdir())


def full_traceback(error: BaseException) -> str:
    """Everything that a logger which shows locals could print, of the whole chain."""
    told = ""
    waiting: list[BaseException | None] = [error]
    while waiting:
        this = waiting.pop()
        if this is None:
            continue
        shown = traceback.TracebackException.from_exception(this, capture_locals=True)
        # The frame of the test itself, which knows the secret, is not the product's.
        shown.stack = traceback.StackSummary.from_list(
            [frame for frame in shown.stack if "test_keystore" not in frame.filename]
        )
        told += "".join(shown.format()) + repr(this) + repr(this.args)
        waiting += [this.__cause__, this.__context__]
    return told


class TestSharingWithCpcCli:
    def test_a_file_is_as_cpc_cli_has_it(self, store: Keystore, key: PrivateKey) -> None:
        info = store.add("worker", key)
        path = store.directory / "worker.json"
        fields = json.loads(path.read_text())
        assert list(fields) == ["name", "address", "public_key", "private_key", "created_at"]
        assert fields["private_key"] == key.secret_hex()
        assert fields["address"] == key.address == info.address
        assert fields["created_at"].endswith("Z")
        assert mode(path) == 0o600
        assert mode(store.directory) == 0o700
        assert not info.warnings
        assert not info.encrypted

    @pytest.mark.parametrize("created_at", [1_767_225_600, 1_767_225_600.5, "2026-01-01", None])
    def test_reads_what_others_wrote(
        self, store: Keystore, vectors: Any, created_at: object
    ) -> None:
        store.directory.mkdir(parents=True)
        for number, entry in enumerate(vectors("keys")):
            fields = {
                "name": "theirs",
                "address": entry["address"],
                "public_key": entry["public_key"],
                "private_key": entry["private_key"],
                "created_at": created_at,
                "more": [1],
            }
            (store.directory / f"k{number}.json").write_text(json.dumps(fields))
            assert store.load(f"k{number}").secret_hex() == entry["private_key"]
        infos = store.entries()
        assert [info.name for info in infos] == [f"k{n}" for n in range(len(infos))]
        assert infos[0].created_at.startswith("2026-01-01" if created_at else "")

    def test_the_directory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.delenv("CPC_KEYS", raising=False)
        assert Keystore().directory == tmp_path / ".computechain/keys"
        monkeypatch.setenv("CPC_KEYS", "~/elsewhere")
        assert Keystore().directory == tmp_path / "elsewhere"
        assert Keystore(tmp_path / "here").directory == tmp_path / "here"

    def test_no_directory_is_no_keys(self, store: Keystore) -> None:
        assert store.names() == []
        assert store.entries() == []
        assert not store.directory.exists()
        with pytest.raises(KeyNotFound) as caught:
            store.load("worker")
        assert "keys add worker" in caught.value.advice


class TestWriting:
    def test_an_existing_key_is_never_overwritten(self, store: Keystore, key: PrivateKey) -> None:
        store.create("worker")
        before = (store.directory / "worker.json").read_bytes()
        for attempt in (lambda: store.create("worker"), lambda: store.add("worker", key)):
            with pytest.raises(KeyExists):
                attempt()
        assert (store.directory / "worker.json").read_bytes() == before
        assert files(store) == ["worker.json"]

    def test_nor_one_that_came_in_between(
        self, store: Keystore, key: PrivateKey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Keystore, "_refuse_existing", lambda *_: None)
        store.create("worker")
        before = (store.directory / "worker.json").read_bytes()
        with pytest.raises(KeyExists):
            store.add("worker", key)
        assert (store.directory / "worker.json").read_bytes() == before
        assert files(store) == ["worker.json"]

    def test_a_dangling_link_is_not_followed(self, store: Keystore, tmp_path: Path) -> None:
        store.directory.mkdir()
        (store.directory / "worker.json").symlink_to(tmp_path / "target")
        with pytest.raises(KeyExists):
            store.create("worker")
        assert not (tmp_path / "target").exists()

    def test_without_hard_links(
        self, store: Keystore, key: PrivateKey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_link(*_: object, **__: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", no_link)
        store.add("worker", key)
        assert store.load("worker").address == key.address
        assert mode(store.directory / "worker.json") == 0o600
        with pytest.raises(KeyExists):
            store.add("worker", key)

    def test_a_failing_disk_leaves_nothing_and_tells_nothing(
        self, store: Keystore, key: PrivateKey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(KeystoreError, match="No space left") as caught:
            store.add("worker", key, PASSPHRASE)
        assert files(store) == []
        told = full_traceback(caught.value)
        assert key.secret_hex() not in told
        assert PASSPHRASE not in told
        with pytest.raises(KeystoreError) as caught:
            store.add("worker", key)
        assert key.secret_hex() not in full_traceback(caught.value)

    @pytest.mark.parametrize(
        "name", ["", ".", "..", "../x", "a/b", "/etc/x", ".hidden", "a\0b", "ключ", "-x", "x" * 65]
    )
    def test_names_take_no_path(self, name: str, store: Keystore) -> None:
        calls: list[Callable[[], object]] = [
            lambda: store.create(name),
            lambda: store.load(name),
            lambda: store.info(name),
            lambda: store.encrypt(name, PASSPHRASE),
        ]
        for call in calls:
            with pytest.raises(KeystoreError, match="name"):
                call()


class TestEncryption:
    def test_round_trip(self, store: Keystore, key: PrivateKey) -> None:
        info = store.add("worker", key, PASSPHRASE)
        assert info.encrypted
        text = (store.directory / "worker.json").read_text()
        fields = json.loads(text)
        assert list(fields) == ["name", "address", "public_key", "created_at", "crypto"]
        assert key.secret_hex() not in text
        assert store.load("worker", lambda: PASSPHRASE).secret_hex() == key.secret_hex()

    def test_the_usual_cost(self, tmp_path: Path, key: PrivateKey) -> None:
        store = Keystore(tmp_path)
        store.add("worker", key, PASSPHRASE)
        crypto = json.loads((tmp_path / "worker.json").read_text())["crypto"]
        assert (crypto["n"], crypto["r"], crypto["p"]) == (2**17, 8, 1)
        assert store.load("worker", lambda: PASSPHRASE).address == key.address

    def test_a_wrong_passphrase(self, store: Keystore, key: PrivateKey) -> None:
        store.add("worker", key, PASSPHRASE)
        with pytest.raises(WrongPassphrase) as caught:
            store.load("worker", lambda: "wrong horse")
        told = full_traceback(caught.value)
        assert "wrong horse" not in told
        assert key.secret_hex() not in told

    def test_no_passphrase(self, store: Keystore, key: PrivateKey) -> None:
        store.add("worker", key, PASSPHRASE)
        with pytest.raises(KeystoreError, match="encrypted") as caught:
            store.load("worker")
        assert "--passphrase-file" in caught.value.advice
        with pytest.raises(KeystoreError, match="empty"):
            store.add("other", key, "")

    def test_a_clear_key_asks_for_none(self, store: Keystore, key: PrivateKey) -> None:
        store.add("worker", key)

        def ask() -> str:
            raise AssertionError

        assert store.load("worker", ask).address == key.address

    def test_the_same_passphrase_typed_on_another_keyboard(
        self, store: Keystore, key: PrivateKey
    ) -> None:
        store.add("worker", key, "caf\u00e9")
        assert store.load("worker", lambda: "cafe\u0301").address == key.address

    def test_encrypting_a_clear_file(
        self, store: Keystore, key: PrivateKey, tmp_path: Path
    ) -> None:
        store.add("worker", key)
        path = store.directory / "worker.json"
        os.link(path, tmp_path / "old")
        before = json.loads(path.read_text())
        info = store.encrypt("worker", PASSPHRASE)
        assert info.encrypted
        assert info.created_at == before["created_at"]
        assert mode(path) == 0o600
        assert set((tmp_path / "old").read_bytes()) == {0}
        assert store.load("worker", lambda: PASSPHRASE).secret_hex() == key.secret_hex()
        with pytest.raises(KeystoreError, match="already"):
            store.encrypt("worker", PASSPHRASE)

    def test_the_clear_file_stays_where_decrypting_fails(
        self, store: Keystore, key: PrivateKey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.add("worker", key)
        before = (store.directory / "worker.json").read_bytes()
        broken = AES.new

        def flip(*args: Any, **kwargs: Any) -> Any:
            return broken(os.urandom(32), *args[1:], **kwargs)

        monkeypatch.setattr(AES, "new", flip)
        with pytest.raises(KeystoreError, match="nothing was written") as caught:
            store.encrypt("worker", PASSPHRASE)
        assert (store.directory / "worker.json").read_bytes() == before
        told = full_traceback(caught.value)
        assert PASSPHRASE not in told
        assert key.secret_hex() not in told

    @pytest.mark.parametrize("part", ["salt", "nonce", "ciphertext", "tag"])
    def test_every_part_is_authenticated(self, part: str, store: Keystore, key: PrivateKey) -> None:
        store.add("worker", key, PASSPHRASE)
        path = store.directory / "worker.json"
        fields = json.loads(path.read_text())
        value = fields["crypto"][part]
        fields["crypto"][part] = ("0" if value[0] != "0" else "1") + value[1:]
        path.write_text(json.dumps(fields))
        with pytest.raises(WrongPassphrase):
            store.load("worker", lambda: PASSPHRASE)

    def test_address_and_public_key_too(self, store: Keystore, keys: list[PrivateKey]) -> None:
        store.add("worker", keys[0], PASSPHRASE)
        path = store.directory / "worker.json"
        fields = json.loads(path.read_text())
        fields |= {"address": keys[1].address, "public_key": keys[1].public_key}
        path.write_text(json.dumps(fields))
        with pytest.raises(WrongPassphrase):
            store.load("worker", lambda: PASSPHRASE)

    @pytest.mark.parametrize(
        "change",
        [
            {"n": 2**30},
            {"r": 2**20},
            {"p": 2**20},
            {"n": 2**21, "r": 1, "p": 17},
            {"n": 100},
            {"n": 1},
            {"n": 0},
            {"n": -8},
            {"r": 0},
            {"p": 0},
            {"n": True},
            {"n": "16"},
            {"n": 2.0},
            {"kdf": "argon2"},
            {"cipher": "rot13"},
            {"salt": "00"},
            {"tag": None},
            {"ciphertext": "zz" * 32},
        ],
    )
    def test_hostile_parameters(
        self, change: dict[str, object], store: Keystore, key: PrivateKey
    ) -> None:
        store.add("worker", key, PASSPHRASE)
        path = store.directory / "worker.json"
        fields = json.loads(path.read_text())
        fields["crypto"] |= change
        path.write_text(json.dumps(fields))
        with pytest.raises(KeystoreError, match=r"crypto|scrypt"):
            store.load("worker", lambda: PASSPHRASE)

    def test_the_bound_lets_ours_through(self) -> None:
        assert ScryptCost().is_acceptable()
        assert 128 * ScryptCost().n * ScryptCost().r <= MOST_MEMORY


class TestBrokenFiles:
    def write(self, store: Keystore, content: bytes) -> Path:
        store.directory.mkdir(parents=True, exist_ok=True)
        path = store.directory / "worker.json"
        path.write_bytes(content)
        path.chmod(0o600)
        return path

    def good(self, key: PrivateKey) -> dict[str, Any]:
        return {
            "name": "worker",
            "address": key.address,
            "public_key": key.public_key,
            "private_key": key.secret_hex(),
            "created_at": "",
        }

    def refused(self, store: Keystore, secret: str) -> str:
        calls: list[Callable[[], object]] = [
            lambda: store.load("worker"),
            lambda: store.info("worker"),
            lambda: store.encrypt("worker", PASSPHRASE),
        ]
        for call in calls:
            with pytest.raises(KeystoreError) as caught:
                call()
            told = full_traceback(caught.value) + caught.value.advice
            assert secret not in told
            assert "\n" not in str(caught.value)
        entry = store.entries()[0]
        assert entry.warnings
        assert entry.address == ""
        return str(caught.value)

    @pytest.mark.parametrize(
        "change",
        [
            {"address": "cpc1s8lysj5eghas7fgarxmta5g5d7223d7pgr7tdw"},
            {"public_key": "02ab077a5f6366351396537c5659cdf545cde855dc43382875f710233b920d5853"},
            {
                "address": "cpc1s8lysj5eghas7fgarxmta5g5d7223d7pgr7tdw",
                "public_key": "02ab077a5f6366351396537c5659cdf545cde855dc43382875f710233b920d5853",
            },
            {"public_key": "zz"},
            {"private_key": None},
            {"private_key": 5},
            {"name": None},
            {"address": 1},
        ],
    )
    def test_parts_that_do_not_belong_together(
        self, change: dict[str, object], store: Keystore, key: PrivateKey
    ) -> None:
        self.write(store, json.dumps(self.good(key) | change).encode())
        self.refused(store, key.secret_hex())

    @pytest.mark.parametrize(
        "slip", ["0x{}", "{}0", " {}", "{:.62}", "{:.63}g", "ff" * 32, "00" * 32]
    )
    def test_a_private_key_with_a_slip(self, slip: str, store: Keystore, key: PrivateKey) -> None:
        wrong = slip.format(key.secret_hex())
        self.write(store, json.dumps(self.good(key) | {"private_key": wrong}).encode())
        self.refused(store, wrong)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"null",
            b"[]",
            b"\xff\xfe",
            b"[" * 10_000,
            b'{"private_key": "%s", }',
            b'{"private_key": "%s"',
            b'{"private_key": "%s"}' + b" " * 20_000,
        ],
    )
    def test_no_key_file_at_all(self, content: bytes, store: Keystore, key: PrivateKey) -> None:
        secret = key.secret_hex()
        self.write(store, content.replace(b"%s", secret.encode()))
        self.refused(store, secret)

    def test_a_directory_a_link_a_fifo_and_an_unreadable_file(
        self, store: Keystore, key: PrivateKey, tmp_path: Path
    ) -> None:
        path = self.write(store, b"")
        path.unlink()
        path.mkdir()
        self.refused(store, key.secret_hex())
        path.rmdir()
        (tmp_path / "real").write_text(json.dumps(self.good(key)))
        path.symlink_to(tmp_path / "real")
        assert "symbolic link" in self.refused(store, key.secret_hex())
        path.unlink()
        os.mkfifo(path)
        assert "regular file" in self.refused(store, key.secret_hex())
        path.unlink()

    def test_links_are_followed_inside_the_key_directory_alone(
        self, store: Keystore, key: PrivateKey, tmp_path: Path
    ) -> None:
        """As Kubernetes mounts a secret: worker.json -> ..data/worker.json, ..data -> ..2026_11."""
        inner = store.directory / "..2026_11"
        inner.mkdir(parents=True, mode=0o700)
        real = inner / "worker.json"
        real.write_text(json.dumps(self.good(key)))
        real.chmod(0o400)
        (store.directory / "..data").symlink_to("..2026_11")
        (store.directory / "worker.json").symlink_to("..data/worker.json")
        assert store.names() == ["worker"]
        assert store.load("worker").address == key.address
        assert store.info("worker").warnings == ()
        with pytest.raises(KeystoreError, match="symbolic link"):
            store.encrypt("worker", "words")
        assert (store.directory / "worker.json").is_symlink()
        real.chmod(0o444)
        with pytest.raises(KeystoreError, match="may read"):
            store.load("worker")
        real.chmod(0o400)
        inner.chmod(0o777)
        with pytest.raises(KeystoreError, match="leads out"):
            store.load("worker")
        inner.chmod(0o700)
        outside = tmp_path / "outside"
        inner.rename(outside)
        (store.directory / "..data").unlink()
        (store.directory / "..data").symlink_to(outside)
        with pytest.raises(KeystoreError, match="leads out") as refused:
            store.load("worker")
        assert "CPC_KEYS" in refused.value.advice

    def test_a_byte_order_mark_is_no_fault_and_advice_never_risks_a_key(
        self, store: Keystore, key: PrivateKey
    ) -> None:
        self.write(store, b"\xef\xbb\xbf" + json.dumps(self.good(key)).encode())
        assert store.load("worker").address == key.address
        self.write(store, json.dumps(self.good(key)).encode("utf-16"))
        with pytest.raises(KeystoreError, match="not valid JSON") as refused:
            store.load("worker")
        assert "Keep the file" in refused.value.advice

    def test_one_broken_file_does_not_hide_the_others(
        self, store: Keystore, key: PrivateKey
    ) -> None:
        self.write(store, b"{")
        store.add("zebra", key)
        (store.directory / "notes.txt").write_text("")
        (store.directory / ".worker.json.tmp").write_text("")
        broken, fine = store.entries()
        assert broken.warnings
        assert fine.address == key.address

    def test_open_modes_are_told_and_refused(self, store: Keystore, key: PrivateKey) -> None:
        store.add("worker", key)
        path = store.directory / "worker.json"
        path.chmod(0o640)
        store.directory.chmod(0o777)
        first, second = store.info("worker").warnings
        assert f"chmod 600 {path}" in first
        assert f"chmod 700 {store.directory}" in second
        with pytest.raises(KeystoreError, match="may read") as refused:
            store.load("worker")
        assert f"chmod 600 {path}" in refused.value.advice
        path.chmod(0o600)
        with pytest.raises(KeystoreError, match="may put keys") as refused:
            store.load("worker")
        assert f"chmod 700 {store.directory}" in refused.value.advice
        store.directory.chmod(0o700)
        assert store.load("worker").address == key.address

    def test_a_file_of_another_user_is_refused(self, store: Keystore, key: PrivateKey) -> None:
        if os.getuid() != 0:
            pytest.skip("only root can give a file away")
        store.add("worker", key)
        os.chown(store.directory / "worker.json", 12345, 12345)
        with pytest.raises(KeystoreError, match="another user"):
            store.load("worker")

    @pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o666])
    def test_a_passphrase_file_that_others_may_read_is_refused(
        self, tmp_path: Path, mode: int
    ) -> None:
        file = tmp_path / "words"
        file.write_text("correct horse")
        file.chmod(mode)
        with pytest.raises(KeystoreError, match="may read") as refused:
            passphrase_source(file)()
        assert f"chmod 600 {file}" in refused.value.advice


class TestSecrecy:
    def test_these_tests_would_find_a_leak(self, key: PrivateKey) -> None:
        with pytest.raises(ValueError, match="not enough") as caught:
            exec(
                compile("def leak(secret): a, b = ()\nleak(held)", "product.py", "exec"),
                {"held": key.secret_hex()},
            )
        assert key.secret_hex() in full_traceback(caught.value)

    def test_repr_pickle_and_json(self, store: Keystore, key: PrivateKey) -> None:
        for thing in (key, Secret(key.secret_hex())):
            assert key.secret_hex() not in repr(thing) + str(thing) + f"{[thing]}"
            with pytest.raises(TypeError):
                pickle.dumps(thing)
            with pytest.raises(TypeError):
                vars(thing)
        info = store.add("worker", key)
        assert key.secret_hex() not in repr(info) + json.dumps(info.to_json())

    @pytest.mark.parametrize("text", ["{}0", "0x{}", "{:.63}g", "{:.62}", "ff" * 32])
    def test_a_mistyped_key_is_not_repeated(self, text: str, key: PrivateKey) -> None:
        wrong = text.format(key.secret_hex())
        with pytest.raises(InvalidKey) as caught:
            PrivateKey.from_hex(wrong)
        assert wrong not in full_traceback(caught.value)
        raw = bytes([255]) * 32
        with pytest.raises(InvalidKey) as caught:
            PrivateKey(raw)
        assert repr(raw) not in full_traceback(caught.value)

    def test_errors_while_signing(self, key: PrivateKey, draft: Any) -> None:
        calls: list[Callable[[], object]] = [
            lambda: key.sign_digest(b"short"),
            lambda: draft(from_address="cpc1x").signed_by(key),
        ]
        for call in calls:
            with pytest.raises((ValueError, NodeClientError)) as caught:
                call()
            assert key.secret_hex() not in full_traceback(caught.value)


class TestPassphrase:
    def run(self, code: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-c", code],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path.cwd())} | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            start_new_session=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )

    def test_no_child_inherits_it(self) -> None:
        done = self.run(
            "import subprocess, sys\n"
            "from node_client.passphrase import passphrase_source\n"
            "source = passphrase_source(None)\n"
            "child = [sys.executable, '-c', 'import os; print(\"CPC_PASSPHRASE\" in os.environ)']\n"
            "print(subprocess.check_output(child, text=True).strip(), source())",
            CPC_PASSPHRASE=PASSPHRASE,
        )
        assert done.stdout.strip() == f"False {PASSPHRASE}"

    def test_a_file_goes_before_the_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from node_client.passphrase import new_passphrase, passphrase_source

        file = tmp_path / "passphrase"
        file.write_text(f" {PASSPHRASE}\r\nsecond line\n")
        monkeypatch.setenv("CPC_PASSPHRASE", "other")
        assert passphrase_source(file)() == f" {PASSPHRASE}"
        assert "CPC_PASSPHRASE" not in os.environ
        assert new_passphrase(file) == f" {PASSPHRASE}"
        monkeypatch.setenv("CPC_PASSPHRASE", "other")
        assert new_passphrase(None) == "other"
        assert "CPC_PASSPHRASE" not in os.environ

    @pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xff\n", b"x" * 5000])
    def test_files_that_will_not_do(self, content: bytes, tmp_path: Path) -> None:
        from node_client.passphrase import passphrase_source

        file = tmp_path / "passphrase"
        file.write_bytes(content)
        with pytest.raises(KeystoreError, match="first line") as caught:
            passphrase_source(file)()
        assert "xxxx" not in full_traceback(caught.value)
        with pytest.raises(KeystoreError, match="No such file"):
            passphrase_source(tmp_path / "missing")()

    def test_a_byte_order_mark_is_no_part_of_it(self, tmp_path: Path, key: PrivateKey) -> None:
        file = tmp_path / "words"
        file.write_bytes(b"\xef\xbb\xbfcorrect horse\r\n")
        file.chmod(0o600)
        assert passphrase_source(file)() == "correct horse"
        store = Keystore(tmp_path / "keys", cost=CHEAP)
        store.add("worker", key, "correct horse")
        assert store.load("worker", passphrase_source(file)).address == key.address
        store.add("former", key, "\ufeffcorrect horse")  # as a version wrote that kept the mark
        assert store.load("former", passphrase_source(file)).address == key.address

    def test_without_a_terminal(self) -> None:
        done = self.run("from node_client.passphrase import passphrase_source as p; p(None)()")
        assert "KeystoreError: there is no terminal" in done.stderr

    def test_a_prompt_does_not_echo(self) -> None:
        import pty

        child, terminal = pty.fork()
        if child == 0:
            code = (
                "from node_client.passphrase import new_passphrase\n"
                "print(len(new_passphrase(None)))"
            )
            os.execv(sys.executable, [sys.executable, "-c", code])
        told = b""
        try:
            for _ in range(2):
                while not told.endswith((b": ",)):
                    told += os.read(terminal, 1000)
                os.write(terminal, b"open sesame\n")
                told += b"|"
            while b"11" not in told:
                told += os.read(terminal, 1000)
        finally:
            os.waitpid(child, 0)
            os.close(terminal)
        assert b"sesame" not in told

    def test_two_that_differ(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from node_client import passphrase

        typed = iter(["one thing", "another"])
        monkeypatch.setattr("getpass.getpass", lambda _: next(typed))
        with pytest.raises(KeystoreError, match="differ") as caught:
            passphrase.new_passphrase(None)
        assert "one thing" not in full_traceback(caught.value)
