"""The bar that is drawn while kernels are compiled."""

import contextlib
import io
import sys

from engine.cli.opening import CompilationBar


class Screen(io.StringIO):
    def __init__(self, terminal):
        super().__init__()
        self._terminal = terminal

    def isatty(self):
        return self._terminal


def show(monkeypatch, *, terminal):
    """A stderr of our own; in the test itself, as pytest puts its own in before each one."""
    screen = Screen(terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


def test_on_a_terminal(monkeypatch):
    screen = show(monkeypatch, terminal=True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with CompilationBar() as bar:
        for done in range(8):
            bar(done, 7)
    assert "7/7" in screen.getvalue()


def test_elsewhere_nothing(monkeypatch):
    screen = show(monkeypatch, terminal=False)
    with CompilationBar() as bar:
        bar(0, 7)
        bar(7, 7)
    assert screen.getvalue() == ""


def test_nothing_to_compile(monkeypatch):
    screen = show(monkeypatch, terminal=True)
    with CompilationBar():
        pass
    assert screen.getvalue() == ""


def test_an_error_leaves_no_bar_behind(monkeypatch):
    show(monkeypatch, terminal=True)
    bar = CompilationBar()
    with contextlib.suppress(KeyError), bar:
        bar(0, 7)
        raise KeyError
    assert bar._bar is not None
    assert not bar._bar.live.is_started
