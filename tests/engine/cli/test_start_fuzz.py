"""Start-ups in random environments: each ends with a sentence and an exit code of the documentation.

No "This is a bug", and no traceback, whatever the variables, streams, limits, directories and files.
"""

import os
import random
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.processes import ENGINE, PATIENCE_SECONDS
from tests.situations import tells_no_bug

CODES = {0, 1, 2, 3, 4, 130, 143}
SEED = "ab" * 31 + "cd"
COMMANDS = [
    "--help",
    "--version",
    "config show mine",
    "config show tx send",
    "keys list",
    "keys show worker",
    "keys add other",
    "status",
    "pause",
    "query balance worker",
    "query status",
    f"compute --size 16 --device reference --seed {SEED}",
    f"compute --size 16 --device cpu --threads 1 --seed {SEED}",
    f"verify --size 16 --seed {SEED} --proof {'0' * 26}",
    "init --yes",
    "doctor",
    "mine --blocks 1 --device reference --no-wait",
    "work --validator ws://127.0.0.1:9",
    "validator status",
    "tasks list",
]
TEXTS = [
    "",
    "0",
    "1",
    "-1",
    "~",
    "~/x",
    "~nobody-of-this-name/x",
    "/",
    "/dev/null",
    "/dev/full",
    "/proc/self/mem",
    "/nonexistent/x",
    "relative",
    "x" * 5000,
    "\x1b[31m",
    "a\nb",
    "ж",
    "http://127.0.0.1:9",
    "socks5://127.0.0.1:9",
    "://",
    "4G",
    "cuda:0",
    "ru",
    "nan",
    "[]",
]
VARIABLES = [
    *(
        "HOME",
        "USER",
        "LANG",
        "LC_ALL",
        "LANGUAGE",
        "TERM",
        "COLUMNS",
        "LINES",
        "TZ",
        "PATH",
        "TMPDIR",
    ),
    *("CPC_KEYS", "CPC_STATE", "CPC_CACHE", "CPC_CONFIG", "CPC_LANG", "CPC_NODE", "CPC_DEVICE"),
    *(
        "CPC_MINE_THREADS",
        "CPC_MINE_DEVICE",
        "CPC_MINE_CHILD_MEMORY",
        "CPC_MINE_SIZE",
        "CPC_CONFINE",
    ),
    *("CPC_MINE_LEDGER", "CPC_MINE_HTTP", "CPC_COMPUTE_THREADS", "CPC_PASSPHRASE", "CPC_TUNE"),
    *("XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "NOTIFY_SOCKET", "WATCHDOG_USEC", "JOURNAL_STREAM"),
    *("NUMBA_NUM_THREADS", "NUMBA_DISABLE_JIT", "NUMBA_CPU_FEATURES", "NUMBA_CACHE_DIR"),
    *("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"),
    *("CUDA_VISIBLE_DEVICES", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NO_COLOR", "FORCE_COLOR"),
]
STREAMS = ["", "", "", ">&-", "2>&-", "<&-", ">/dev/full", "2>/dev/full", ">&- 2>&- <&-"]
LIMITS = ["", "", "", "ulimit -n 24;", "ulimit -f 0;", "ulimit -f 8;", "ulimit -c 0;", "umask 777;"]


def environment(dice, directory):
    chosen = dict(os.environ) | {
        "HOME": str(directory / "home"),
        "CPC_CACHE": os.environ["CPC_CACHE"],
    }
    for name in dice.sample(VARIABLES, dice.randrange(6)):
        if dice.random() < 0.2:
            chosen.pop(name, None)
        else:
            chosen[name] = dice.choice(TEXTS).replace("\0", "")
    return chosen


def prepare(dice, directory):
    """A home, of which something may be odd, and a working directory with traps."""
    state = directory / "home" / ".computechain"
    where = directory / "work"
    state.mkdir(parents=True)
    where.mkdir()
    odd = {
        state / "engine.toml": [
            "",
            "[mine]\n",
            "\ufeff[mine]\nthreads = 1\n",
            "=",
            "node = 3\n",
            "\0",
        ],
        state / "keys": ["", "a file"],
        state / "engine": ["", "a file"],
        where / "types.py": ["raise SystemExit(70)\n"],
        where / "socket.py": ["raise SystemExit(70)\n"],
        where / ".numba_config.yaml": ["opt: 3\n", ":::"],
    }
    for path, contents in odd.items():
        if dice.random() < 0.25:
            path.write_text(dice.choice(contents))
    if dice.random() < 0.1:
        (directory / "home").chmod(0o500)
    return where


def start(number, base):
    """What a start with the dice of this number did; None where all is well."""
    dice = random.Random(number)
    directory = base / str(number)
    where = prepare(dice, directory)
    line, limit, streams = dice.choice(COMMANDS), dice.choice(LIMITS), dice.choice(STREAMS)
    chosen = environment(dice, directory)
    gone = f"rmdir {where} 2>/dev/null;" if dice.random() < 0.05 else ""
    program = [ENGINE[0], "-P", *ENGINE[1:]]
    script = f'{gone} {limit} exec "$@" {streams}'
    bash = shutil.which("bash")
    try:
        done = subprocess.run(
            [bash, "-c", script, "-", *program, *line.split()],
            cwd=where,
            env=chosen,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE_SECONDS,
        )
    finally:
        (directory / "home").chmod(0o700)
        shutil.rmtree(directory, ignore_errors=True)
    differs = {n: v for n, v in chosen.items() if os.environ.get(n) != v}
    told = f"{number}: {line!r} {limit}{streams} {gone} {differs}\n{done.stderr[-1500:]}"
    tells_no_bug(f"{done.stdout}\n{told}")
    assert done.returncode in CODES, f"exit code {done.returncode} of {told}"


def every(numbers, base):
    with ThreadPoolExecutor(2) as pool:
        wrong = [str(error) for error in pool.map(lambda n: attempt(n, base), numbers) if error]
    assert not wrong, f"{len(wrong)} wrong:\n" + "\n\n".join(wrong[:20])


def attempt(number, base):
    try:
        start(number, base)
    except (AssertionError, subprocess.TimeoutExpired) as error:
        return error
    return None


def test_a_few_random_environments(tmp_path):
    every(range(4), tmp_path)


@pytest.mark.parametrize("number", [137, 335])
def test_environments_that_once_ended_with_a_bug(tmp_path, number):
    """A variable of Numba's that it cannot read; a setting of `mine` that `doctor` cannot use."""
    every([number], tmp_path)


@pytest.mark.long
def test_more_random_environments(tmp_path):
    """CPC_TEST_STARTS=2000 for all that were seen: some three seconds each on two busy cores."""
    every(range(4, int(os.environ.get("CPC_TEST_STARTS", "40"))), tmp_path)
