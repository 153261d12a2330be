"""Headless Chromium over its debugging pipe: open a page, press, look, listen.

Null-terminated JSON messages of the Chrome DevTools Protocol go through file descriptors 3 and 4
of the browser's process; no driver and no port is needed.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


class Page:
    """One tab. `requests` are the URLs it asked for, `complaints` its console errors, exceptions
    and policy violations."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._out, self._in = to_browser, from_browser
        self._buffer = b""
        self._sent = 0
        self._events: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.complaints: list[str] = []
        target = self._call("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})
        self._session: str = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def open(self, path: Path, width: int = 1400, height: int = 900, *, dark: bool = False) -> None:
        """Load the file at this size and in this preferred colour scheme."""
        self.resize(width, height)
        self.prefer(dark=dark)
        self._events.clear()
        self.call("Page.navigate", {"url": path.as_uri()})
        self._until("Page.loadEventFired")

    def prefer(self, *, dark: bool) -> None:
        """What the reader's system prefers, from now on."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", {"features": [scheme], "media": ""})

    def resize(self, width: int, height: int = 900) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", size)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; promises are awaited."""
        answer = self.call(
            "Runtime.evaluate",
            {"expression": script, "returnByValue": True, "awaitPromise": True},
        )
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """One key, as a user presses it."""
        for kind in ("rawKeyDown", "keyUp"):
            event = {"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code}
            self.call("Input.dispatchKeyEvent", event)

    def move(self, x: float, y: float) -> None:
        """The pointer to this place."""
        self.call("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})

    def touch(self, x: float, y: float) -> None:
        """A finger on this place, and off again."""
        point = {"x": x, "y": y}
        self.call("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
        self.call("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    def screenshot(self, *, whole: bool = False, of: Sequence[str] = ()) -> bytes:
        """PNG of what is seen, of the whole page, or in its whole width from the first to the last
        of the elements that these selectors find."""
        options: dict[str, Any] = {"format": "png"}
        if whole or of:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            if of:
                tops, bottoms = zip(*map(self._extent, of), strict=True)
                top = max(0, min(tops) - 12)
                size |= {"y": top, "height": max(bottoms) + 12 - top}
            options |= {"captureBeyondViewport": True, "clip": {**size, "scale": 1}}
        return base64.b64decode(self.call("Page.captureScreenshot", options)["data"])

    def _extent(self, selector: str) -> tuple[float, float]:
        """Top and bottom of an element on the page."""
        top, bottom = self.run(
            f"(() => {{ const b = document.querySelector({json.dumps(selector)})"
            ".getBoundingClientRect(); return [b.top + scrollY, b.bottom + scrollY]; })()"
        )
        return top, bottom

    def pdf(self) -> bytes:
        """The page as it would be printed."""
        return base64.b64decode(self.call("Page.printToPDF", {"printBackground": True})["data"])

    def call(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        return self._call(method, params or {}, self._session)

    def _call(self, method: str, params: dict[str, Any], session: str = "") -> dict[str, Any]:
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        while True:
            answer = self._receive()
            if answer.get("id") == self._sent:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result

    def _until(self, method: str) -> None:
        while not any(e["method"] == method for e in self._events):
            self._receive()

    def _receive(self, timeout_s: float = 60.0) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0, deadline - time.monotonic()))
            chunk = os.read(self._in, 1 << 20) if ready else b""
            if not chunk:
                raise AssertionError("the browser does not answer")
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        if "method" in message:
            self._hear(message)
        return message

    def _hear(self, event: dict[str, Any]) -> None:
        self._events.append(event)
        method, params = event["method"], event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.complaints.append(str(params["args"]))


@contextlib.contextmanager
def browser(profile: Path, program: str = "chromium") -> Iterator[Page]:
    """A browser with an empty profile, closed at the end."""
    from_us, to_browser = os.pipe()
    from_browser, to_us = os.pipe()

    def wire() -> None:
        # Both may already be 3 or 4, so go through higher numbers.
        first, second = os.dup(from_us), os.dup(to_us)
        os.dup2(first, 3)
        os.dup2(second, 4)

    process = subprocess.Popen(
        [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        preexec_fn=wire,  # noqa: PLW1509  the tests start no threads
        close_fds=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(from_us)
    os.close(to_us)
    try:
        page = Page(to_browser, from_browser)
        yield page
        page._call("Browser.close", {})
    finally:
        os.close(to_browser)
        os.close(from_browser)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
