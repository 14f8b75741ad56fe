"""The log's disk is full, nobody reads it any more, or the streams were closed from the start."""

import os
from pathlib import Path

import pytest

from engine.monitor.output import Output
from tests.processes import ENGINE, PATIENCE_SECONDS, started
from tests.situations import QUICK_MINE, in_terminal, run, tells_no_bug
from tests.variants import quick_and_slow


@pytest.mark.parametrize("form", ["--plain", pytest.param("--json", marks=pytest.mark.slow)])
def test_mining_goes_on_where_the_logs_disk_is_full(home, form):
    done = run(f"{QUICK_MINE} {form} --blocks 2", shell="> /dev/full; exit $?")
    assert done.returncode == 0
    assert done.stderr.count("the log cannot be written: No space left on device") == 1


def test_lines_come_again_when_the_disk_has_room(tmp_path):
    """/dev/full, and then a file in its place behind the same descriptor."""
    told = []
    with Path("/dev/full").open("w") as stream:
        output = Output(stream, service=True)
        output.report = told.append
        output.line("lost")
        output.line("lost, too")
        room = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
        os.dup2(room, stream.fileno())
        os.close(room)
        output.line("here")
    assert [event.event for event in told] == ["trouble", "trouble_over"]
    assert "2 lines are missing" in told[1].message
    assert (tmp_path / "log").read_text() == "here\n"


@pytest.mark.parametrize(
    "line", quick_and_slow(["keys list"], ["--help", "--version", "config show mine"])
)
def test_a_command_whose_output_cannot_be_written_says_so(home, line):
    done = run(line, shell="> /dev/full; exit $?")
    assert done.returncode == 2
    assert done.stderr.startswith("error: No space left on device")
    both = run(line, shell="> /dev/full 2>&1; exit $?")
    assert both.returncode == 2


@pytest.mark.parametrize(
    "closed",
    [
        "<&- >&- 2>&-",
        pytest.param(">&-", marks=pytest.mark.slow),
        pytest.param("<&- >&-", marks=pytest.mark.slow),
    ],
)
def test_closed_streams_are_no_fault_and_no_file_takes_their_place(home, closed):
    done = run(f"{QUICK_MINE} --blocks 1", shell=f"{closed}; exit $?")
    assert done.returncode == 0
    assert done.stdout == ""


@pytest.mark.parametrize("form", ["--plain", pytest.param("--json", marks=pytest.mark.slow)])
def test_a_reader_that_goes_away_ends_a_run_that_somebody_watched(home, form):
    """It has no end of its own here."""
    done = run(f"{QUICK_MINE} {form}", shell="< /dev/null | head -n 2; exit ${PIPESTATUS[0]}")
    assert done.returncode == 0
    assert done.stderr == ""


@pytest.mark.slow
def test_a_service_goes_on_without_a_reader(home):
    """`nohup`, which ignores SIGHUP, says that it shall."""
    shell = "| head -n 1 > /dev/null; exit ${PIPESTATUS[0]}"
    ignored = ["bash", "-c", 'trap "" HUP; exec "$@"', "-"]
    done = run(f"{QUICK_MINE} --plain --blocks 3", shell=shell, prefix=ignored)
    assert done.returncode == 0
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("form", "stdin_is_terminal"),
    quick_and_slow([("", True)], [("", False), ("--plain", True), ("--plain", False)]),
)
def test_a_terminal_that_is_closed_ends_the_run_in_order(home, form, stdin_is_terminal):
    with in_terminal(f"{QUICK_MINE} {form}", stdin_is_terminal=stdin_is_terminal) as (
        process,
        ours,
    ):
        shown = b""
        while b"cpc-devnet-1" not in shown:
            shown += os.read(ours, 4096)
        os.close(ours)
        process.wait(PATIENCE_SECONDS)
        tells_no_bug(process.stderr.read())
    assert process.returncode == 0


@pytest.mark.slow
def test_a_reader_that_stands_still_holds_up_nothing(home):
    """A paused pager: the pipe is full, and the blocks are answered all the same."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while os.write(writer, b"\n" * 4096):
            pass
    except BlockingIOError:
        os.set_blocking(writer, True)
    command = [*ENGINE, *QUICK_MINE.split(), "--json", "--blocks", "2"]
    with os.fdopen(reader), started(command, stdout=writer, env=dict(os.environ)) as engine:
        os.close(writer)
        assert engine.wait(PATIENCE_SECONDS) == 0


def test_a_usage_error_that_nobody_can_be_told_is_one_by_its_exit_code(home):
    done = run("keys frobnicate", shell="2> /dev/full; exit $?")
    assert done.returncode == 2
