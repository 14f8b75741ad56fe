"""The lines at the end of a run."""

from engine.cli.summaries import SHOWN, mining_lines
from engine.mining.config import Summary
from engine.txmgr.ledger_reader import Progress


def result(height, state, reason=None):
    values = dict.fromkeys(Progress.__dataclass_fields__)
    fates = {"state": state, "reason": reason, "included_height": height + 1}
    return Progress(**values | {"height": height, "task_index": 0} | fates)


def lines(results, **more):
    counts = {}
    for one in results:
        counts[one.state] = counts.get(one.state, 0) + 1
    return list(mining_lines(Summary(9, 1, 2, results, 75.0, counts, **more), "12.5"))


def test_totals_money_and_what_is_not_finished():
    results = [
        result(4, "final"),
        result(5, "given_up", "its block was rolled back"),
        result(6, "included"),
        result(7, "sent"),
    ]
    assert lines(results, fees=240 * 10**15, received=15 * 10**17) == [
        "Blocks seen: 9, not answered in full: 2, missed: 1; in 1 min 15 s",
        "1 result confirmed, 2 not finished, 1 given up",
        "Received from others: 1.5 CPC; fees: 0.24 CPC; balance: 12.5 CPC",
        "  given up: 1, its block was rolled back",
        "  block 6 task 0: in block 7, not final yet",
        "  block 7 task 0: sent",
    ]


def test_hundreds_are_a_few_lines():
    many = [result(height, "sent") for height in range(300)]
    many += [result(height, "given_up", f"reason {height}") for height in range(300)]
    said = lines(many)
    assert len(said) == 3 + 2 * SHOWN + 1
    assert said[-1] == "  and 295 more; the next start goes on with all of them"
