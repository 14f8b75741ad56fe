"""Mixed tasks, and what each of them must come to."""

import base64

import numpy as np

from engine.jobs.blobs import CHUNK_BYTES
from engine.jobs.inference import build_payload
from engine.jobs.kind import JobLimits
from engine.jobs.registry import load_kinds, needed_blobs, parse_job
from kernels.network.model import decode_network
from tests.kernels.network.test_graph_files import file_of, small

SIZES = (16, 33, 64, 100, 128)


def make_payloads(count, seed, blobs):
    """`count` payloads of every kind; what they name is put into `blobs`."""
    chance = np.random.default_rng(seed)
    makers = (_synthetic, _matmul, _synthetic, _inference, _matmul, _synthetic, _large, _layered)
    return [makers[n % len(makers)](chance, blobs) for n in range(count)]


def upload(payloads, blobs, customer):
    """Hand in at the market what the payloads name."""
    kinds, limits = load_kinds(), JobLimits()
    refs = {ref for payload in payloads for ref in needed_blobs(kinds, payload, limits)}
    for ref in sorted(refs, key=lambda ref: ref.sha256):
        parts = (blobs.read(ref, at, CHUNK_BYTES) for at in range(0, ref.size, CHUNK_BYTES))
        customer.put_blob(ref.sha256, b"".join(parts))


def right_answer(payload, blobs, device):
    """The result hash, computed by this process."""
    job = parse_job(load_kinds(), payload, JobLimits(), blobs)
    return job.run(device).result_hash.hex()


def _synthetic(chance, blobs):
    return {
        "challenge_type": "synthetic",
        "seed": chance.bytes(32).hex(),
        "matrix_size": int(chance.choice(SIZES)),
        "iterations": int(chance.integers(1, 4)),
    }


def _matmul(chance, blobs):
    m, k, n = (int(side) for side in chance.integers(1, 120, 3))
    return {
        "challenge_type": "matmul",
        "m": m,
        "k": k,
        "n": n,
        "a": {"inline": base64.b64encode(chance.bytes(m * k)).decode()},
        "b": {"inline": base64.b64encode(chance.bytes(k * n)).decode()},
        "return_data": bool(chance.integers(2)),
    }


def _large(chance, blobs):
    """Operands that the worker fetches in chunks, and a product that the validator fetches."""
    m, k, n = 300, int(chance.integers(3500, 4000)), 301
    a, b = (blobs.put(chance.bytes(size)).to_json() for size in (m * k, k * n))
    sides = {"m": m, "k": k, "n": n}
    return {"challenge_type": "matmul", **sides, "a": a, "b": b, "return_data": True}


def _inference(chance, blobs):
    return build_payload("digits", f"digits:{chance.integers(100)}", blobs=blobs)


def _layered(chance, blobs):
    """A graph with every operator, and a result that commits to its layers."""
    batch, model = int(chance.integers(1, 20)), file_of(*small())
    samples = chance.bytes(batch * decode_network(model).sample_entries)
    return {
        "challenge_type": "inference",
        "model": blobs.put(model).to_json(),
        "input": {"inline": base64.b64encode(samples).decode()},
        "batch": batch,
        "layers": True,
        "return_data": bool(chance.integers(2)),
    }
