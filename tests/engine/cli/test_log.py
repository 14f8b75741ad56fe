"""What a run prints: dated lines with levels, one object a line, priorities for the journal."""

import json
import os
import re
import subprocess

import pytest

from tests.processes import ENGINE, PATIENCE_SECONDS

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d (info|warning|error)\s+\S.*")


RUN = "mine --devnet --block-time 0.3 --device reference --blocks 1 --size 64 --iterations 1"


def in_the_journal(*options):
    """The lines of a run whose stdout is what JOURNAL_STREAM names."""
    reading, writing = os.pipe()
    found = os.fstat(writing)
    environment = os.environ | {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
    with subprocess.Popen(
        [*ENGINE, *RUN.split(), *options], stdout=writing, stderr=subprocess.PIPE, env=environment
    ) as process:
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as lines:
            text = lines.read()
        told = process.stderr.read()
        assert process.wait(PATIENCE_SECONDS) == 0, told
    return text.splitlines()


def test_plain_lines_have_date_zone_and_level(cli):
    lines = cli(f"{RUN} --plain").out.splitlines()
    events = lines[: lines.index("")]  # then the summary
    assert len(events) > 3
    for line in events:
        assert LINE.fullmatch(line), line


def test_one_object_a_line(cli):
    said = [json.loads(line) for line in cli(f"{RUN} --log-format json").out.splitlines()]
    assert {one["level"] for one in said} <= {"info", "warning", "error"}
    assert {"devnet", "block", "summary"} <= {one["event"] for one in said}


@pytest.mark.slow
def test_the_journal_gets_priorities(home):
    lines = in_the_journal("--log-format", "json")
    assert len(lines) > 3
    for line in lines:
        assert re.match(r"<[346]>\{", line), line
        assert json.loads(line[3:])["level"] == {"3": "error", "4": "warning", "6": "info"}[line[1]]


def test_an_error_is_one_in_the_journal_too(home):
    reading, writing = os.pipe()
    found = os.fstat(writing)
    environment = os.environ | {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
    done = subprocess.run(
        [*ENGINE, "keys", "show", "nobody"], stderr=writing, env=environment, check=False
    )
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as lines:
        told = lines.read().splitlines()
    assert done.returncode == 2
    assert [line[:3] for line in told] == ["<3>"] * 2


def test_another_format_is_refused(cli):
    outcome = cli("mine --log-format xml")
    assert outcome.code == 2
    assert "--log-format takes plain or json" in outcome.err


def test_a_file_has_what_the_terminal_is_spared(cli, home):
    log = home / "engine.log"
    mine = (
        "mine --devnet --block-time 0.2 --blocks 1 --depth 1 --device reference --size 64 --plain"
    )
    done = cli(f"{mine} -q --log-file {log}")
    assert done.code == 0
    assert "checked" not in done.out
    assert "Blocks seen: 1" in done.out
    assert "checked" in log.read_text()
    assert cli(f"{mine} -v --log-file {log}").code == 0
    assert "pulse" in log.read_text()
    assert cli(f"{mine} -q -v").code == 2
    refused = cli(f"{mine} --log-file {home}/none/engine.log")
    assert refused.code == 2
    assert "cannot be written" in refused.err
