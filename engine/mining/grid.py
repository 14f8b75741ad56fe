"""When to ask for the next block: near its expected time, not all the time.

    grid = BlockGrid(block_time=5.0)
    grid.seen(height=34, timestamp=1795444205, now=clock())
    sleep(grid.wait(now=clock()))

The chain makes blocks on a fixed grid (NODE.md). Its time stamps are whole seconds and its clock
is not ours, so the phase is learnt from arrivals: where the first look of a block finds it, the next
look comes a little earlier, and where it does not, the moment it does come is the new phase.
"""

SPREAD = 64
"""Blocks between the two time stamps that the block time is measured from, at most."""
_EARLIER = 0.02  # of a block time: how much sooner to look after a first look that hit
_LOOK_AGAIN = 0.04  # of a block time: pause between looks for a block that is due
_SHORTEST, _LONGEST = 0.02, 2.0  # seconds between looks


class BlockGrid:
    """Predicts the arrival of the next block. Times in seconds of any one clock.

    The block time that it begins with is a belief: until time stamps or two arrivals have borne it
    out, looks come in short order, so that a chain that is faster than believed loses no block.
    """

    def __init__(self, block_time: float) -> None:
        self.block_time = block_time
        self._trusted = False
        self._height: int | None = None
        self._arrival = 0.0
        self._looks = 0
        self._anchor: tuple[int, float] | None = None

    def measure(self, height: int, timestamp: int, earlier_height: int, earlier: int) -> None:
        """Take the block time from the time stamps of two blocks some way apart."""
        blocks, seconds = height - earlier_height, timestamp - earlier
        if blocks < 1 or seconds < 4:
            return  # stamps are whole seconds: a short stretch says too little
        measured = seconds / blocks
        if abs(measured - self.block_time) > max(0.05 * self.block_time, 1.0 / blocks):
            self.block_time = measured
        self._trusted = True

    def seen(self, height: int, now: float) -> None:
        """A look at `now` found this block for the first time."""
        if self._height is None:
            self._arrival = now  # it came at some time before
        else:
            blocks = max(height - self._height, 1)
            expected = self._arrival + blocks * self.block_time
            first_look_hit = self._trusted and self._looks <= 1
            self._arrival = (
                min(now, expected) - _EARLIER * self.block_time if first_look_hit else now
            )
            self._learn_block_time(height, now)
        self._height = height
        self._looks = 0

    def wait(self, now: float) -> float:
        """Seconds from `now` to the next look. Each call stands for one look to come."""
        self._looks += 1
        pause = min(max(_LOOK_AGAIN * self.block_time, _SHORTEST), _LONGEST)
        late = now - self._arrival - self.block_time
        if self._height is not None and late > self.block_time:
            return min(max(pause, 0.1 * late), _LONGEST)  # a stalled chain: ever less often
        if self._height is None or not self._trusted:
            return pause
        if late < 0:
            return -late
        return pause if self._looks > 1 else _SHORTEST

    def _learn_block_time(self, height: int, now: float) -> None:
        if self._anchor is None or height <= self._anchor[0]:
            self._anchor = (height, now)
            return
        blocks = height - self._anchor[0]
        measured = (now - self._anchor[1]) / blocks
        wrong = abs(measured - self.block_time) > 0.25 * self.block_time
        if not self._trusted or (wrong and blocks >= 4):
            self.block_time = measured
            self._trusted = True
        elif blocks >= 16:
            self.block_time += 0.25 * (measured - self.block_time)
        else:
            return
        self._anchor = (height, now)
