"""When to ask for the next block: a little before and after it is due, not all the time.

    grid = BlockGrid(block_time=5.0)             # the network's
    grid.seen(tip.header, now=clock())
    sleep(grid.wait(now=clock()))
    grid.looked(asked=began)                     # a look that found nothing new

Blocks are made on a fixed grid of time (NODE.md), by a clock that is not ours. So a block's arrival
is bracketed: by the last look that did not find it, and the first that did. Until there is a bracket
looks come in short order; from then on one comes just before the earliest arrival that the brackets
leave open, one between that and the usual one, and more until the block is there.

A block that came late says nothing about the grid, nor does one that catches up, a second after the
last: only a block of round 0 that follows another of round 0 is learnt from. Its successor is due at
once after a block of a later round, and else at the next slots: one a round.
"""

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from math import floor, inf
from statistics import median

from node_client.block import BlockHeader

SPREAD = 64
"""Blocks between the two time stamps that the block time is measured from, at most."""
_ENOUGH = 3  # stamps at the network's block time: others that contradict them are dropped
_SLOWEST = 5  # times the network's block time: more is not believed
_STEP = (0.02, 0.04, 0.1)
"""Between looks for a block that is due: least seconds, share of a block time, most seconds."""
_MARGIN = 0.3  # of a step: how much before the earliest arrival the first look comes
_NARROW = 0.02  # seconds: brackets that are closer are not halved
_BRACKETS = 8  # blocks that the next arrival is predicted from
_LATE = 3  # steps after the usual arrival: more says nothing about the grid
_SURPRISES = 3  # arrivals in a row outside of what was predicted, or missed, until it is forgotten
_CATCH_UP = (0.2, 1.0)  # between blocks that catch up: share of a block time, most seconds
_LONGEST = 2.0  # seconds between looks, however long a chain stands still
_ROUNDS = 16  # slots after the first at which a late block is looked for
_EPSILON = 1e-3  # seconds: a look that is due so soon is due


@dataclass(frozen=True, slots=True)
class _Bracket:
    """A block that came after `low` and at `high` at the latest; -inf: no look was before it."""

    height: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class _Tip:
    """The newest block. It came between `low` (a guess) and `high`; `on_time`: its round is 0."""

    height: int
    on_time: bool
    low: float
    high: float


class BlockGrid:
    """Predicts the arrival of the next block. Times in seconds of any one clock that does not jump."""

    def __init__(self, block_time: float) -> None:
        """`block_time`: the network's, used for as long as no time stamps contradict it."""
        self.block_time = block_time
        self._believed = block_time
        self._stamps: deque[tuple[int, int]] = deque(maxlen=SPREAD)
        self._brackets: deque[_Bracket] = deque(maxlen=SPREAD)
        self._tip: _Tip | None = None
        self._last_look = -inf
        self._surprises = 0

    def know(self, header: BlockHeader) -> None:
        """Take the time stamp of a block, newer than those known, into account.

        A block of a later round is passed over: its slot would rest on the block time.
        """
        while self._stamps and self._stamps[-1][0] >= header.height:
            self._stamps.pop()  # rolled back
        if header.round == 0:
            self._stamps.append((header.height, header.timestamp))
            self._measure()

    def seen(self, header: BlockHeader, *, now: float) -> None:
        """A look had found this block for the first time at `now`."""
        before, low = self._tip, self._last_look
        self._last_look = -inf
        came = now - self._catch_up if before is None else max(low, now - self._step)
        self._tip = _Tip(header.height, header.round == 0, came, now)
        while self._brackets and self._brackets[-1].height >= header.height:
            self._brackets.pop()  # rolled back
        if (
            before is not None
            and before.on_time
            and self._tip.on_time
            and header.height == before.height + 1
        ):
            self._learn(_Bracket(header.height, low, now))
        elif before is not None and header.height > before.height + 1 and self._brackets:
            self._surprise()  # what was predicted came too late for a block
        self.know(header)

    def looked(self, *, asked: float) -> None:
        """A look that began at `asked` found nothing new."""
        self._last_look = asked

    def wait(self, now: float) -> float:
        """Seconds from `now` to the next look: a block time at most, whatever a node made us learn."""
        return min(max(self._next_look(now) - now, _EPSILON), max(self.block_time, _LONGEST))

    def blocks_since(self, now: float) -> float:
        """Block times since the newest block was seen; 0 before the first."""
        return 0.0 if self._tip is None else (now - self._tip.high) / self.block_time

    @property
    def _predicts(self) -> bool:
        """Whether there are brackets, and a block time: the network's, or one that they measure."""
        return len(self._brackets) > (self.block_time != self._believed)

    @property
    def _step(self) -> float:
        least, share, most = _STEP
        return min(max(share * self.block_time, least), most)

    def _next_look(self, now: float) -> float:
        tip = self._tip
        if tip is None:
            return now + self._step
        begun, coming, looks = tip.high + 2 * self.block_time, inf, []  # in short order at first
        if self._predicts:
            looks = self._window(tip.height + 1)
            begun, coming = -inf, looks[0]
        due_at_once = not tip.on_time or coming < tip.high
        if coming <= now + _EPSILON:
            rounds = floor((now + _EPSILON - coming) / self.block_time)
            if rounds < _ROUNDS:
                looks = [look + rounds * self.block_time for look in looks]
                begun, coming = looks[0], looks[0] + self.block_time
            else:
                begun, coming = coming, inf
        most = [look for look in looks if look > now + _EPSILON][:1] or [coming]
        coming = min(coming, most[0])
        step = self._step
        if due_at_once:
            low = tip.low + self._catch_up
            if now < low:
                return min(low + 0.25 * step, coming)
            begun, step = max(begun, tip.high + self._catch_up), 1.25 * step
        if begun == -inf:
            return coming
        return min(now + min(max(step, (now - begun) / 4), _LONGEST), coming)

    @property
    def _catch_up(self) -> float:
        share, most = _CATCH_UP
        return min(share * self.block_time, most)

    def _window(self, height: int) -> list[float]:
        """When to look for a block that is on time: before it, when it is usual, and soon after."""
        lows, highs = self._relative(height)
        earliest = highs[0]  # no later than this did one block come
        below = bisect_right(lows, earliest - 1e-9)
        low = lows[below - 1] if below else -inf
        first = (low if low > -inf else earliest) - _MARGIN * self._step
        first -= (0.0, self._step, self._catch_up)[min(self._surprises, 2)]
        soon = _NARROW / 4
        agree = low > -inf and below == len(lows)  # one arrival fits all of them
        if not agree:
            usual = median(highs) + soon
        elif earliest - low > _NARROW:
            usual = (low + earliest) / 2
        else:
            usual = earliest + soon
        looks = [first, min(max(usual, first + _NARROW / 2), first + self._step)]
        if agree and len(lows) > _BRACKETS / 2:
            looks.append(min(max(earliest + soon, looks[1] + _NARROW / 2), looks[1] + self._step))
        return looks

    def _relative(self, height: int) -> tuple[list[float], list[float]]:
        """Return the brackets' ends, sorted, as if each had been of the block at `height`."""
        brackets = list(self._brackets)[-_BRACKETS:]
        ahead = [(height - bracket.height) * self.block_time for bracket in brackets]
        lows = [bracket.low + time for bracket, time in zip(brackets, ahead, strict=True)]
        highs = [bracket.high + time for bracket, time in zip(brackets, ahead, strict=True)]
        return sorted(lows), sorted(highs)

    def _learn(self, bracket: _Bracket) -> None:
        if not self._brackets:
            if bracket.low > -inf:
                self._brackets.append(bracket)
            return
        late = bracket.low > self._window(bracket.height)[1] + _LATE * self._step
        early = bracket.low == -inf
        if not (late or early):
            self._surprises = 0
        elif self._surprise():
            late = early
        if not late:
            self._brackets.append(bracket)

    def _surprise(self) -> bool:
        """Whether there are so many in a row that the grid is another one by now."""
        self._surprises += 1
        if self._surprises < _SURPRISES:
            return False
        self._surprises = 0
        self._brackets.clear()
        return True

    def _measure(self) -> None:
        """Take the block time from the stamps where they contradict the network's."""
        if len(self._stamps) >= _ENOUGH and self._agrees(self._stamps[-_ENOUGH]):
            while not self._agrees(self._stamps[0]):
                self._stamps.popleft()  # a node's lie
        self.block_time = self._believed
        if self._agrees(self._stamps[0]):
            return
        (first, earlier), (last, later) = self._stamps[0], self._stamps[-1]
        blocks, seconds = last - first, later - earlier
        least, most = (seconds - 1) / blocks, (seconds + 1) / blocks
        measured = max(seconds, 0.5) / blocks
        if len(self._brackets) > 1:
            start, end = self._brackets[0], self._brackets[-1]
            measured = (end.high - start.high) / (end.height - start.height)
        measured = min(max(measured, least), most)
        self.block_time = min(max(measured, _STEP[0]), _SLOWEST * self._believed)

    def _agrees(self, earlier: tuple[int, int]) -> bool:
        """Whether the network's block time lies between this stamp and the last, in whole seconds."""
        height, timestamp = self._stamps[-1]
        seconds = (height - earlier[0]) * self._believed
        return abs(timestamp - earlier[1] - seconds) <= 1
