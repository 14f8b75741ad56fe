"""Writes tests/vectors/jobs.json, by plain Python alone: python -m tests.engine.jobs.make_vectors

What stands there was computed by tests/kernels/oracle.py and tests/kernels/network/oracle.py, one
entry at a time and with hashlib: nothing of kernels/ has a part in it but the reading of the digits'
model file.
"""

import base64
import hashlib
import json
from pathlib import Path

import numpy as np

from engine.jobs.models import digits
from kernels.network.model import decode_network
from tests.kernels import oracle as trees
from tests.kernels.network import oracle as networks

LEAF_BYTES = 4096
PATH = Path(__file__).parents[2] / "vectors" / "jobs.json"


def stream(name: str, count: int) -> bytes:
    """Bytes for an input, from SHAKE-128 of its name."""
    return hashlib.shake_128(name.encode()).digest(count)


def signed(content: bytes) -> list[int]:
    return [byte - 256 if byte > 127 else byte for byte in content]


def inline(content: bytes) -> dict[str, str]:
    return {"inline": base64.b64encode(content).decode()}


def matrix_leaves(rows: list[list[int]], entry_bytes: int) -> list[bytes]:
    leaves = []
    for row in rows:
        data = b"".join(entry.to_bytes(entry_bytes, "little", signed=True) for entry in row)
        leaves += [
            trees.tagged("cpc/leaf", data[i : i + LEAF_BYTES])
            for i in range(0, len(data), LEAF_BYTES)
        ]
    return leaves


def committed(rows: list[list[int]], entry_bytes: int, opened: list[int]) -> dict:
    leaves = matrix_leaves(rows, entry_bytes)
    header = bytes([entry_bytes]) + len(rows).to_bytes(4, "little")
    header += len(rows[0]).to_bytes(4, "little")
    return {
        "result_hash": trees.tagged("cpc/matrix", header + trees.root(leaves)).hex(),
        "leaf_count": len(leaves),
        "opened": opened,
        "siblings": trees.siblings(leaves, set(opened)).hex(),
    }


def matmul(m: int, k: int, n: int, opened: list[int]) -> dict:
    a, b = stream(f"A {m}x{k}", m * k), stream(f"B {k}x{n}", k * n)
    A, B = signed(a), signed(b)
    C = [[sum(A[i * k + x] * B[x * n + j] for x in range(k)) for j in range(n)] for i in range(m)]
    payload = {"challenge_type": "matmul", "m": m, "k": k, "n": n, "a": inline(a), "b": inline(b)}
    data = b"".join(c.to_bytes(4, "little", signed=True) for row in C for c in row)
    return {
        "payload": payload,
        "first_row": C[0][:4],
        "data_sha256": hashlib.sha256(data).hexdigest(),
        **committed(C, 4, opened),
    }


def synthetic(seed: str, n: int, iterations: int) -> dict:
    raw = bytes.fromhex(seed)
    used = raw if len(raw) == 32 else hashlib.sha256(raw).digest()
    root, proof = trees.proof(used, n, iterations, min(16, n))
    payload = {"challenge_type": "synthetic", "seed": seed, "matrix_size": n}
    return {
        "payload": payload | ({} if iterations == 1 else {"iterations": iterations}),
        "seed_used": used.hex(),
        "result_hash": root.hex(),
        "proof": proof,
    }


def inference(numbers: list[int], opened: list[int]) -> dict:
    """Test images of the digits' model; int8 input is 15 * pixel - 120."""
    model = digits.model_bytes()
    images, labels = digits.test_set()
    samples = images[numbers].astype(int) * 15 - 120
    network = decode_network(model)
    outputs = [networks.infer(network, sample) for sample in samples]
    return {
        "payload": {
            "challenge_type": "inference",
            "model": {"sha256": hashlib.sha256(model).hexdigest(), "size": len(model)},
            "input": inline(samples.astype(np.int8).tobytes()),
            "batch": len(numbers),
        },
        "outputs": outputs,
        "labels": [int(labels[number]) for number in numbers],
        **committed(outputs, 1, opened),
    }


def requantise() -> list[list[int]]:
    """[sum with bias, multiplier, shift, output_zero, low, high, int8 that comes out]."""
    cases = [
        (0, 2**30, 0, 5, -128, 127),
        (1, 2**30, 0, 0, -128, 127),  # one half, up
        (-1, 2**30, 0, 0, -128, 127),  # minus one half, up to 0: the high product's rounding
        (6, 2**30, 1, 0, -128, 127),  # 3 / 2, away from zero
        (-6, 2**30, 1, 0, -128, 127),
        (-10, 2**30, 1, 3, -128, 127),
        (2**31 - 1, 2**31 - 1, 31, 0, -128, 127),
        (-(2**31), 2**31 - 1, 24, 0, -128, 127),
        (12_345, 1_518_500_250, 6, -128, -128, 127),
        (-12_345, 1_518_500_250, 6, -128, -128, 127),
        (98_765, 2_000_000_000, 9, 17, 17, 100),
        (-98_765, 2_000_000_000, 9, 17, 17, 127),
    ]
    return [[*case, networks.requantise(*case)] for case in cases]


def every() -> dict:
    return {
        "synthetic": [
            synthetic(bytes(range(32)).hex(), 20, 1),
            synthetic("c0ffee", 33, 3),
        ],
        "matmul": [
            matmul(1, 1, 1, [0]),
            matmul(3, 5, 1025, [5, 0]),
            matmul(7, 130, 70, [6, 2]),
        ],
        "inference": [inference([0], [0]), inference([3, 17, 359], [1])],
        "requantise": requantise(),
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(every(), indent=1) + "\n", encoding="ascii")
