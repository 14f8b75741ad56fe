"""Every event can be printed, by people's reporter and by machines'."""

import io
import json
from dataclasses import fields
from typing import get_args

import pytest

from engine.monitor.events import AnyEvent
from engine.monitor.events.mining import NodeTrouble
from engine.monitor.reporter import JsonReporter, PlainReporter

EVENTS = get_args(AnyEvent)
QUIET = {"device", "funds", "pause_asked", "pulse", "reading", "totals"}
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


def test_no_two_events_have_one_name():
    assert len({kind.event for kind in EVENTS}) == len(EVENTS)


def test_a_sentence_without_advice_ends_where_it_ends():
    out = io.StringIO()
    PlainReporter(out)(NodeTrouble("it is away", ""))
    assert out.getvalue().endswith("node: it is away.\n")
