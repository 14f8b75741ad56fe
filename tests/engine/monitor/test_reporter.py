"""Every event that the engine reports can be printed, by people's reporter and by machines'."""

import ast
import io
import json
from pathlib import Path

import pytest

import engine
from engine.monitor.reporter import _LINES, QUIET, JsonReporter, PlainReporter

NUMBERS = {"seconds", "block_time", "cost"}


def reported():
    """Name and field names of each call of a reporter in the package's source."""
    for path in sorted(Path(engine.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            event = node.args[0]
            if not isinstance(event, ast.Constant):
                continue
            if called in ("report", "_report"):
                yield event.value, tuple(word.arg for word in node.keywords)
            elif called == "tell":  # of one validator
                yield event.value, ("url", *(word.arg for word in node.keywords))
            elif called == "Tell" and isinstance(event.value, str):  # of the validator's machine
                yield event.value, (None,)


@pytest.mark.parametrize(("event", "fields"), sorted(set(reported()), key=str))
def test_an_event_has_a_line_and_every_field_of_it(event, fields):
    if None in fields:
        pytest.skip("its fields are a dictionary's")
    values = {name: 1.5 if name in NUMBERS else f"<{name}>" for name in fields}
    out = io.StringIO()
    PlainReporter(out)(event, **values)
    line = out.getvalue()
    if event in QUIET:
        assert line == ""
        return
    assert line.count("\n") == 1
    JsonReporter(out := io.StringIO())(event, **values)
    assert json.loads(out.getvalue()).items() >= ({"event": event} | values).items()


def test_every_line_belongs_to_an_event():
    assert {event for event, _ in reported()} >= set(_LINES) | QUIET
    assert not QUIET & set(_LINES)


def test_a_sentence_without_advice_ends_where_it_ends():
    out = io.StringIO()
    PlainReporter(out)("node_trouble", message="it is away", advice="")
    assert out.getvalue().endswith("node: it is away.\n")
