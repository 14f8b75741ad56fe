"""An HTTP server of the tests' own, for as long as a block runs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer


@contextmanager
def serving(
    handler: type[BaseHTTPRequestHandler], server: type[HTTPServer] = HTTPServer
) -> Iterator[str]:
    """Serve on a free port of this machine; give the URL, without a slash at the end."""
    with server(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}"
        finally:
            running.shutdown()
            thread.join()
