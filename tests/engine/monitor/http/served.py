"""A board with a story on it, behind a real port."""

import contextlib

from engine.monitor.events.protection import DevicesPaused, DevicesResumed, PauseAsked
from engine.monitor.http.auth import AuthMiddleware
from engine.monitor.http.routes import create_app
from engine.monitor.http.server import ServerThread, listen_at


class Orders:
    """A control that remembers, and does what a miner would."""

    def __init__(self, board):
        self.board, self.given = board, []

    def pause(self):
        self.given.append("pause")
        self.board(PauseAsked(paused=True))
        self.board(DevicesPaused("cuda:0, cuda:1", "asked for"))

    def resume(self):
        self.given.append("resume")
        self.board(PauseAsked(paused=False))
        self.board(DevicesResumed("cuda:0, cuda:1"))


@contextlib.contextmanager
def served(board, token=None, explorer=""):
    """Gives the URL and the orders."""
    orders = Orders(board)
    with listen_at("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        with ServerThread(
            listening, lambda: AuthMiddleware(create_app(board, orders, explorer), token), "test"
        ) as server:
            server.wait()
            yield f"http://127.0.0.1:{port}", orders
