"""Receipts of real tasks: an arena's market, its workers, and its customers' networks with layers."""

import base64
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from engine.jobs.blobs import BlobRef
from engine.jobs.fields import carry
from engine.poc_protocol.frames import OpenedLeaves, ResultData
from kernels.network.model import decode_network
from tests.engine.validator.arena import CAPABILITIES, Worker
from tests.kernels.network.test_graph_files import file_of, small

KINDS = replace(CAPABILITIES, kinds=("synthetic", "matmul", "inference"))
MODEL = file_of(*small())
NETWORK = decode_network(MODEL)
SAMPLES = np.random.default_rng(5).integers(-128, 128, (3, NETWORK.sample_entries), np.int8)


def inference(samples=SAMPLES, model=MODEL, **more):
    return {
        "challenge_type": "inference",
        "model": carry(model),
        "input": carry(samples.tobytes()),
        "batch": len(samples),
    } | more


@dataclass
class Computer(Worker):
    """Computes any kind of job, and sends the result's bytes with it."""

    holds: tuple = ()

    def hello(self):
        self.capabilities = replace(KINDS, models=self.holds)
        return super().hello()

    def work(self, job):
        work = self.arena.kinds.job(job.payload)
        outcome = self.outcome(work)
        self.jobs[job.job_id] = (work, outcome)
        result = self.result(job, outcome.result_hash.hex(), outcome.proof)
        if not work.returns_data:
            return [result]
        ref = BlobRef.of(outcome.data)
        self.arena.kinds._blobs.put(outcome.data)
        inline = base64.b64encode(outcome.data).decode()
        data = ResultData(sha256=ref.sha256, size=ref.size, inline=inline)
        return [replace(result, data=data)]

    def outcome(self, work):
        return work.run(self.arena.device)

    def open(self, asked):
        work, outcome = self.jobs[asked.job_id]
        siblings = work.opening(outcome.result_hash, asked.leaves).run(self.arena.device).data
        return [OpenedLeaves(job_id=asked.job_id, leaves=asked.leaves, siblings=siblings.hex())]
