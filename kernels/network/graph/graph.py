"""A graph: inputs, nodes in the order in which they are computed, outputs. Checked when it is made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from gettext import gettext as _
from typing import Any

from kernels.errors import InvalidNetwork
from kernels.network.graph.operator import Form, Operator

MAX_NODES = 2048
MAX_ENDS = 16
"""Most inputs, and most outputs."""


@dataclass(frozen=True, slots=True)
class Node:
    """An operator and the values that it takes: input i is value i, node j makes value inputs + j."""

    operator: Operator
    inputs: tuple[int, ...]
    name: str = ""
    """For people."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Graph:
    """Nodes that fit one another. Raises InvalidNetwork."""

    inputs: tuple[Form, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]
    about: Mapping[str, Any] = field(default_factory=dict)
    """For people: `name`, `labels`, and for each end its name and scale. It decides no bit."""
    states: tuple[int, ...] = ()
    """Entries of each state before the first sample. As many of the last inputs are states, and as many
    of the last outputs what they are for the next sample (stream.py)."""
    forms: tuple[Form, ...] = field(init=False)
    """Of every value."""
    costs: tuple[int, ...] = field(init=False)
    """Of every node, for one sample."""
    last_use: tuple[int, ...] = field(init=False)
    """The node after which a value is not needed; an output's is the number of nodes."""
    sample_bytes: int = field(init=False)
    """Memory that one sample needs at most: what is alive at a node, and its scratch."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.nodes) <= MAX_NODES:
            raise InvalidNetwork(
                _("a network has 1 to {MAX_LAYERS} layers").format(MAX_LAYERS=MAX_NODES)
            )
        if not (1 <= len(self.inputs) <= MAX_ENDS and 1 <= len(self.outputs) <= MAX_ENDS):
            raise InvalidNetwork(_("a network has 1 to {most} inputs and outputs").format(most=16))
        forms, costs, scratch = list(self.inputs), [], []
        last_use = list(range(-len(self.inputs), 0))
        for place, node in enumerate(self.nodes):
            known = [forms[i] for i in node.inputs if type(i) is int and 0 <= i < len(forms)]
            operator = node.operator
            if len(known) != len(node.inputs) or not (
                operator.least_inputs <= len(known) <= operator.most_inputs
            ):
                raise InvalidNetwork(
                    _("node {name} has too few inputs, too many, or unknown ones").format(
                        name=_name(node, place)
                    )
                )
            try:
                forms.append(operator.output(*known))
                costs.append(operator.cost(*known))
                scratch.append(operator.scratch_bytes(*known))
            except InvalidNetwork as error:
                raise InvalidNetwork(f"{_name(node, place)}: {error}") from error
            last_use.append(place)
            for i in node.inputs:
                last_use[i] = place
        for i in self.outputs:
            if type(i) is not int or not 0 <= i < len(forms):
                raise InvalidNetwork(_("an output is not the value of any node"))
            last_use[i] = len(self.nodes)
        self._check_states(forms)
        object.__setattr__(self, "forms", tuple(forms))
        object.__setattr__(self, "costs", tuple(costs))
        object.__setattr__(self, "last_use", tuple(last_use))
        object.__setattr__(self, "sample_bytes", self._most_bytes(scratch))

    def _check_states(self, forms: list[Form]) -> None:
        count = len(self.states)
        if count == 0:
            return
        before, after = self.inputs[-count:], [forms[i] for i in self.outputs[-count:]]
        if (
            count >= min(len(self.inputs), len(self.outputs))
            or list(before) != after
            or any(form.entry_bytes != 1 for form in before)
            or any(type(start) is not int or not -128 <= start <= 127 for start in self.states)
        ):
            raise InvalidNetwork(
                _(
                    "states are the last inputs and outputs, int8 of the same shapes, and start as int8"
                )
            )

    def _most_bytes(self, scratch: list[int]) -> int:
        alive = most = sum(form.size for form in self.inputs)
        gone: dict[int, int] = {}
        for value, use in enumerate(self.last_use):
            gone[use] = gone.get(use, 0) + self.forms[value].size
        for place, between in enumerate(scratch):
            alive += self.forms[len(self.inputs) + place].size
            most = max(most, alive + between)
            alive -= gone.get(place, 0)
        return most + sum(form.size for form in self.inputs) + self.columns * self.entry_bytes

    @property
    def sample_entries(self) -> int:
        """Bytes of one sample: those of each input that is no state, in order."""
        return sum(form.size for form in self.inputs) - self.state_entries

    @property
    def state_entries(self) -> int:
        """Bytes of all states, which are the last of `columns`, too."""
        return sum(form.size for form in self.inputs[len(self.inputs) - len(self.states) :])

    @property
    def input_shape(self) -> tuple[int, ...]:
        """An int8 input's shape without a leading 1; several inputs are one row of bytes."""
        if len(self.inputs) - len(self.states) > 1 or self.inputs[0].entry_bytes > 1:
            return (self.sample_entries,)
        shape = self.inputs[0].shape
        return shape[1:] if len(shape) > 1 and shape[0] == 1 else shape

    @property
    def columns(self) -> int:
        """Entries of one sample's outputs, one after the other, states the last."""
        return sum(self.forms[i].entries for i in self.outputs)

    @property
    def entry_bytes(self) -> int:
        """4 where an output is int32, and then the others are widened; otherwise 1."""
        return max(self.forms[i].entry_bytes for i in self.outputs)

    @property
    def sample_cost(self) -> int:
        """Multiply-adds of one sample."""
        return max(1, sum(self.costs))


def _name(node: Node, place: int) -> str:
    return f"{place} ({node.name[:60] or node.operator.op})"
