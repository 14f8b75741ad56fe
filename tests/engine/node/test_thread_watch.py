"""A thread that stands still is told of, and later no more vouched for."""

from engine.monitor.troubles import Troubles
from engine.node.thread_watch import HUNG_SECONDS, TOLD_SECONDS, ThreadWatch
from tests.engine.logs import Log


def test_it_is_told_in_time_and_over_when_it_moves_on():
    log = Log()
    watch = ThreadWatch(Troubles(log))
    turned_at = {"pool": 0.0, "sender": 0.0}
    for now in range(int(TOLD_SECONDS)):
        turned_at["pool"] = float(now)
        assert watch.look(turned_at, float(now))
    assert not log.all("trouble")
    assert watch.look(turned_at | {"pool": TOLD_SECONDS}, TOLD_SECONDS)
    (told,) = log.all("trouble")
    assert (told["kind"], told["stops"]) == ("thread_stuck", True)
    assert told["message"] == f"the sender has made no progress for {TOLD_SECONDS:.0f} s"
    assert not watch.look(turned_at | {"pool": HUNG_SECONDS}, HUNG_SECONDS)
    assert watch.look(dict.fromkeys(turned_at, HUNG_SECONDS), HUNG_SECONDS)
    assert [over["kind"] for over in log.all("trouble_over")] == ["thread_stuck"]
