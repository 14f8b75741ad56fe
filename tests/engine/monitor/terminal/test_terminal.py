"""The terminal's view: it fits whatever the terminal's size, and gives the terminal back."""

import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from engine.monitor.events.pool import ChildEnded, ChildKilled
from engine.monitor.events.protection import DevicesPaused
from engine.monitor.events.trouble import TroubleBegan, TroubleKind
from engine.monitor.formatting import clock_time, duration, money, rate
from engine.monitor.projection import Projection
from engine.monitor.terminal.render import Size, draw
from tests.engine.monitor import story
from tests.processes import PATIENCE_SECONDS, end

NOW = story.START


def frame(snapshot, width, height, **console):
    console = Console(width=width, height=height, color_system=None, **console)
    with console.capture() as capture:
        console.print(draw(snapshot, Size(width, height)))
    return capture.get().splitlines()


@pytest.fixture(scope="module")
def snapshot():
    return story.tell(Projection(NOW), story.two_cards()).snapshot(NOW + 2)


def test_at_80_by_24_everything_is_there(snapshot):
    lines = frame(snapshot, 80, 24)
    text = "\n".join(lines)
    for what in (
        r"cpc-engine \S+ mining  cpc1qvx",
        r"cuda:0  ready +11 T +6  61 °C  318 W  3.4/24 GiB  1407 cdcdcdcd 12 ms",
        r"cuda:1  paused +–  +0  90 °C",
        r"Height +1407",
        r"Next block +3 s ━",
        r"Blocks +1306, 10 skipped, 55 missed",
        r"Confirmed +1240",
        r"Pending +3",
        r"Given up +2",
        r"Fees +0.00010000048 CPC",
        r"Balance +99.999916… CPC",
        r"block 1407 task 0: cdcdcdcd… on cuda:0 in 0.013 s, checked",
    ):
        assert re.search(what, text), what
    assert len(lines) == 24


@settings(max_examples=60, deadline=None)
@given(st.integers(40, 200), st.integers(8, 60), st.integers(0, 20), st.booleans())
def test_it_fits_every_size(width, height, devices, trouble):
    names = [f"cuda:{index}" for index in range(devices)]
    projection = story.tell(Projection(NOW), [story.start(names)] if names else [])
    story.tell(projection, (story.device(name, "idle") for name in names))
    if trouble:
        story.tell(projection, [TroubleBegan("node_away", "refused\n" * 9, "x" * 200, True)])
    lines = frame(projection.snapshot(NOW), width, height)
    assert len(lines) <= height
    assert all(cell_len(line) <= width for line in lines)
    assert "cpc-engine" in lines[0]
    if devices and height >= 20:
        shown = sum(line.lstrip("│ ").startswith("cuda:") for line in lines)
        assert shown == devices or f"and {devices - shown} more" in "\n".join(lines)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_no_state_is_cut_in_either_language(language):
    """What does not fit is left out whole. A process of its own: a language is chosen at its start."""
    script = (
        "from engine.runtime.i18n import speak; speak()\n"
        "from tests.engine.monitor.terminal import test_terminal as t\n"
        "from engine.monitor.formatting import state_word\n"
        "shown = t.story.tell(t.Projection(t.NOW), t.story.two_cards()).snapshot(t.NOW + 2)\n"
        "for width, height in ((40, 10), (80, 24), (200, 60)):\n"
        "    lines = t.frame(shown, width, height)\n"
        "    for name, state in (('cuda:0', 'idle'), ('cuda:1', 'paused')):\n"
        "        assert any(name in line and state_word(state) in line for line in lines), lines\n"
        "    assert all(t.cell_len(line) <= width for line in lines)\n"
    )
    subprocess.run(
        [sys.executable, "-c", script], check=True, env=os.environ | {"LANGUAGE": language}
    )


def test_troubles_stand_on_top():
    projection = story.tell(Projection(NOW), [story.start(("cpu",)), story.device("cpu", "idle")])
    trouble = TroubleBegan("node_away", "it refuses connections", "start it", True)
    story.tell(projection, [trouble, DevicesPaused("cpu", "asked for")])
    lines = frame(projection.snapshot(NOW), 80, 24)
    assert lines[1].startswith(" Paused: asked for")
    since = clock_time(NOW)
    assert lines[2].startswith(f" since {since}: it refuses connections. start it")


def test_how_often_a_device_fell_is_shown():
    projection = story.tell(Projection(NOW), [story.start(("cpu",)), story.device("cpu", "idle")])
    assert "↻" not in "".join(frame(projection.snapshot(NOW), 80, 24))
    story.tell(projection, [ChildKilled("cpu", "hung"), ChildEnded("cpu", "exit code 1")])
    assert " ready ↻2 " in "".join(frame(projection.snapshot(NOW), 80, 24))


def test_a_long_sentence_has_the_rows_that_are_left_and_its_end_says_what_to_do():
    projection = story.tell(Projection(NOW), [story.start(("cpu",))])
    why = "cpu: out of service: " + "its process ended; " * 6 + "it is tried again after 10 min"
    out = TroubleBegan("device_out", why, "cpc-engine doctor tests it.", False, "cpu")
    story.tell(projection, [out, TroubleBegan("gas_price", "high", "Wait.", True)])
    lines = frame(projection.snapshot(NOW), 80, 24)
    assert lines[1].endswith("high. Wait.")
    assert "".join(lines[2:5]).endswith("10 min. cpc-engine doctor tests it.")
    assert all(cell_len(line) <= 80 for line in lines)
    low = frame(projection.snapshot(NOW), 40, 8)
    assert [line.rstrip()[-1] for line in low[1:3]] == [".", "…"]


def test_what_stops_the_engine_stands_above_what_does_not_and_no_row_is_lost():
    projection = story.tell(Projection(NOW), [story.start(("cpu",))])
    kinds = get_args(TroubleKind)
    for stops, some in ((False, kinds[::2]), (True, kinds[1::2])):
        story.tell(projection, [TroubleBegan(kind, kind, "", stops) for kind in some])
    lines = frame(projection.snapshot(NOW), 80, 120)
    told = [line.rpartition(": ")[2].strip() for line in lines[1 : 1 + len(kinds)]]
    assert told == [*kinds[1::2], *kinds[::2]]
    low = frame(projection.snapshot(NOW), 80, 24)
    assert kinds[1] in low[1]
    assert low[6].strip() == f"and {len(kinds) - 5} more: cpc-engine status --json"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.00002, "20 MOPS"), (0.0304, "30.4 GOPS"), (1387.2, "1387 TOPS")],
)
def test_rates(value, text):
    assert rate(value) == text


def test_durations_and_money():
    assert [duration(value) for value in (5, 65, 3700, 100_000)] == [
        "5 s",
        "1 min 5 s",
        "1 h 1 min",
        "1 d 3 h",
    ]
    assert money("0.00000000008") == "0.00000000008 CPC"
    assert money(None) == "–"


OWN_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"


class Terminal:
    """A program on a pseudo-terminal of its own, in whose foreground it runs."""

    def __init__(self, script, *arguments, rows=24, columns=80):
        self.fd, other = pty.openpty()
        ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.program = subprocess.Popen(
            [sys.executable, "-c", OWN_TERMINAL + script, *arguments],
            stdin=other,
            stdout=other,
            stderr=other,
            env=os.environ | {"TERM": "xterm-256color"},
            start_new_session=True,
        )
        os.close(other)
        self.text = ""

    def until(self, shown, seconds=PATIENCE_SECONDS):
        """Read until this was shown; None: until the program has closed its terminal."""
        deadline = time.monotonic() + seconds
        while shown is None or shown not in self.text:
            assert time.monotonic() < deadline, self.text[-3000:]
            if not select.select([self.fd], [], [], 0.2)[0]:
                continue
            try:
                read = os.read(self.fd, 65536).decode(errors="replace")
            except OSError:
                assert shown is None, self.text[-3000:]
                return
            self.text += read

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def end(self):
        self.until(None)
        try:
            return self.program.wait(timeout=PATIENCE_SECONDS)
        finally:
            end(self.program)


def test_a_real_terminal_shows_it_and_gets_back_what_it_showed(tmp_path, monkeypatch):
    """Mining on a devnet, paused and resumed by a key, ended by Ctrl-C."""
    monkeypatch.setenv("CPC_STATE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    main = "from engine.cli import main; main()"
    line = "mine --devnet --device reference --size 16 --block-time 0.5 --depth 1"
    terminal = Terminal(main, *line.split())
    before = termios.tcgetattr(terminal.fd)
    terminal.until("\x1b[?1049h")
    terminal.until("final, in block ")
    assert "reference" in terminal.text
    terminal.until("p pause or resume, q quit")
    terminal.type("p")
    terminal.until("Paused: asked for")
    terminal.type("p")
    terminal.until("takes work again")
    seen = len(terminal.text)
    terminal.type("\x03")
    assert terminal.end() == 0
    left = terminal.text[seen:]
    assert left.index("\x1b[?1049l") < re.search(r"\d results? confirmed", left).start()
    assert terminal.text.rindex("\x1b[?25h") > terminal.text.rindex("\x1b[?25l")
    assert termios.tcgetattr(terminal.fd) == before
    assert "Traceback" not in terminal.text


def test_q_quits_and_other_keys_do_nothing():
    script = (
        "import threading\n"
        "from engine.monitor.state import Monitor\n"
        "from engine.monitor.terminal.live_view import LiveView\n"
        "class Control(threading.Event):\n"
        "    stop = threading.Event.set\n"
        "    pause = resume = None\n"
        "control = Control()\n"
        "with LiveView(Monitor()) as view, view.attend(control):\n"
        "    assert control.wait(90)\n"
        "print('quit')\n"
    )
    terminal = Terminal(script)
    terminal.until("q quit")
    terminal.type("xyz\r\x1b[A")
    terminal.type("q")
    assert terminal.end() == 0
    assert terminal.text.rstrip().endswith("quit")


def test_a_stopped_view_steps_aside_and_comes_back(tmp_path, monkeypatch):
    """Ctrl-Z gives the terminal back; `fg` (SIGCONT) shows the view again."""
    script = (
        "import signal, threading\n"
        "from engine.monitor.state import Monitor\n"
        "from engine.monitor.terminal.live_view import LiveView\n"
        "ended = threading.Event()\n"
        "signal.signal(signal.SIGUSR1, lambda *_: ended.set())\n"
        "with LiveView(Monitor()):\n"
        "    while not ended.wait(0.05): pass\n"
    )
    terminal = Terminal(script)
    terminal.until("cpc-engine")
    terminal.program.send_signal(signal.SIGTSTP)
    terminal.until("\x1b[?1049l")
    _, status = os.waitpid(terminal.program.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    terminal.text = ""
    terminal.program.send_signal(signal.SIGCONT)
    terminal.until("\x1b[?1049h")
    terminal.program.send_signal(signal.SIGUSR1)
    assert terminal.end() == 0
    assert terminal.text.rstrip().endswith(("\x1b[?1049l", "\x1b[?25h"))
