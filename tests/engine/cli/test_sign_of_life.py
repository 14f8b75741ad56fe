"""Who waits at a terminal sees that something goes on; a file or a pipe gets nothing of it."""

import contextlib
import os
import pty

import pytest

from engine.cli.waiting import sign_of_life


@contextlib.contextmanager
def terminal():
    """The other end of a terminal that is this process's stderr; pytest's own is put back after it."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stderr, contextlib.redirect_stderr(stderr):
        yield ours
    os.close(ours)


def test_dots_and_the_end_of_their_line():
    with terminal() as ours:
        with sign_of_life(every=0.01):
            assert os.read(ours, 1) == b"."
        shown = b""
        while not shown.endswith(b"\n"):
            shown += os.read(ours, 100)
    assert set(shown) <= set(b".\r\n")


def test_nothing_of_what_is_quick_and_an_error_passes():
    with terminal() as ours:
        with pytest.raises(KeyError), sign_of_life(every=1e6):
            raise KeyError
        os.set_blocking(ours, False)
        with pytest.raises(BlockingIOError):
            os.read(ours, 1)


def test_nothing_to_a_pipe(capsys):
    with sign_of_life(every=1e-9):
        pass
    assert capsys.readouterr().err == ""
