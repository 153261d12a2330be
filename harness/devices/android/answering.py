"""Test images answered on a phone by the classic benchmark_model, one process for each image.

All images are one file on the phone, pushed once: the inputs of all images one after the other. A
shell loop there cuts out one image after the other and keeps the answers. They come back with the
loop's own output after some seconds, and then the loop goes on, so that a person sees how far it is
and little is lost when the cable is pulled: what the phone has kept by then is not computed again.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import shlex
from typing import NamedTuple

from harness.core.errors import StableDeviceError, WorkerError
from harness.core.text import clean, clean_lines, integer
from harness.core.types import Artifact, Case
from harness.devices import Examples
from harness.devices.android import parity
from harness.devices.android.link import PhoneLink
from harness.devices.android.tool import ANSWER_TIMING, PhoneTool
from harness.devices.runners import PHASES
from harness.devices.runners import benchmark_model as runner
from harness.system.files import sha256

STRETCH_S = 10  # how long the phone goes on before it sends its answers
MOST_BYTES = 6_000_000  # of answers at a time; a shell's output has a limit
STAGE = "answers"

# Statuses of the loop itself; the runner's own are passed on beside them.
_LOST, _NO_IMAGE, _NO_SPACE, _NO_BASE64 = 71, 72, 73, 74

# `turn` ends a loop that outlived its connection, once another has begun. What is in `said`
# survives a broken connection; `of` says what it belongs to.
_LOOP = """\
command -v base64 >/dev/null || exit {no_base64}
echo {nonce} > turn
[ "$(cat of 2>/dev/null)" = {key} ] || {{ rm -f said; echo {key} > of; }}
: >> said || exit {no_space}
i=$(({start} + $(wc -l < said))); s=0; left={most}
end=$(($(date +%s) + {seconds}))
while [ $i -lt {count} ] && [ $left -gt 0 ]; do
  rm -f output.bin
  dd if={examples} of=input0 bs={size} skip=$i count=1 2>/dev/null || exit {no_image}
  sh -c {one} > run.out 2> run.err; s=$?
  [ "$(cat turn)" = {nonce} ] || exit {lost}
  [ $s -eq 0 ] || break
  {{ base64 < output.bin | tr -d '\\n'; echo; }} >> said || exit {no_space}
  i=$((i + 1)); left=$((left - 1))
  [ $(date +%s) -lt $end ] || break
done
tail -n +{line} said
echo {nonce} $s; cat run.out 2>/dev/null; echo; echo {nonce}; cat run.err 2>/dev/null; true"""


class Stretch(NamedTuple):
    """What came back: raw answers one after the other, and what the last run printed."""

    raw: bytes
    status: int
    stdout: str
    stderr: str


class Answering:
    """Asks one phone. Whenever it is called, `tool` is installed and the model is in place."""

    def __init__(self, tool: PhoneTool, link: PhoneLink, timeout_s: float) -> None:
        self._tool, self._link, self._timeout_s = tool, link, timeout_s

    def answer(self, case: Case, artifact: Artifact, examples: Examples, first: int) -> bytes:
        """The raw outputs for the images from number `first` on, as many as fit into a stretch and
        at least one. Raises StableDeviceErrors and WorkerErrors; nothing is delegated silently."""
        self._refuse(artifact)
        sums = sha256(examples.path)
        remote = f"{self._link.work}/{sums[:16]}.examples"
        self._link.bring(examples.path, remote, sums)
        got = self._stretch(case, artifact, examples, first, remote)
        if got.status and not got.raw:
            raise runner.failure(got.status, got.stdout, got.stderr)
        if not got.raw:
            raise StableDeviceError(STAGE, "the phone answered nothing", runner.OTHER_RUNNER)
        if not got.status and got.stdout:
            self._tool.check_delegation(case, got.stdout, got.stderr)
        return got.raw

    def _refuse(self, artifact: Artifact) -> None:
        if self._tool.dialect == "B":
            raise StableDeviceError(
                STAGE,
                "LiteRT's benchmark_model (dialect B) takes no images and gives no answers",
                "use a runner of dialect A (devices.yaml: runner)",
            )
        if why := parity.refusal(artifact):
            raise StableDeviceError(STAGE, why, "measure its accuracy on this machine")

    def _stretch(
        self, case: Case, artifact: Artifact, examples: Examples, first: int, remote: str
    ) -> Stretch:
        wanted = sum(parity.size_of(tensor) for tensor in artifact.outputs)
        nonce, key = secrets.token_hex(8), f"{case.id} {artifact.sha256} {examples.start}"
        arguments = runner.arguments(
            self._tool.dialect,
            self._tool.model_path(artifact),
            case,
            ANSWER_TIMING,
            max_secs=self._timeout_s / PHASES,
            inputs=[runner.Input("input0", artifact.inputs[0].shape, f"{self._link.work}/input0")],
            output_path=f"{self._link.work}/output.bin",
        )
        command = _LOOP.format(
            nonce=nonce,
            key=shlex.quote(key),
            start=examples.start,
            count=examples.images,
            size=examples.size_bytes,
            most=max(1, MOST_BYTES // (wanted * 4 // 3 + 4)),
            seconds=STRETCH_S,
            examples=shlex.quote(remote),
            one=shlex.quote(f"echo $$ > pid; exec {self._tool.command(case, arguments)}"),
            line=first - examples.start + 1,
            lost=_LOST,
            no_image=_NO_IMAGE,
            no_space=_NO_SPACE,
            no_base64=_NO_BASE64,
        )
        result = self._tool.in_work_folder(
            f"{{ {command}\n}}", STRETCH_S + self._timeout_s, self._timeout_s
        )
        if result.exit_code:
            raise _ended(result.exit_code, clean_lines(result.stderr))
        return _read(result.stdout, nonce, wanted)


def _read(said: bytes, nonce: str, wanted: int) -> Stretch:
    lines, _, rest = said.partition(f"{nonce} ".encode())
    status, _, streams = rest.partition(b"\n")
    stdout, _, stderr = streams.partition(f"\n{nonce}\n".encode())
    number = integer(clean(status))
    if number is None:
        raise WorkerError(STAGE, "the end of the phone's answers is missing", runner.OTHER_RUNNER)
    return Stretch(
        b"".join(_answer(line, wanted) for line in lines.splitlines()),
        number,
        clean_lines(stdout),
        clean_lines(stderr),
    )


def _answer(line: bytes, wanted: int) -> bytes:
    """One image's raw outputs; raises StableDeviceError if they are not as many as the model's."""
    try:
        raw = base64.b64decode(line, validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) != wanted:
        raise parity.other_size(len(raw), wanted, STAGE)
    return raw


def _ended(status: int, stderr: str) -> StableDeviceError | WorkerError:
    """Why the loop ended by itself."""
    said = clean(stderr.strip().split("\n")[-1])
    why, fix = {
        _LOST: ("another loop has taken over", "run again"),
        _NO_IMAGE: (f"dd cannot read an image there ({said})", "run again"),
        _NO_SPACE: (f"answers cannot be saved there ({said})", "free some space on the phone"),
        _NO_BASE64: (
            "the phone has no base64, which is needed to send answers back",
            "measure accuracy on this machine: --accuracy host",
        ),
    }.get(status, (f"the loop on the phone ended with status {status} ({said})", "run again"))
    return StableDeviceError(STAGE, why, fix)
