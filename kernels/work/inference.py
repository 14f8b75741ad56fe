"""A batch of samples through an integer-only network; the outputs are committed to as a matrix."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from kernels.commit.rows import MatrixForm, MatrixTree, check_matrix
from kernels.data import Data
from kernels.device import Device
from kernels.errors import InvalidProof, InvalidTask, WrongResult
from kernels.memory import require_bytes
from kernels.network import Activations, reference
from kernels.network.fast import forward, group_size
from kernels.network.model import Network, decode_network
from kernels.work import Outcome
from kernels.work.committed import CommittedWork, check_digest

SPOT_SAMPLES = 4
"""Samples that `check` computes again, at most."""
SPOT_COST = 1 << 28
"""Multiply-adds that it spends on them, at most: some tenths of a second in numpy."""


@dataclass(frozen=True, slots=True)
class InferenceWork(CommittedWork):
    """`batch` samples through a network. Make it with `of`, which reads the model."""

    model: Data
    input: Data
    batch: int
    sample_cost: int
    working_bytes: int
    form: MatrixForm
    """The outputs: a row a sample, int8, or int32 after argmax."""
    returns_data: bool = False

    @classmethod
    def of(cls, model: Data, samples: Data, batch: int, returns_data: bool = False) -> Self:
        """The work. Raises InvalidNetwork, or InvalidTask where samples and network do not fit."""
        network = decode_network(model.read())
        if samples.size != batch * network.sample_entries:
            raise InvalidTask(
                f"the input has {samples.size} bytes, and {batch} samples of"
                f" {network.sample_entries} int8 are {batch * network.sample_entries}"
            )
        form = MatrixForm(batch, network.columns, network.entry_bytes)
        group = min(batch, group_size(network))
        needed = 2 * model.size + 2 * samples.size + group * network.sample_bytes
        needed += 2 * form.data_bytes + form.tree_bytes
        return cls(model, samples, batch, network.sample_cost, needed, form, returns_data)

    @property
    def cost(self) -> int:
        """Multiply-adds."""
        return self.batch * self.sample_cost

    @property
    def bytes_needed(self) -> int:
        """Model and input, what one group of samples takes on its way, outputs and their tree."""
        return self.working_bytes

    @property
    def leaf_count(self) -> int:
        """Leaves of the outputs' tree."""
        return self.form.leaf_count

    def compute(self, device: Device) -> tuple[Outcome, MatrixTree]:
        """Outputs and their tree. Raises TaskTooLarge before the activations are allocated."""
        require_bytes(f"a network with {self.batch} samples", self.bytes_needed)
        network, batch = self._read()
        rows = self.form.as_rows(forward(network, batch, device))
        tree = MatrixTree(self.form, device.commit(rows))
        return Outcome(tree.result_hash, data=rows.tobytes()), tree

    def check(self, outcome: Outcome) -> None:
        """Check the outputs, where they came along, against their hash, and a few samples of them.

        The samples are drawn here, and computed again as long as that stays cheap: of a network whose
        sample takes more than 2^28 multiply-adds none is. Without outputs nothing is known but the
        hash's length: draw leaves, then, and have them opened.
        """
        check_digest(outcome.result_hash)
        if outcome.proof is not None:
            raise InvalidProof("an inference has no proof")
        if outcome.data is None:
            return
        check_matrix(self.form, outcome.result_hash, outcome.data)
        count = min(SPOT_SAMPLES, self.batch, SPOT_COST // self.sample_cost)
        drawn = random.SystemRandom().sample(range(self.batch), count)
        if count:
            again = self._again(drawn)
            if not np.array_equal(again, self.form.entries(outcome.data)[drawn]):
                raise WrongResult("a sample, computed again, has another output")

    def check_leaves(self, result_hash: bytes, leaves: Sequence[int], siblings: bytes) -> None:
        """Raise unless these leaves, their samples computed again, give the result."""
        check_digest(result_hash)
        self.form.check_openings(leaves, siblings)
        samples = sorted({self.form.leaf_place(leaf)[0] for leaf in leaves})
        outputs = dict(zip(samples, self._again(samples), strict=True))
        entries = {}
        for leaf in leaves:
            sample, first, last = self.form.leaf_place(leaf)
            entries[leaf] = outputs[sample][first:last]
        self.form.check_entries(result_hash, entries, siblings)

    def _again(self, samples: Sequence[int]) -> npt.NDArray[np.signedinteger]:
        """Outputs of these samples, by the reference; one at a time, since it computes in doubles."""
        network, batch = self._read()
        return np.concatenate([reference.forward(network, batch[i : i + 1]) for i in samples])

    def _read(self) -> tuple[Network, Activations]:
        network = decode_network(self.model.read())
        samples = np.frombuffer(self.input.read(), np.int8)
        return network, samples.reshape(self.batch, *network.input_shape)
