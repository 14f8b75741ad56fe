"""The end of a run in a few lines: totals, money, and what is not finished.

A line a result would bury them: `cpc-engine history` has the days, and the ledger each result.
"""

from collections import Counter
from collections.abc import Iterator
from gettext import gettext as _
from gettext import ngettext
from typing import TYPE_CHECKING

from engine.monitor import formatting as wording

if TYPE_CHECKING:
    from engine.mining.config import Summary
    from engine.node.request import JobSummary
    from engine.txmgr.ledger_reader import Progress

SHOWN = 5
"""Results that are not finished, and reasons, of which each has a line."""


def mining_lines(summary: "Summary", balance: str | None) -> Iterator[str]:
    """Give the lines of a mining run. `balance`: in CPC, None where it is not known."""
    from node_client.networks import format_cpc

    yield _(
        "Blocks seen: {seen}, not answered in full: {skipped}, missed: {missed}; in {time}"
    ).format(
        seen=summary.blocks_seen,
        skipped=summary.blocks_skipped,
        missed=summary.blocks_missed,
        time=wording.duration(summary.seconds),
    )
    unfinished = [one for one in summary.results if one.state not in ("final", "given_up")]
    given_up = summary.counts.get("given_up", 0)
    confirmed = ngettext("{count} result confirmed", "{count} results confirmed", summary.confirmed)
    yield _("{confirmed}, {open} not finished, {given_up} given up").format(
        confirmed=confirmed.format(count=summary.confirmed),
        open=summary.unfinished,
        given_up=given_up,
    )
    yield _("Received from others: {received}; fees: {fees}; balance: {balance}").format(
        received=wording.money(format_cpc(summary.received)),
        fees=wording.money(format_cpc(summary.fees)),
        balance=wording.money(balance),
    )
    reasons = Counter(one.reason or "" for one in summary.results if one.state == "given_up")
    for reason, count in reasons.most_common(SHOWN):
        yield "  " + _("given up: {count}, {reason}").format(count=count, reason=reason)
    for one in unfinished[:SHOWN]:
        yield f"  {_unfinished(one)}"
    if summary.unfinished > SHOWN:
        more = _("and {count} more; the next start goes on with all of them")
        yield "  " + more.format(count=summary.unfinished - SHOWN)


def job_lines(summary: "JobSummary", address: str, *, mined: bool = False) -> Iterator[str]:
    """Give the lines of this account's work for validators. `mined`: those of mining have the money."""
    from node_client.networks import format_cpc

    yield _(
        "Jobs computed so far: {computed}, {accepted} accepted, {rejected} rejected by their"
        " validators; this run took {time}"
    ).format(
        computed=summary.computed,
        accepted=summary.accepted,
        rejected=summary.rejected,
        time=wording.duration(summary.seconds),
    )
    if summary.received is None:
        asked = _("What validators paid, a node knows, and none answered: {command}")
        yield asked.format(command=f"cpc-engine query balance {address}")
    elif not mined:
        received = wording.money(format_cpc(summary.received))
        yield _("Received from others: {received}").format(received=received)


def _unfinished(result: "Progress") -> str:
    states = {
        "computed": _("computed"),
        "signed": _("signed"),
        "sent": _("sent"),
        "included": _("in block {height}, not final yet").format(height=result.included_height),
    }
    return _("block {height} task {index}: {state}").format(
        height=result.height, index=result.task_index, state=states[result.state]
    )
