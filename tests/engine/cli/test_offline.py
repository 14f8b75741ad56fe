"""Commands that need no node."""

import json
import os
import pty
import re
import signal
import subprocess
import sys

import psutil
import pytest

from tests.processes import ENGINE, PATIENCE_SECONDS, started, wait_until

ADDRESS = "cpc1ce0nn835fsmg45evmeefnpfufkv8shh6z9adsj"
HASH = "fb47ed7641c7535550259544c6858f8b298b4ca9856d2fc8151d66027fa9fc7c"


def vector(vectors, size):
    return next(v for v in vectors("matrix_mult_v1") if v["matrix_size"] == size)


def by_block(v):
    return (
        f"--block-hash {v['block_hash']} --address {v['worker_address']} --index {v['index']}"
        f" --size {v['matrix_size']} --iterations {v['iterations']}"
    )


def test_compute_gives_a_vector_and_verify_takes_it(cli, vectors):
    v = vector(vectors, 257)
    computed = cli(f"compute {by_block(v)} --openings {v['openings']} --device cpu --json")
    assert computed.code == 0
    result = computed.json()
    for field in ("task_id", "seed", "matrix_size", "iterations", "result_hash", "proof"):
        assert result[field] == v[field], field
    assert result["device"] == "cpu"
    assert result["seconds"] > 0
    parts = f"{by_block(v)} --result-hash {v['result_hash']} --proof {v['proof']} --sample 8"
    weak = cli(f"verify {parts}")
    assert weak.code == 0
    assert "WEAK: a proof had to open 8 of the leaves only, 16 are usual" in weak.out
    full = cli(f"verify {parts} --full")
    assert full.code == 0
    assert "WEAK" not in full.out
    by_seed = f"--seed {v['seed']} --size 257 --iterations {v['iterations']}"
    assert cli(f"verify {by_seed} --result-hash {v['result_hash']} --full").code == 0


def test_verify_refuses_a_result_altered_by_a_bit(cli, vectors):
    v = vector(vectors, 257)
    altered = f"{int(v['result_hash'], 16) ^ 1:064x}"
    wrong = cli(f"verify {by_block(v)} --result-hash {altered} --proof {v['proof']} --sample 8")
    assert wrong.code == 1
    assert "WRONG" in wrong.out
    full = cli(f"verify {by_block(v)} --result-hash {altered} --full --json")
    assert full.code == 1
    assert full.json()["right"] is False
    proof = v["proof"][:-1] + ("0" if v["proof"][-1] != "0" else "1")
    assert (
        cli(
            f"verify {by_block(v)} --result-hash {v['result_hash']} --proof {proof} --sample 8"
        ).code
        == 1
    )


def test_verify_sets_its_own_least_number_of_openings(cli, vectors):
    v = vector(vectors, 257)  # its proof opens 8 leaves
    few = cli(f"verify {by_block(v)} --result-hash {v['result_hash']} --proof {v['proof']}")
    assert few.code == 1
    assert "16" in few.out


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("compute", "name the task"),
        (f"compute --block-hash {HASH}", "name the task"),
        (f"compute --seed {HASH} --address {ADDRESS}", "not by both"),
        (f"compute --block-hash 0x{HASH} --address {ADDRESS}", "without 0x"),
        (f"compute --block-hash {HASH} --address {ADDRESS}q", "checksum"),
        (f"compute --block-hash {HASH} --address {ADDRESS} --index 16", "0 to 15"),
        (f"compute --seed {HASH} --size 0", "size"),
        (f"compute --seed {HASH} --size 70000", "size"),
        (f"compute --seed {'ab' * 32}", "halves"),
        (f"compute --seed {HASH} --iterations 0", "iterations"),
        (f"compute --seed {HASH} --openings 2000", "1024"),
        (f"compute --seed {HASH} --device toaster", "toaster"),
        (f"compute --seed {HASH} --threads 0", "--threads"),
        ("compute --nonsense", "nonsense"),
        ("verify", "say what to check"),
        (f"verify --seed {HASH} --result-hash {HASH}", "nothing to sample"),
        (f"verify --seed {HASH} --result-hash xyz --full", "64 lower-case hex"),
        ("keys show nobody", "nobody"),
        ("keys add ../evil", "name"),
        ("tx send nowhere 1 --from nobody", "not an address"),
        (f"tx send --from nobody {ADDRESS} -- -5", "not an amount"),
        (f"tx send {ADDRESS} 1e400 --from nobody", "amount"),
        (f"tx submit-result --task-id 1 --result-hash {HASH} --from nobody", "UUID"),
        (
            "tx submit-result --task-id 550e8400-e29b-41d4-a716-446655440000"
            " --result-hash 0x1234567890abcdef... --from nobody",
            "64 lower-case hex",
        ),
        ("query status --node ftp://example.org", "http"),
        ("mine --size 0 --devnet", "size"),
        ("mine --openings 5000 --devnet", "1024"),
        ("mine --devnet --device toaster", "toaster"),
        ("bench --size 0", "size"),
        ("devnet --block-time 0.01", "0.2"),
    ],
)
def test_bad_input_gets_a_sentence_and_exit_code_2(cli, line, says):
    outcome = cli(line)
    assert outcome.code == 2, outcome
    assert says in outcome.err
    assert outcome.out == ""


def test_a_missing_device_ends_with_exit_code_4(cli):
    outcome = cli(f"compute --seed {HASH} --device cuda:0 --size 16")
    assert outcome.code == 4
    assert "CUDA" in outcome.err


def test_no_node_ends_with_exit_code_3_and_the_command_that_mends_it(cli):
    outcome = cli("query status --node http://127.0.0.1:9")
    assert outcome.code == 3
    assert "http://127.0.0.1:9" in outcome.err
    assert "curl http://127.0.0.1:9/status" in outcome.err


def test_keys_say_what_the_guide_says(cli, home):
    added = cli("keys add worker")
    assert added.code == 0
    lines = added.out.splitlines()
    assert lines[0] == "Key 'worker' created."
    assert re.fullmatch(r"Address: cpc1[a-z0-9]{38}", lines[1])
    assert re.fullmatch(r"Pubkey:  0[23][0-9a-f]{64}", lines[2])
    file = home / "keys" / "worker.json"
    assert file.stat().st_mode & 0o777 == 0o600
    secret = json.loads(file.read_text())["private_key"]
    shown = cli("keys show worker")
    assert secret not in shown.out + shown.err + added.out + added.err
    assert sum("address" in line for line in shown.out.splitlines()) == 1
    assert cli("keys add worker").code == 2
    assert json.loads(file.read_text())["private_key"] == secret


def test_import_takes_the_key_from_a_file_and_not_as_an_argument(cli, home, vectors):
    key = vectors("keys")[0]
    path = home / "secret"
    path.write_text(key["private_key"] + "\n")
    imported = cli(f"keys import old --key-file {path} --json")
    assert imported.json()["address"] == key["address"]
    assert key["private_key"] not in imported.out + imported.err
    path.write_text("not a key: " + key["private_key"])
    wrong = cli(f"keys import bad --key-file {path}")
    assert wrong.code == 2
    assert key["private_key"] not in wrong.out + wrong.err
    assert cli(f"keys import bad --key-file {home / 'nowhere'}").code == 2


@pytest.mark.slow
def test_an_encrypted_key_opens_with_its_passphrase_only(cli, home, monkeypatch):
    (home / "pass").write_text("correct horse\n")
    (home / "wrong").write_text("battery staple\n")
    cli("keys add worker")
    assert cli(f"keys encrypt worker --passphrase-file {home / 'pass'}").code == 0
    assert "private_key" not in (home / "keys" / "worker.json").read_text()
    assert "encrypted" in cli("keys list").out
    made = cli(f"keys add second --encrypt --passphrase-file {home / 'pass'}")
    assert "cpc-cli shows this key, and crashes when it has to sign with it" in made.out
    line = f"tx send {ADDRESS} 1 --from worker --node http://127.0.0.1:9 --passphrase-file {home}"
    assert cli(f"{line}/wrong").code == 2
    assert cli(f"{line}/pass").code == 3  # it opened, and then there is no node
    monkeypatch.setenv("CPC_PASSPHRASE", "correct horse")
    assert cli(f"tx send {ADDRESS} 1 --from worker --node http://127.0.0.1:9").code == 3
    assert "CPC_PASSPHRASE" not in os.environ


def test_help_loads_nothing_heavy():
    script = (
        "import sys\nfrom engine.cli.app import run\ncode = run(['--help'])\n"
        "heavy = {'numba', 'numpy', 'pydantic', 'requests', 'fastapi', 'ecdsa', 'sqlite3'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\nraise SystemExit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr.strip() == "[]"
    for command in (
        "mine",
        "compute",
        "verify",
        "bench",
        "keys",
        "tx",
        "query",
        "devnet",
        "doctor",
        "config",
        "init",
    ):
        assert f"  {command}" in done.stdout


def test_a_reader_that_stops_reading_is_no_error():
    command = f"{sys.executable} -c 'from engine.cli import main; main()' --help | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in done.stderr


def is_loading(process):
    return any("numpy" in file.path for file in process.memory_maps())


def is_computing(process):
    return process.memory_info().rss > 200 * 2**20  # its matrices have 144 MB each


@pytest.mark.parametrize("moment", [is_loading, is_computing])
def test_ctrl_c_ends_compute_without_a_traceback(moment):
    command = [*ENGINE, "compute", "--seed", HASH, "--size", "12000", "--device", "reference"]
    with started(command, stderr=subprocess.PIPE, text=True) as child:
        wait_until(lambda: moment(psutil.Process(child.pid)), moment.__name__, every=0.005)
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=PATIENCE_SECONDS)
    assert "Traceback" not in errors
    assert child.returncode == 130


def test_a_forced_tier(cli, vectors):
    """Every CPU has simd128, and the same result; a name that is none is refused in a sentence."""
    v = vector(vectors, 257)
    computed = cli(f"compute {by_block(v)} --device cpu --tier simd128 --json")
    assert computed.json()["result_hash"] == v["result_hash"]
    parts = f"{by_block(v)} --result-hash {v['result_hash']} --proof {v['proof']} --sample 8"
    assert cli(f"verify {parts} --tier simd128").code == 0
    refused = cli(f"compute {by_block(v)} --device cpu --tier tensor")
    assert refused.code == 2
    assert "no tier 'tensor': known are amx" in refused.err
    assert "Traceback" not in refused.err


def test_a_tier_that_this_cpu_lacks_ends_in_a_sentence():
    """In a process whose CPU has no AVX-512, as far as it is told."""
    told = dict(os.environ, NUMBA_CPU_FEATURES="+sse2")
    command = [
        *ENGINE,
        "compute",
        "--device",
        "cpu",
        "--tier",
        "avx512vnni",
        "--seed",
        "0" * 63 + "1",
    ]
    refused = subprocess.run(
        command, env=told, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert refused.returncode == 4
    assert "avx512vnni does not run here: this CPU has no avx512bw" in refused.stderr
    assert "simd128" in refused.stderr


def test_the_guides_example_hash_is_explained(cli, home):
    """The guide's lines hold it literally, in quotes."""
    example = '--result-hash "0x1234567890abcdef..."'
    task = "--task-id 550e8400-e29b-41d4-a716-446655440000"
    for line in (f"tx submit-result {task} {example} --from worker", f"verify {example}"):
        done = cli(line)
        assert done.code == 2
        assert "the guide's placeholder" in done.err
        assert "cpc-engine compute" in done.err


def test_a_terminal_is_spared_the_whole_proof_and_a_program_is_not(home):
    line = [*ENGINE, "compute", "--size", "64", "--device", "reference", "--seed", HASH]
    whole = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    master, slave = pty.openpty()
    shown = subprocess.run(line, stdout=slave, check=True)
    os.close(slave)
    seen = os.read(master, 65536).decode().replace("\r\n", "\n")
    os.close(master)
    assert shown.returncode == 0
    assert "bytes; --json shows them all" in seen
    assert len(seen) < 600 < len(whole)
    proof = next(text for text in whole.splitlines() if text.startswith("proof:")).split()[1]
    assert proof[:64] in seen
