"""A time limit for a whole HTTP exchange, which requests does not have.

    session.mount("http://", BoundedAdapter())
    with Deadline(30.0) as deadline:
        ...
    # an exchange that is not over in time fails, and deadline.passed is True

The timeouts of requests are for each read: a node that sends one byte every nine seconds would hold
a client for ever. When the time is up, the connection is shut down from a timer's thread, and
whatever waits for it fails.
"""

import heapq
import itertools
import os
import socket
import ssl
import threading
import time
from contextlib import suppress
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

_current: "ContextVar[Deadline | None]" = ContextVar("deadline", default=None)


class _Timer:
    """One thread for every deadline, and not one for each request: threads may be short."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Deadline]] = []
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None

    def cut(self, seconds: float, deadline: "Deadline") -> None:
        """Cut this one then, in the timer's thread. Raises RuntimeError where that cannot start."""
        with self._changed:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                thread.start()
                self._thread = thread
            at = time.monotonic() + seconds
            earliest = not self._due or at < self._due[0][0]
            heapq.heappush(self._due, (at, next(self._numbers), deadline))
            if earliest:
                self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while True:
                    while self._due and self._due[0][2].is_over:  # most are: no wake for each
                        heapq.heappop(self._due)
                    left = self._due[0][0] - time.monotonic() if self._due else None
                    if left is not None and left <= 0:
                        break
                    self._changed.wait(left)
                deadline = heapq.heappop(self._due)[2]
            deadline.cut()


_timer = _Timer()


class Deadline:
    """Context manager: connections used by this thread inside it are cut off after `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._lock = threading.Lock()
        self.is_over = False
        self._watched: list[socket.socket] = []
        self._seconds = seconds

    def __enter__(self) -> Self:
        self._token = _current.set(self)
        try:
            _timer.cut(self._seconds, self)
        except RuntimeError as error:  # no thread can be started
            _current.reset(self._token)
            raise requests.ConnectionError(str(error)) from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _current.reset(self._token)
        with self._lock:
            self.is_over = True
            for watched in self._watched:
                watched.close()
            self._watched.clear()

    def watch(self, descriptor: int) -> None:
        """Cut this connection off, too. Its descriptor is duplicated: TLS will take it over."""
        with self._lock:
            self._watched.append(socket.socket(fileno=os.dup(descriptor)))
            if self.passed:
                self._shut()

    def cut(self) -> None:
        """The time is up: for the timer's thread."""
        with self._lock:
            if not self.is_over:
                self.passed = True
                self._shut()

    def _shut(self) -> None:
        for watched in self._watched:
            with suppress(OSError):
                watched.shutdown(socket.SHUT_RDWR)


class _BoundedHTTP(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _watched(super()._new_conn())

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:  # kept alive from an earlier exchange
            _watched(self.sock)
        super().request(*args, **kwargs)


class _BoundedHTTPS(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _watched(super()._new_conn())

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            _watched(self.sock)
        super().request(*args, **kwargs)


class _BoundedHTTPPool(HTTPConnectionPool):
    ConnectionCls = _BoundedHTTP


class _BoundedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _BoundedHTTPS


def connect(
    host: str, port: int | None, timeout: float, tls: ssl.SSLContext | None
) -> HTTPConnection:
    """Return an open connection that the current deadline cuts off. Raises OSError, HTTPError."""
    connection = (
        _BoundedHTTP(host, port, timeout=timeout)
        if tls is None
        else _BoundedHTTPS(host, port, timeout=timeout, ssl_context=tls)
    )
    connection.connect()
    return connection


_POOLS = {"http": _BoundedHTTPPool, "https": _BoundedHTTPSPool}


class BoundedAdapter(HTTPAdapter):
    """An adapter of requests whose connections know the deadline; it never retries by itself."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pool of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """Make, or find, the pool of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


def _watched(connection: socket.socket) -> socket.socket:
    deadline = _current.get()
    if deadline is not None:
        deadline.watch(connection.fileno())
    return connection
