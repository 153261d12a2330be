"""What a phone really answers to the commands that the harness relies on, as one file.

The file shows the formats of one maker and version, which no emulated phone can prove. It is made
to be sent to somebody, so it holds nothing that identifies the phone.
"""

from __future__ import annotations

import contextlib
import json
import shlex

from harness import __version__
from harness.core.attendant import Attendant
from harness.core.errors import HarnessError
from harness.core.specs import AndroidSpec
from harness.core.text import clean, clean_lines
from harness.devices.android import facts
from harness.devices.android.link import PhoneLink, quick_link
from harness.system.clock import now_iso

MOST = 4000  # characters of one answer
PRIVATE = ("serial",)  # questions that are left out
COMMANDS = ("dd", "stat", "sha256sum", "base64", "tail", "find", "taskset", "settaskprofile")


def prove(spec: AndroidSpec, attendant: Attendant) -> str:
    """JSON: by name each command, its status and what it printed. Changes nothing on the phone but
    a file in its work_dir for a moment. Raises HarnessErrors."""
    with contextlib.ExitStack() as stack:
        link = stack.enter_context(quick_link(spec, attendant))
        answers = {name: _asked(link, command) for name, command in _questions(spec, link).items()}
    serial = link.identity.serial
    document = {
        "tool": f"mobile-bench-harness {__version__}",
        "made_at": now_iso("seconds"),
        "transport": spec.transport,
        "emulated": link.identity.emulated,
        "answers": answers,
    }
    text = json.dumps(document, indent=1, ensure_ascii=False)
    return text.replace(serial, "(serial)") if serial else text


def _questions(spec: AndroidSpec, link: PhoneLink) -> dict[str, str]:
    """The commands that a run parses, and those that its shell scripts need."""
    asked = {**facts.IDENTITY_QUESTIONS, **facts.CONDITION_QUESTIONS}
    asked = {name: command for name, command in asked.items() if name not in PRIVATE}
    place = shlex.quote(f"{spec.work_dir.rstrip('/')}/mobile-bench-proof")
    asked |= {f"has {name}": f"command -v {name}" for name in COMMANDS}
    asked |= {
        "free space": f"df -k {shlex.quote(spec.work_dir)}",
        "a file": f"printf abc > {place} && stat -c '%s' {place} && sha256sum < {place} && "
        f"base64 < {place} && tail -n +1 {place} && dd if={place} bs=1 skip=1 count=1; "
        f"s=$?; rm -f {place}; exit $s",
        "a process": "grep -E '^(State|VmHWM|Cpus_allowed):' /proc/self/status; "
        "grep Pss: /proc/self/smaps_rollup",
        "task profile": "settaskprofile $$ MaxPerformance",
        "a status": "sh -c 'exit 7'",
    }
    with contextlib.suppress(ValueError):
        if mask := facts.core_mask("big", link.identity.cores):
            asked["big cores"] = f"taskset {mask} grep Cpus_allowed: /proc/self/status"
    return asked


def _asked(link: PhoneLink, command: str) -> dict[str, object]:
    try:
        result = link.shell(command)
    except HarnessError as error:
        return {"command": command, "failed": error.message}
    return {
        "command": command,
        "status": result.exit_code,
        "printed": clean_lines(result.stdout, MOST),
        "error": clean(result.stderr),
    }
