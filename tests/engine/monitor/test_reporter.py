"""Every event can be printed, by people's reporter and by machines'."""

import io
import json
from dataclasses import fields, replace
from typing import get_args

import pytest

from engine.monitor.events import AnyEvent
from engine.monitor.events.run import MiningStarted
from engine.monitor.events.trouble import TroubleBegan, TroubleEnded
from engine.monitor.reporter import JsonReporter, PlainReporter
from engine.monitor.state import Monitor

EVENTS = get_args(AnyEvent)
QUIET = {
    "balance_lasts",
    "device",
    "device_jobs",
    "funds",
    "jobs_counted",
    "opened",
    "pause_asked",
    "pulse",
    "reading",
    "totals",
    "unreadable",
    "update_unknown",
}
NUMBERS = {"int": 7, "float": 1.5, int: 7, float: 1.5}


def made(kind):
    return kind(*(NUMBERS.get(field.type, f"<{field.name}>") for field in fields(kind)))


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.event)
def test_an_event_has_a_line_and_every_field_of_it(kind):
    event = made(kind)
    out, objects = io.StringIO(), io.StringIO()
    PlainReporter(out)(event)
    JsonReporter(objects)(event)
    if kind.event in QUIET:
        assert out.getvalue() == objects.getvalue() == ""
        return
    assert out.getvalue().count("\n") == 1
    said = json.loads(objects.getvalue())
    assert said.items() >= ({"event": kind.event} | event.fields()).items()
    assert event.fields().items() >= {f.name: getattr(event, f.name) for f in fields(kind)}.items()


SLY = "\x1b[2J\x9b31m\x07\r\n\u202e\x85"


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.event)
def test_no_text_of_others_controls_a_terminal_or_shows_a_password(kind):
    texts = {
        field.name: f"{field.name}{SLY} http://me:hunter2@h/x, ws://hunter2@[::1]:1"
        for field in fields(kind)
        if field.type in ("str", str)
    }
    event = replace(made(kind), **texts)
    out, objects = io.StringIO(), io.StringIO()
    PlainReporter(out)(event)
    JsonReporter(objects)(event)
    for line in (*out.getvalue().splitlines(), *objects.getvalue().splitlines()):
        assert line.isprintable()
        assert "hunter2" not in line
        assert all(f"\\u{ord(c):04x}" not in line for c in SLY)


def test_nor_does_what_status_and_the_page_show():
    monitor = Monitor(None)
    url = f"http://me:hunter2@h{SLY}"
    monitor(TroubleBegan("node_away", f"{url} is away", f"Look at {url}", True))
    monitor(replace(made(MiningStarted), node=url, chain_id=SLY))
    seen = monitor.snapshot().model_dump()
    assert seen["troubles"]
    text = repr(seen)  # which escapes what cannot be printed
    assert "***@h" in text
    assert "hunter2" not in text
    assert not any(repr(c)[1:-1] in text for c in SLY if not c.isprintable())


def test_no_two_events_have_one_name():
    assert len({kind.event for kind in EVENTS}) == len(EVENTS)


def test_a_sentence_without_advice_ends_where_it_ends():
    out = io.StringIO()
    PlainReporter(out)(TroubleBegan("node_away", "it is away", "", True))
    assert out.getvalue().endswith(" it is away.\n")


@pytest.mark.parametrize(
    ("event", "names"),
    [
        (TroubleBegan("node_away", "m", "a", True), ["node_trouble", "trouble"]),
        (TroubleEnded("node_away", "m"), ["node_well", "trouble_over"]),
        (TroubleBegan("not_sent", "m", "a", True), ["sender_trouble", "trouble"]),
        (TroubleBegan("balance_low", "m", "a", True), ["sender_trouble", "trouble"]),
        (TroubleEnded("balance_low", "m"), ["trouble_over"]),
        (TroubleBegan("key_shared", "m", "a", True), ["trouble"]),
    ],
)
def test_programs_that_read_the_former_names_still_find_them(event, names):
    out = io.StringIO()
    JsonReporter(out)(event)
    said = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [one["event"] for one in said] == names
    if isinstance(event, TroubleBegan):
        assert all((one["message"], one["advice"]) == ("m", "a") for one in said)
