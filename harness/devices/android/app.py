"""Google's benchmark app on one phone: installed, started, read from the log, removed.

An app that was there before is used and stays. See `harness.devices.runners.benchmark_app`.
"""

from __future__ import annotations

import secrets
import shlex
import time
from pathlib import Path

import msgspec

from harness.core.errors import StableDeviceError, UsageError, WorkerError, naming_log
from harness.core.specs import AndroidSpec
from harness.core.text import clean, clean_lines, is_sha256
from harness.core.types import Case, Timing
from harness.devices.android.executable import locate
from harness.devices.android.link import Change, PhoneLink
from harness.devices.runners import PHASES, benchmark_app
from harness.devices.runners import benchmark_model as runner
from harness.devices.runners.benchmark_app import PACKAGE
from harness.system.clock import now_iso
from harness.system.files import sha256

TOOL = "benchmark_app"
POLL_S = 0.5
SILENT_S = 20.0  # for an app that has not logged its start, or nothing after an error
SDK_LOW_TARGETS = 34  # from here on, apps for Android before 6 are installed only on request
# A nightly build, as for benchmark_model of dialect A.
URL = (
    "https://storage.googleapis.com/tensorflow-nightly-public/prod/tensorflow/release/lite/tools/"
    "nightly/latest/{platform}_benchmark_model.apk"
)


class PhoneApp:
    """The app behind a link that is open. Raises DeviceErrors, WorkerErrors and UsageErrors."""

    def __init__(self, spec: AndroidSpec, link: PhoneLink, log: Path) -> None:
        self._spec, self._link, self._log = spec, link, log
        self._change: Change | None = None  # None for an app that was there before
        self._local: Path | None = None
        self._ready = False
        self.sha256: str | None = None

    def install(self) -> None:
        """Install it, unless it is there."""
        if not self._ready:
            self._find()
        self._ready = True
        if self._change is not None and self._local is not None:
            self._link.bring(self._local, self._place)
            if refused := self._link.make(self._change):
                said = clean(clean_lines(refused.stdout + refused.stderr), 200)
                raise StableDeviceError(
                    "prepare",
                    f"the phone does not install the benchmark app: {said or 'it says nothing'}",
                    "allow installing over USB in its developer options, or install it by hand: "
                    "adb install -r -d -g --bypass-low-target-sdk-block FILE.apk",
                )

    def version(self) -> str:
        """Where the app comes from."""
        return "on the phone" if self._change is None else "installed for the run"

    @property
    def _place(self) -> str:
        return f"{self._link.work}/benchmark.apk"

    def _find(self) -> None:
        there = clean(self._link.shell(f"pm path {PACKAGE}").stdout, 300)
        if there.startswith("package:"):
            path = shlex.quote(there.removeprefix("package:").split(" ")[0])
            said = clean(self._link.shell(f"sha256sum < {path}").stdout).split(" ")[0]
            self.sha256 = said if is_sha256(said) else None
            if self._spec.runner.app and self.sha256 != sha256(Path(self._spec.runner.app)):
                raise UsageError(
                    "another build of the benchmark app is on the phone than runner.app",
                    f"remove it (adb uninstall {PACKAGE}), or leave runner.app out to use it",
                )
            return
        self._local = self._apk()
        self.sha256 = sha256(self._local)
        low = self._link.identity.sdk >= SDK_LOW_TARGETS
        flags = "-r -g --bypass-low-target-sdk-block" if low else "-r -g"
        self._change = Change(
            "the benchmark app",
            # The file tells a later run to remove the app if this one is killed.
            f": > {shlex.quote(f'{self._link.work}/app')}; "
            f"s=$(pm install {flags} {shlex.quote(self._place)} 2>&1); "
            'echo "$s"; case "$s" in *Success*) ;; *) false ;; esac',
            f"pm uninstall {PACKAGE}",
        )

    def _apk(self) -> Path:
        own = self._spec.runner.app
        spec = msgspec.structs.replace(
            self._spec.runner, path=own, device_path=None, sha256=None, url=None if own else URL
        )
        return locate(
            msgspec.structs.replace(spec, dialect="A"),
            self._link.identity.abi or "unknown",
            self._link.progress("benchmark app"),
            check=self._link.attendant.check,
            named=("benchmark app", "runner.app"),
        )

    def measure(self, case: Case, model: str, timing: Timing) -> runner.Outcome:
        """One launch: `am start` ends the app first, so that it is a fresh process."""
        timeout = self._spec.launch_timeout_s
        nonce = secrets.token_hex(8)
        arguments = runner.arguments("A", model, case, timing, max_secs=timeout / PHASES)
        since = clean(self._link.shell("date '+%m-%d %H:%M:%S.000'").stdout)
        try:
            started = self._link.shell(benchmark_app.start_command(arguments, nonce))
            said = clean(clean_lines(started.stdout + started.stderr), 300)
            if started.exit_code or "Error" in said:
                raise StableDeviceError(
                    "launch",
                    f"the phone does not start the benchmark app: {said}",
                    "unlock its screen, and check that the shell may start apps",
                )
            with naming_log(self._log):
                logged = self._finished(benchmark_app.log_command(since), nonce, timeout)
                return benchmark_app.interpret(logged, case.delegate)
        finally:
            self._link.shell(f"am force-stop {PACKAGE}")

    def _finished(self, command: str, nonce: str, timeout: float) -> benchmark_app.Logged:
        """What it logged once it has finished. Android keeps the process of an app whose last
        activity has ended, so only the log shows the end."""
        began = changed = time.monotonic()
        before = benchmark_app.Logged(False, False, "", "")
        while True:
            answer = clean_lines(self._link.shell(f"pidof {PACKAGE}; echo; {command}").stdout)
            alive = answer.split("\n")[0].strip().isdecimal()
            logged = benchmark_app.read_log(answer, nonce)
            now = time.monotonic()
            if logged.text != before.text:
                changed = now
            if logged.finished:
                self._write_log(logged)
                return logged
            if error := _over(
                before,
                logged,
                alive,
                passed_s=now - began,
                silent_s=now - changed,
                timeout=timeout,
            ):
                self._write_log(logged)
                raise error
            before = logged
            self._link.attendant.wait(POLL_S)

    def _write_log(self, logged: benchmark_app.Logged) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("a", encoding="utf-8") as file:
            file.write(f"# {now_iso()} {TOOL}\n{logged.text}\n{logged.crash}\n\n")


def _over(
    before: benchmark_app.Logged,
    logged: benchmark_app.Logged,
    alive: bool,
    *,
    passed_s: float,
    silent_s: float,
    timeout: float,
) -> WorkerError | None:
    """Why waiting longer is useless; None if it may still finish."""
    if before.started and not logged.started:
        return WorkerError(
            "launch",
            "the phone's log was cleared while the benchmark app ran",
            "close what clears it (another adb logcat -c, a log app), or give it a larger buffer "
            "in the developer options",
        )
    if logged.crash or (logged.started and not alive):
        return benchmark_app.failure(logged)
    if "ERROR: " in logged.text and silent_s > SILENT_S:
        return benchmark_app.failure(logged)
    if not logged.started and passed_s > SILENT_S:
        return WorkerError(
            "launch",
            "the benchmark app has logged nothing"
            + (" and runs" if alive else " and does not run"),
            "unlock the phone's screen; the log may be switched off in the developer options "
            "(logger buffer size)",
        )
    if passed_s > timeout:
        return WorkerError(
            "launch",
            f"the benchmark app did not finish within {timeout:g} s",
            "raise launch_timeout_s in devices.yaml",
        )
    return None
