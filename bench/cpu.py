"""What the CPU's kernels do, beside numpy, hashlib and oneDNN (through torch), in one run.

    python -m bench.cpu                          # prints tables for RESULTS.md
    python -m bench.cpu --torch PATH/TO/python   # torch's row, from another environment's Python
    python -m bench.cpu --narrow                 # product and task, and no AVX-512 for anybody
    python -m bench.cpu --narrow avxvnni         # the same, but with AVX-VNNI

Everything that is compared takes turns: medians of rounds, each of some 50 ms of work over and over, of
which the first time does not count. There is a pause before each, because OpenBLAS's threads spin for a
while after their work. torch runs in a process of its own, which takes its turns on
command and else waits, so that it may be another Python; its `_int_mm` is oneDNN's GEMM of int8 into
int32 (`gemm_api` in ONEDNN_VERBOSE=1). Checks come first: what is wrong is not timed.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from bench.register_rate import RegisterRate, measured
from bench.torch_turns import Torch
from kernels.check import check_proof
from kernels.commit import reference as commit
from kernels.cpu.memory import aligned
from kernels.cpu.product.tiers import usable_tiers
from kernels.devices import cpu_operations, open_device, usable_cores
from kernels.digest import LEAF_TAG, tag_prefix
from kernels.expand import operands
from kernels.expand import reference as expand
from kernels.host import HostDevice
from kernels.operations import REFERENCE
from kernels.product.reference import fold
from kernels.task import Task
from kernels.team import Team

SEED = bytes(range(32))
PAUSE = 0.05
AVX2_ONLY = "+sse2,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+bmi,+bmi2,+sha,-avx512f"
NARROW = {"avx2": AVX2_ONLY, "avxvnni": AVX2_ONLY + ",+avxvnni"}


def seconds(work: Callable[[], object], times: int = 0) -> float:
    """Of the work once; or the median of so many times, after one that does not count."""
    taken = []
    for _ in range(times + 1):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return median(taken[1:] or taken)


def repeats(n: int) -> int:
    """How often a product of this size is taken in one turn."""
    return max(3, 3 * (4096 // n) ** 2)


def in_turns(contenders: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Median seconds of each, all in turns; each warmed up by one turn that does not count."""
    for take in contenders.values():
        take()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, take in contenders.items():
            time.sleep(PAUSE)
            times[name].append(take())
    return {name: median(taken) for name, taken in times.items()}


def table(title: str, results: dict[str, float], unit: Callable[[float], str], base: str) -> None:
    print(f"\n{title}")
    for name, taken in results.items():
        print(f"  {name:<44} {unit(taken):>16}   {results[base] / taken:7.2f} x {base}")


def product(n: int, threads: int, rounds: int, torch: Torch | None, names: list[str]) -> None:
    """A B^T of n x n int8: int32 out for everybody; ours folded into int8 besides."""
    rng = np.random.default_rng(n)
    A, B = rng.integers(-128, 128, (2, n, n), np.int8)
    A[0] = B[0] = -128
    A64, B64T, C64 = A.astype(np.float64), B.astype(np.float64).T, np.empty((n, n))
    np.matmul(A64, B64T, out=C64)
    expected, C = C64.astype(np.int32), aligned((n, n), np.int32)
    contenders = {
        "numpy float64": lambda: seconds(lambda: np.matmul(A64, B64T, out=C64), repeats(n) // 3)
    }
    if torch:
        contenders["torch _int_mm, output given"] = lambda: torch.turn("given", n, repeats(n))
        contenders["torch _int_mm"] = lambda: torch.turn("new", n, repeats(n))
    devices = [HostDevice(cpu_operations(name), threads) for name in names]
    for device in devices:
        C[:] = 0
        device.multiply_into(A, B, C)
        if not np.array_equal(C, expected):
            raise SystemExit(f"{device.tier} is wrong at {n}")
        contenders[f"{device.tier}, int32, output given"] = lambda device=device: seconds(
            lambda: device.multiply_into(A, B, C), repeats(n)
        )
    rates = {name: RegisterRate(name, threads) for name in filter(measured, names)}
    for name, rate in rates.items():
        contenders[registers(name)] = lambda rate=rate: rate.seconds(2 * n**3)
    best = devices[0]
    contenders[f"{best.tier}, int32"] = lambda: seconds(lambda: best.multiply(A, B), repeats(n))
    contenders[f"{best.tier}, folded (a task's product)"] = lambda: median(
        best.profile(Task(SEED, n))["product"] for _ in range(repeats(n))
    )
    results = in_turns(contenders, rounds)
    unit = lambda taken: f"{2e-9 * n**3 / taken:.0f} GOP/s"  # noqa: E731
    table(f"product, n = {n}, {threads} threads", results, unit, "numpy float64")
    if torch:
        mine, theirs = results[f"{best.tier}, int32, output given"], "torch _int_mm, output given"
        print(f"  {best.tier} is {results[theirs] / mine:.2f} x {theirs}")
    for name in rates:
        share = results[registers(name)] / results[f"{name}, int32, output given"]
        print(f"  {name} is {share:.2f} x {registers(name)}")
    for held in (*devices, *rates.values()):
        held.close()


def registers(tier: str) -> str:
    return f"{tier}'s instructions, registers alone"


def straight_numpy(task: Task) -> bytes:
    """What one would write first: whole matrices, one float64 product, hashlib."""
    n, (a, b) = task.n, operands(task.seed)
    A, B = np.empty((2, n, n), np.int8)
    for operand, matrix in ((a, A), (b, B)):
        expand.expand_rows(operand, np.arange(n), matrix)
    C = (A.astype(np.float64) @ B.astype(np.float64).T).astype(np.int32)
    nodes = np.empty((task.leaf_count, 32), np.uint8)
    commit.hash_leaves(fold(C), nodes)
    while len(nodes) > 1:
        parents = np.empty(((len(nodes) + 1) // 2, 32), np.uint8)
        commit.hash_level(nodes, parents)
        nodes = parents
    return nodes.tobytes()


def whole_task(n: int, threads: int, rounds: int, names: list[str]) -> None:
    """From seed to root, on each tier."""
    task = Task(SEED, n)
    expected = straight_numpy(task)
    devices = [open_device("cpu", threads, tier=name) for name in names]
    contenders = {"straight numpy": lambda: seconds(lambda: straight_numpy(task))}
    for device in devices:
        if device.compute(task).root != expected:
            raise SystemExit(f"the whole task is wrong with {device.tier}")
        contenders[f"{device.tier}"] = lambda device=device: seconds(
            lambda: device.compute(task), repeats(n)
        )
    results = in_turns(contenders, rounds)
    unit = lambda taken: f"{1e3 * taken:.2f} ms"  # noqa: E731
    table(f"whole task, n = {n}, {threads} threads", results, unit, "straight numpy")
    for device in devices:
        stages = ", ".join(f"{k} {1e3 * v:.2f} ms" for k, v in device.profile(task).items())
        print(f"  of it, per thread, {device.tier}: {stages}")
        device.close()


def hashing(rounds: int) -> None:
    """16 MiB in leaves of 256 bytes, one thread each; hashlib in a loop over one kept state."""
    n = 4096
    R = np.random.default_rng(1).integers(-128, 128, (n, n), np.int8)
    out, fast = np.empty((n * n // 256, 32), np.uint8), cpu_operations()
    data = memoryview(R).cast("B")
    kept = hashlib.sha256(tag_prefix(LEAF_TAG))
    digests: list[bytes] = []

    def loop() -> None:
        digests.clear()
        for first in range(0, n * n, 256):
            state = kept.copy()
            state.update(data[first : first + 256])
            digests.append(state.digest())

    loop()
    fast.hash_leaves(R, out)
    if b"".join(digests) != out.tobytes():
        raise SystemExit("the leaves are wrong")
    results = in_turns(
        {
            "hashlib in a loop": lambda: seconds(loop),
            "cpu": lambda: seconds(lambda: fast.hash_leaves(R, out)),
        },
        rounds,
    )
    unit = lambda taken: f"{1e-9 * n * n / taken:.2f} GB/s"  # noqa: E731
    table("SHA-256 of 16 MiB in leaves of 256 bytes, 1 thread", results, unit, "hashlib in a loop")


def expansion(rounds: int) -> None:
    n, fast, (a, b) = 4096, cpu_operations(), operands(SEED)
    A, B, plain = np.empty((n, n), np.int8), fast.empty_b(n, n), np.empty((256, n), np.int8)
    results = in_turns(
        {
            "numpy (256 rows)": lambda: (
                16 * seconds(lambda: REFERENCE.expand_rows(a, np.arange(256), plain))
            ),
            "rows of A": lambda: seconds(lambda: fast.expand_rows(a, np.arange(n), A)),
            "B into panels": lambda: seconds(lambda: fast.expand_b(b, 0, B)),
        },
        rounds,
    )
    unit = lambda taken: f"{1e-9 * n * n / taken:.2f} GB/s"  # noqa: E731
    table("Philox, n = 4096, 1 thread", results, unit, "numpy (256 rows)")


def verification(n: int, rounds: int) -> None:
    """A proof with 16 openings, beside computing the whole on one thread: each way there is."""
    task, fast = Task(SEED, n), cpu_operations()
    names = [tier.name for tier in usable_tiers()]
    with open_device("cpu", 1) as device:
        commitment = device.compute(task)
    root, proof = commitment.root, commitment.proof(16)
    contenders = {
        "verify": lambda: seconds(
            lambda: check_proof(task, root, proof, least_openings=16, operations=fast)
        ),
        "verify, numpy": lambda: seconds(lambda: check_proof(task, root, proof, least_openings=16)),
    }
    devices = [open_device("cpu", 1, tier=name) for name in (names[0], "simd128")]
    for device in devices:
        contenders[f"compute, {device.tier}, 1 thread"] = lambda device=device: seconds(
            lambda: device.compute(task)
        )
    results = in_turns(contenders, rounds)
    for device in devices:
        device.close()
    results |= plain_compute(n)
    print(f"\nverify 16 openings, n = {n}, 1 thread")
    for name, taken in results.items():
        ratio = taken / results["verify"]
        print(f"  {name:<44} {1e3 * taken:>13.2f} ms   {ratio:7.1f} x verify")


def plain_compute(n: int) -> dict[str, float]:
    """The reference on one thread, in a process that BLAS is told so; three turns."""
    code = (
        "import time; from kernels.devices import open_device; from kernels.task import Task\n"
        "device = open_device('reference')\nfor _ in range(3):\n started = time.perf_counter()\n"
        f" device.compute(Task(bytes(range(32)), {n})); print(time.perf_counter() - started)"
    )
    single = dict(os.environ, OPENBLAS_NUM_THREADS="1")
    done = subprocess.run(
        [sys.executable, "-c", code], env=single, check=True, capture_output=True, text=True
    )
    return {"compute, straight numpy, 1 thread": median(float(x) for x in done.stdout.split())}


def start_up(rounds: int) -> None:
    program = [sys.executable, "-c", "from engine.cli import main; main()"]
    compute = [*program, "compute", "--size", "1024", "--seed", "00" * 31 + "01", "--device", "cpu"]
    run = lambda command: seconds(  # noqa: E731
        lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    )
    results = in_turns(
        {
            "compute --size 1024": lambda: run(compute),
            "--help": lambda: run([*program, "--help"]),
            "python -c pass": lambda: run([sys.executable, "-c", "pass"]),
        },
        rounds,
    )
    print("\nwhole processes, warm")
    for name, taken in results.items():
        print(f"  {name:<44} {taken:>14.3f} s")


def waking(threads: int, rounds: int) -> None:
    """What a run of two phases costs by itself: back to back, and after a pause in which all sleep."""
    nothing = lambda _: None  # noqa: E731
    phases = [(nothing, range(2 * threads))] * 2
    with Team(threads) as team:
        awake = seconds(lambda: team.run(*phases), 100 * rounds)
        asleep = []
        for _ in range(10 * rounds):
            time.sleep(PAUSE)
            asleep.append(seconds(lambda: team.run(*phases)))
    print(f"\ntwo empty phases, {threads} threads")
    print(f"  back to back {1e6 * awake:.0f} us, after a pause {1e6 * median(asleep):.0f} us")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch", help="a Python that has torch")
    parser.add_argument(
        "--narrow", nargs="?", const="avx2", choices=NARROW, help="AVX2 only: product and task"
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--tiers", help="only these, comma-separated")
    parser.add_argument("--sizes", default="1024,2048,4096")
    parser.add_argument("--parts", help="some of product,task,sha,philox,verify,team,start")
    arguments = parser.parse_args()
    threads, rounds = usable_cores(), arguments.rounds
    if arguments.narrow and "OPENBLAS_CORETYPE" not in os.environ:
        os.execve(
            sys.executable,
            [sys.executable, "-m", "bench.cpu", *sys.argv[1:]],
            os.environ
            | {"NUMBA_CPU_FEATURES": NARROW[arguments.narrow], "OPENBLAS_CORETYPE": "Haswell"},
        )
    names = [tier.name for tier in usable_tiers()]
    some = arguments.tiers.split(",") if arguments.tiers else names
    print(f"numpy {np.__version__}, Python {sys.version.split()[0]}, tiers {', '.join(names)}")
    torch = Torch(arguments.torch, threads) if arguments.torch else None
    if torch:
        print(f"torch {torch.version}")
    usual = "product,task" if arguments.narrow else "product,task,sha,philox,verify,team,start"
    parts = (arguments.parts or usual).split(",")
    if "product" in parts:
        for n in map(int, arguments.sizes.split(",")):
            product(n, threads, rounds, torch, some)
    if torch:
        torch.close()
    if "task" in parts:
        whole_task(1024, threads, rounds, some)
        whole_task(4096, threads, rounds, some)
    if "sha" in parts:
        hashing(rounds)
    if "philox" in parts:
        expansion(rounds)
    if "verify" in parts:
        verification(4096, rounds)
    if "team" in parts:
        waking(threads, rounds)
    if "start" in parts:
        start_up(rounds)


if __name__ == "__main__":
    main()
