"""The bar that is drawn while kernels are compiled."""

import contextlib
import io
import sys

import pytest

from engine.cli.opening import CompilationBar


class Screen(io.StringIO):
    def __init__(self, terminal):
        super().__init__()
        self._terminal = terminal

    def isatty(self):
        return self._terminal


@pytest.fixture
def screen(monkeypatch, request):
    screen = Screen(request.param)
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


@pytest.mark.parametrize("screen", [True], indirect=True)
def test_on_a_terminal(screen, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with CompilationBar() as bar:
        for done in range(8):
            bar(done, 7)
    assert "7/7" in screen.getvalue()


@pytest.mark.parametrize("screen", [False], indirect=True)
def test_elsewhere_nothing(screen):
    with CompilationBar() as bar:
        bar(0, 7)
        bar(7, 7)
    assert screen.getvalue() == ""


@pytest.mark.parametrize("screen", [True], indirect=True)
def test_nothing_to_compile(screen):
    with CompilationBar():
        pass
    assert screen.getvalue() == ""


@pytest.mark.parametrize("screen", [True], indirect=True)
def test_an_error_leaves_no_bar_behind(screen):
    bar = CompilationBar()
    with contextlib.suppress(KeyError), bar:
        bar(0, 7)
        raise KeyError
    assert bar._bar is not None
    assert not bar._bar.live.is_started
