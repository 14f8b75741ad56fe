"""A devnet that misbehaves by itself, as a seed has it: what `cpc-engine devnet --chaos` runs.

    with DevnetServer(block_time=0.2) as devnet, Chaos(devnet.chain, devnet.faults, seed=7, every=3.0):
        ...

The same seed gives the same faults in the same order, with the same pauses in between. When they
meet a client depends on that client; `history` says what happened when.

Roll-backs go no deeper than `deepest` blocks below the highest block there ever was: that is how
deep a result has to lie to be final, and a chain that takes back more than that breaks every promise.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from node_client.devnet.chain import Chain
from node_client.devnet.faults import Faults
from node_client.devnet.lies import PLAIN_LIES, Lie
from node_client.errors import InvalidData

DEEPEST = 6
_STEP = 0.05  # seconds between two looks at whether to end


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `seconds`: how long it lasts, 0 for those of a moment; the rest: see `Faults`."""

    kind: str
    seconds: float = 0.0
    blocks: int = 0
    put_back: bool = False
    lie: Lie | None = None


@dataclass(frozen=True, slots=True)
class Happened:
    """A fault, and the `time.monotonic` at which it began."""

    at: float
    fault: Fault


def _unavailable(dice: random.Random) -> Fault:
    return Fault("unavailable", seconds=dice.uniform(0.3, 3.0))


def _stall(dice: random.Random) -> Fault:
    return Fault("stall", seconds=dice.uniform(0.3, 3.0))


def _hold(dice: random.Random) -> Fault:
    return Fault("hold", seconds=dice.uniform(0.3, 3.0))


def _forget(_dice: random.Random) -> Fault:
    return Fault("forget")


def _roll_back(dice: random.Random) -> Fault:
    return Fault("roll_back", blocks=dice.randint(1, DEEPEST), put_back=dice.random() < 0.5)


def _lie(dice: random.Random) -> Fault:
    return Fault("lie", seconds=dice.uniform(0.3, 3.0), lie=dice.choice(PLAIN_LIES))


KINDS: dict[str, Callable[[random.Random], Fault]] = {
    "unavailable": _unavailable,
    "stall": _stall,
    "hold": _hold,
    "forget": _forget,
    "roll_back": _roll_back,
    "lie": _lie,
}
"""Every kind of fault, and how the dice make one: see `Faults` for what each does."""


def plan(
    seed: int, every: float, kinds: Sequence[str] = tuple(KINDS)
) -> Iterator[tuple[float, Fault]]:
    """Pauses in seconds, `every` on average, and the fault after each; without an end.

    Each kind comes once in a round, in an order of its own. Raises InvalidData for an unknown kind.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise InvalidData(f"unknown fault {kind!r}: there are {', '.join(KINDS)}")
    if not kinds:
        raise InvalidData("chaos needs at least one kind of fault")
    dice = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    while True:
        for kind in dice.sample(list(kinds), len(kinds)):
            yield dice.uniform(0.5, 1.5) * every, KINDS[kind](dice)


class Chaos(threading.Thread):
    """Carries a plan out on a devnet until it is stopped. A context manager."""

    def __init__(
        self,
        chain: Chain,
        faults: Faults,
        *,
        seed: int,
        every: float,
        kinds: Sequence[str] = tuple(KINDS),
        tell: Callable[[Fault], None] = lambda _fault: None,
    ) -> None:
        """`tell` is called with each fault as it begins. Raises InvalidData."""
        super().__init__(name="chaos", daemon=True)
        if every <= 0:
            raise InvalidData("the time between two faults must be more than nothing")
        plan(seed, every, kinds).__next__()  # complains of a kind that is none, here and now
        self._plan = plan(seed, every, kinds)
        self._chain = chain
        self._faults = faults
        self._tell = tell
        self._highest = 0
        self._stopping = threading.Event()
        self.history: list[Happened] = []

    def run(self) -> None:
        """Wait, do harm, and again."""
        for pause, fault in self._plan:
            if not self._wait(pause):
                return
            self.history.append(Happened(time.monotonic(), fault))
            self._tell(fault)
            self._carry_out(fault)
            if not self._wait(fault.seconds):
                return
            if fault.kind == "lie":
                self._faults.clear()

    def stop(self) -> None:
        """End, and let the devnet be an honest one again."""
        self._stopping.set()
        if self.ident is not None:
            self.join()
        self._faults.clear()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _carry_out(self, fault: Fault) -> None:
        match fault.kind:
            case "unavailable":
                self._faults.unavailable(fault.seconds)
            case "stall":
                self._faults.stall(fault.seconds)
            case "hold":
                self._faults.hold(fault.seconds)
            case "forget":
                self._faults.forget()
            case "roll_back":
                self._roll_back(fault)
            case "lie":
                assert fault.lie is not None
                self._faults.lie(fault.lie)

    def _roll_back(self, fault: Fault) -> None:
        lowest = max(0, self._highest - DEEPEST)
        blocks = min(fault.blocks, self._chain.height - lowest)
        if blocks > 0:
            self._faults.roll_back(blocks, put_back=fault.put_back)

    def _wait(self, seconds: float) -> bool:
        """Wait, and watch how high the chain grows; False to end."""
        until = time.monotonic() + seconds
        while True:
            self._highest = max(self._highest, self._chain.height)
            left = until - time.monotonic()
            if left <= 0:
                return not self._stopping.is_set()
            if self._stopping.wait(min(left, _STEP)):
                return False
