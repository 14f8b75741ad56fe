"""A log file that grows, is moved away, fills its disk; and how much of it is told."""

import json

import pytest

from engine.monitor.events.run import Pulse, Warned
from engine.monitor.log_file import LogFile
from engine.monitor.output import Output
from engine.monitor.reporter import JsonReporter, PlainReporter
from engine.runtime.errors import BadInput
from tests.engine.monitor import story

WARNED = Warned("clock", "it is late", "Set it.")


def test_what_has_grown_is_put_aside_and_the_oldest_goes(tmp_path):
    path = tmp_path / "engine.log"
    with LogFile(path, most=50, kept=2) as file:
        output = Output(file, service=True)
        for number in range(40):
            output.line(f"line {number:04}")
    lines = [
        line
        for name in ("engine.log.2", "engine.log.1", "engine.log")
        for line in (tmp_path / name).read_text().splitlines()
    ]
    assert lines == [f"line {number:04}" for number in range(40)][-len(lines) :]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "engine.log",
        "engine.log.1",
        "engine.log.2",
    ]
    assert path.stat().st_mode & 0o077 == 0


def test_a_file_that_was_moved_away_or_removed_begins_anew(tmp_path):
    path = tmp_path / "engine.log"
    with LogFile(path) as file:
        output = Output(file, service=True)
        output.line("first")
        path.rename(tmp_path / "rotated")
        output.line("second")
        path.unlink()
        output.line("third")
    assert (tmp_path / "rotated").read_text() == "first\n"
    assert path.read_text() == "third\n"


def test_a_full_disk_is_a_trouble_and_the_lines_come_again():
    told = []
    with LogFile("/dev/full") as file:
        output = Output(file, service=True)
        output.report = told.append
        output.line("lost")
    assert [event.event for event in told] == ["trouble"]


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(BadInput, match="cannot be written: No such file") as refused:
        LogFile(tmp_path / "none" / "engine.log")
    assert "--log-file" in refused.value.advice


@pytest.mark.parametrize("kind", [PlainReporter, JsonReporter])
def test_quiet_usual_and_verbose(tmp_path, kind):
    counts = {}
    for detail in ("quiet", "usual", "verbose"):
        with LogFile(tmp_path / detail) as file:
            report = kind(Output(file, service=True), detail)
            for event in (WARNED, story.computed(7), Pulse()):
                report(event)
        lines = (tmp_path / detail).read_text().splitlines()
        counts[detail] = len(lines)
        if kind is JsonReporter:
            assert {json.loads(line)["event"] for line in lines}
    assert counts == {"quiet": 1, "usual": 2, "verbose": 3}
