"""Tells the operator what happens: plain lines for people, JSON lines for machines.

    report = PlainReporter()
    report("block", height=38, hash="1002...", skipped=0)

An event is a name and fields; both reporters get the same ones, and nothing else prints. `QUIET`
events are for what keeps a state (`engine/monitor`): nobody reads a line for each of them.
"""

import json
import sys
import threading
import time
from collections.abc import Mapping
from gettext import gettext as _
from gettext import ngettext
from typing import Any, Protocol, TextIO

_LINES = {
    "start": _("mining for {address} on {chain_id} with {devices}; node {node}"),
    "ready": _("{device} passed its known-answer test after {seconds:.1f} s and takes work"),
    "gap": _("skipped blocks {first} to {last}: {reason}"),
    "skipped": _("block {height}: skipped, {reason}"),
    "computed": (
        _("block {height} task {index}: {result_hash:.16} on {device} in {seconds:.3f} s, checked")
    ),
    "signed": _("task {task_id}: signed with nonce {nonce}, transaction {tx_hash}"),
    "repriced": _("task {task_id}: signed again at {gas_price} units a gas, transaction {tx_hash}"),
    "confirmed": _("task {task_id}: final, in block {included_height}, transaction {tx_hash}"),
    "given_up": _("task {task_id}: given up, {reason}"),
    "rolled_back": _("the chain rolled back blocks {first} to {last}"),
    "child_killed": _("{device}: child replaced: {reason}"),
    "child_ended": _("{device}: child lost, another takes its place: {reason}"),
    "device_joined": "{device}: joined",
    "device_left": _("{device}: left, {reason}"),
    "farm_connected": _("the Ray cluster at {address} answers"),
    "farm_unreachable": _("the Ray cluster does not answer: {reason}. Its results so far are kept"),
    "out_of_service": _("{device}: out of service: {reason}"),
    "node_trouble": _("node: {message}. {advice}"),
    "node_well": _("node: answers again"),
    "sender_trouble": _("sending: {message}. {advice}"),
    "funded": _("made a key, address {address}, and funded it with {cpc} CPC"),
    "devnet": _("embedded devnet at {url}, a block every {block_time} s"),
    "warning": _("warning: {name}: {found}. {mend}"),
    "paused": _("{devices}: paused, {reason}"),
    "resumed": _("{devices}: takes work again"),
    "card_fault": "{device}: {message}",
    "validator": _(
        "validator of {chain_id}: workers dial {url}, customers http at {http} (see /docs)"
    ),
    "worker_came": _("worker {worker}: here, version {version}"),
    "worker_gone": _("worker {worker}: gone"),
    "hello_refused": _("a hello as {worker} was refused: its signature is not for this validator"),
    "job_accepted": _("task {task_id}: completed by {worker}"),
    "job_refused": _("task {task_id}: WRONG result of {worker}, who is out: {reason}"),
    "job_dropped": _("task {task_id}: waits again, {worker}: {reason}"),
    "job_escalated": _("task {task_id}: computed here, {worker}: {reason}"),
    "not_inspected": _("task {task_id}: could not be checked here: {reason}"),
    "task_failed": _("task {task_id}: failed, {reason}"),
    "validator_up": "{url}: connected",
    "validator_down": _("{url}: {reason}; dialled again in {seconds:.0f} s"),
    "validator_refused": _("{url}: no hello is said, {reason}"),
    "validator_bug": _("{url}: a bug of this program, which goes on: {detail}"),
    "hello": _("{url}: hello said, for the chain {chain_id}"),
    "frame_refused": _("{url}: a frame was refused: {reason}"),
    "job_taken": _("{url}: job {job_id}: {kind}, {cost:.3g} multiply-adds"),
    "job_done": _("{url}: job {job_id}: {result_hash:.16} on {device} in {seconds:.3f} s, {fate}"),
    "job_declined": _("{url}: job {job_id}: {code}, {message}"),
    "job_not_submitted": _("{url}: job {job_id}: not sent to the chain: {reason}"),
    "working": _("working for {validators} as {address} with {devices}"),
    "result_accepted": _("{url}: job {job_id}: accepted. {reason}"),
    "result_rejected": _("{url}: job {job_id}: rejected: {reason}"),
    "http": _("watch it at {url}"),
    "setting_changed": _("setting {name}: {value} from now on"),
    "setting_waits": _("setting {name}: {value} from the next start on"),
    "settings_same": _("the configuration was read again, and says the same"),
    "settings_refused": _("the configuration was read again and is refused: {message}. {advice}"),
    "stopping": _("stopping: everything is written down"),
    "summary": _("blocks seen: {blocks_seen}, results confirmed: {confirmed}"),
}

QUIET = frozenset({"device", "funds", "pause_asked", "pulse", "reading", "totals"})
"""A device's state, the balance, what was asked, a sign of life, sensors, the ledger's counts."""


def sentence(event: str, fields: Mapping[str, Any]) -> str:
    """The event as a line for people, without the time of day."""
    template = _block_line(fields["tasks"]) if event == "block" else _LINES[event]
    return template.format(**fields).rstrip()


def _block_line(tasks: int) -> str:
    return ngettext(
        "block {height} {hash:.12}: {tasks} task", "block {height} {hash:.12}: {tasks} tasks", tasks
    )


class Reporter(Protocol):
    """Takes events; must not raise."""

    def __call__(self, event: str, **fields: Any) -> None:
        """Tell of `event`."""


class PlainReporter:
    """One line an event, with the time of day."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout

    def __call__(self, event: str, **fields: Any) -> None:
        """Print the event's line."""
        if event in QUIET:
            return
        clock = time.strftime("%H:%M:%S")
        print(clock, sentence(event, fields), file=self._out, flush=True)


class OneAtATime:
    """A reporter that several threads may call."""

    def __init__(self, report: Reporter) -> None:
        self._report = report
        self._lock = threading.Lock()

    def __call__(self, event: str, **fields: Any) -> None:
        """Tell of `event` when the others are done."""
        with self._lock:
            self._report(event, **fields)


class JsonReporter:
    """One JSON object a line: `event`, `time` (Unix seconds) and the event's fields."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout

    def __call__(self, event: str, **fields: Any) -> None:
        """Print the object."""
        if event in QUIET:
            return
        print(
            json.dumps({"event": event, "time": round(time.time(), 3)} | fields),
            file=self._out,
            flush=True,
        )
