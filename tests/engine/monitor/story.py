"""Events as a run reports them, for every test of what is seen of it."""

from engine.monitor.events.mining import BlockSeen, LedgerTotals, TaskComputed
from engine.monitor.events.pool import DeviceState
from engine.monitor.events.protection import DeviceReading, DevicesPaused, Reading
from engine.monitor.events.run import MiningStarted
from engine.monitor.events.sending import BalanceChanged, ResultConfirmed

ADDRESS = "cpc1qvx4u8l2zke94tge5tdasmltm8lcdysn0umyrg"
START = 1_000_000.0
TASK_ID = "582f6ae1-62ea-5a15-8661-1dd90b81c066"


def start(devices=("cuda:0", "cuda:1")):
    return MiningStarted(
        address=ADDRESS,
        chain_id="cpc-devnet-1",
        devices=", ".join(devices),
        node="http://127.0.0.1:8000",
        network="devnet",
        height=1401,
        block_time=5.0,
        size=4096,
        iterations=1,
        ledger="/ledger.sqlite",
    )


def totals(**counts):
    return LedgerTotals(**{"seen": 0, "skipped": 0, "missed": 0, "fees": 0} | counts)


def device(name, state, reason=""):
    return DeviceState(name, state, reason)


def block(height, block_time=5.0):
    return BlockSeen(height, "ab" * 32, tasks=1, seen_at=START, block_time=block_time)


def computed(height, device="cuda:0", seconds=0.0125, n=4096, latency=0.05):
    return TaskComputed(
        height=height,
        index=0,
        task_id=TASK_ID,
        result_hash="cd" * 32,
        device=device,
        seconds=seconds,
        multiply_adds=n**3,
        latency=latency,
    )


def confirmed(height, fee=80 * 10**6):
    return ResultConfirmed(TASK_ID, height, "ee" * 32, included_height=height + 1, fee=fee)


def reading(name, **values):
    return DeviceReading(name, Reading(name="NVIDIA GeForce RTX 4090", **values))


def two_cards():
    """A minute of mining with two cards, the second of them paused for its heat."""
    yield start()
    yield totals(final=1234, sent=3, given_up=2, seen=1300, skipped=10, missed=55, fees=10**14)
    yield BalanceChanged(99_999_916_000_000_000_001)
    for index in (0, 1):
        name = f"cuda:{index}"
        yield device(name, "idle")
        yield reading(
            name,
            temperature=61.0 + 29 * index,
            power=318.4,
            memory_used=int(3.4 * 2**30),
            memory_total=24 * 2**30,
        )
    yield DevicesPaused("cuda:1", "90 °C, and the limit is 88 °C")
    for height in range(1402, 1408):
        yield block(height)
        yield computed(height)
        yield confirmed(height - 6)


def tell(projection, events, now=START):
    for event in events:
        projection.take(event, now)
    return projection
