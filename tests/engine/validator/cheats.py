"""Seven ways to cheat, each tried many times against the real market and the real checks.

    python -m tests.engine.validator.cheats --trials 1000

For each cheat: how often it was caught, and what the policy's arithmetic says. A trial is one task,
one fresh worker with a real key, and everything that the validator does with it; only network and
clock are left out. The share that was caught must lie within five standard deviations of what is
expected, which an honest implementation misses once in a million runs; where the expected share is 1,
not a single one may pass.
"""

import argparse
import hashlib
import math
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from engine.poc_protocol.frames import OpenedLeaves
from engine.validator.market.dispatch import Timeouts
from engine.validator.policy.audit_policy import Policy
from kernels.commit.tree import check_siblings_length, level_sizes, sibling_places
from kernels.digest import NODE_TAG, tagged_hash
from kernels.proof import draw_openings, encode_proof
from node_client.keys import PrivateKey
from tests.engine.validator.arena import Arena, Worker

POLICY = Policy(openings=16, least_full=1 / 32)
"""A little weaker than the default, so that what passes can be counted."""
SIGMAS = 5.0


class Tree:
    """A tree over leaf digests of one's own choice: what a cheat commits to."""

    def __init__(self, leaves):
        self.levels = [list(leaves)]
        for _ in level_sizes(len(leaves))[1:]:
            below = self.levels[-1]
            self.levels.append(
                [
                    tagged_hash(NODE_TAG, below[i] + below[i + 1])
                    if i + 1 < len(below)
                    else below[i]
                    for i in range(0, len(below), 2)
                ]
            )

    @property
    def root(self):
        return self.levels[-1][0]

    def replace(self, leaf, digest):
        """Another leaf, and the path above it anew."""
        self.levels[0][leaf] = digest
        position = leaf
        for below, above in zip(self.levels, self.levels[1:], strict=False):
            position //= 2
            pair = below[2 * position : 2 * position + 2]
            above[position] = tagged_hash(NODE_TAG, b"".join(pair)) if len(pair) == 2 else pair[0]

    def siblings(self, leaves):
        places = sibling_places(len(self.levels[0]), leaves)
        return b"".join(self.levels[level][position] for level, position in places)


class Cheat(Worker):
    """Computes the right leaves, makes some of them wrong, and commits to that."""

    size = 64

    def commit(self, job):
        self.task = job.task
        commitment = self.arena.device.compute(job.task)
        self.right = [level.tobytes() for level in commitment._levels[0]]
        tree = Tree(self.right)
        self.spoil(tree)
        return tree

    def spoil(self, tree):
        raise NotImplementedError

    def proof(self, tree):
        return None  # its own openings would tell on it; the validator draws anyway

    @staticmethod
    def expected(leaves):
        """Probability of being caught, as the policy's arithmetic has it."""
        raise NotImplementedError


def nonsense():
    return random.randbytes(32)


class RandomHash(Cheat):
    """Computes nothing, and hands in 32 random bytes; opens with random bytes."""

    def commit(self, job):
        self.task = job.task
        return Tree([nonsense() for _ in range(job.leaf_count)])

    @staticmethod
    def expected(leaves):
        return 1.0


class CopiedResult(Cheat):
    """Hands in what another worker has just handed in for the same task."""

    def commit(self, job):
        self.task = job.task
        tree = Tree([nonsense() for _ in range(job.leaf_count)])
        self.copied = self.arena.seen
        return tree

    def result(self, job, result_hash, proof):
        return super().result(job, self.copied, proof)

    @staticmethod
    def expected(leaves):
        return 1.0


class OneWrongLeaf(Cheat):
    """One leaf is wrong, wherever."""

    def spoil(self, tree):
        tree.replace(random.randrange(len(self.right)), nonsense())

    @staticmethod
    def expected(leaves):
        return POLICY.catch(leaves=leaves, wrong=1, q=POLICY.least_full)


class TenthWrong(Cheat):
    """10% of the leaves are wrong."""

    def spoil(self, tree):
        for leaf in random.sample(range(len(self.right)), self.wrong(len(self.right))):
            tree.replace(leaf, nonsense())

    @staticmethod
    def wrong(leaves):
        return round(leaves / 10)

    @staticmethod
    def expected(leaves):
        wrong = TenthWrong.wrong(leaves)
        return POLICY.catch(leaves=leaves, wrong=wrong, q=POLICY.least_full)


class ChangedAfterwards(Cheat):
    """Commits to nonsense, computes when it sees what it must open, and opens the right tree."""

    def commit(self, job):
        super().commit(job)
        self.late = Tree(self.right)
        return Tree([nonsense() for _ in self.right])

    def spoil(self, tree):
        pass

    def open(self, asked):
        siblings = self.late.siblings(asked.leaves).hex()
        return [OpenedLeaves(job_id=asked.job_id, leaves=asked.leaves, siblings=siblings)]

    @staticmethod
    def expected(leaves):
        return 1.0


class GroundProof(Cheat):
    """n = 256; 10% of the leaves wrong, changed until the proof's own 16 openings miss them all.

    The proof is right, and a verifier that looked at nothing else would take it.
    """

    size = 256
    tries = 0

    def spoil(self, tree):
        count = len(self.right)
        self.wrong = random.sample(range(count), TenthWrong.wrong(count))
        for leaf in self.wrong:
            tree.replace(leaf, nonsense())
        while set(draw_openings(tree.root, self.task, 16)) & set(self.wrong):
            tree.replace(self.wrong[0], nonsense())
            GroundProof.tries += 1

    def proof(self, tree):
        leaves = draw_openings(tree.root, self.task, 16)
        siblings = tree.siblings(leaves)
        check_siblings_length(self.task.leaf_count, leaves, siblings)
        return encode_proof(self.task, 16, siblings)

    @staticmethod
    def expected(leaves):
        return TenthWrong.expected(leaves)


class RelayedHello(Worker):
    """A victim dials a false validator, which relays its hello to the real one."""

    size = 64

    def hello(self):
        self.url = "wss://cheap-rewards.example/worker"  # as the victim dialled
        return super().hello()

    @staticmethod
    def expected(leaves):
        return 1.0


CHEATS = {
    "random hash": RandomHash,
    "copied result": CopiedResult,
    "one wrong leaf": OneWrongLeaf,
    "10% wrong leaves": TenthWrong,
    "change after the commitment": ChangedAfterwards,
    "relayed hello": RelayedHello,
    "ground-out proof at n = 256": GroundProof,
}


@dataclass
class Tally:
    """What came of a cheat's trials."""

    cheat: str
    trials: int
    caught: int
    expected: float
    seconds: float

    @property
    def bound(self):
        """How far the count may be from its mean."""
        return SIGMAS * math.sqrt(self.trials * self.expected * (1 - self.expected))

    @property
    def as_expected(self):
        return abs(self.caught - self.trials * self.expected) <= self.bound + 1e-6

    def __str__(self):
        return (
            f"{self.cheat:<28} caught {self.caught:>5} of {self.trials}; expected"
            f" {self.trials * self.expected:7.1f} +- {self.bound:5.1f}"
            f"  {'ok' if self.as_expected else 'NOT AS EXPECTED'}  ({self.seconds:.1f} s)"
        )


def try_cheat(name, trials, seed=0):
    """The cheat, so many times, each by a worker that nobody has seen before."""
    kind = CHEATS[name]
    random.seed(f"{name} {seed}")
    started = time.perf_counter()
    caught = 0
    with tempfile.TemporaryDirectory() as directory:
        # One attempt a task: what is refused must not be offered to anybody else.
        arena = Arena(Path(directory), policy=POLICY, seed=seed, timeouts=Timeouts(attempts=1))
        arena.store.database._db.execute("PRAGMA synchronous = OFF")  # thousands of small writes
        for trial in range(trials):
            caught += _one_trial(arena, kind, trial)
        arena.close()
    leaves = kind.size * -(-kind.size // 256)
    return Tally(name, trials, caught, kind.expected(leaves), time.perf_counter() - started)


def _one_trial(arena, kind, trial):
    seed = hashlib.sha256(f"{trial}".encode()).hexdigest()
    payload = {"challenge_type": "synthetic", "seed": seed, "matrix_size": kind.size}
    if kind is CopiedResult:
        honest = arena.join(Worker)
        arena.seen = arena.task_result(arena.post(payload))
        arena.leave(honest)
    key = PrivateKey.generate()
    task = arena.post(payload)
    cheat = arena.join(kind, key=key)
    if kind is RelayedHello:
        caught = cheat.closed is not None and "URL" in cheat.closed
        assert arena.task(task).status == "pending"
        arena.pass_time(7200)  # past its deadline
    else:
        known = arena.store.workers.find(key.address)
        caught = known.banned_at is not None
        assert caught != (arena.task(task).status == "completed")
    if cheat.closed is None:
        arena.leave(cheat)
    arena.market.tick()
    arena.told.clear()
    return caught


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=list(CHEATS), action="append")
    given = parser.parse_args()
    tallies = []
    for name in given.only or CHEATS:
        tallies.append(try_cheat(name, given.trials, given.seed))
        print(tallies[-1], flush=True)
    return 0 if all(tally.as_expected for tally in tallies) else 1


if __name__ == "__main__":
    sys.exit(main())
