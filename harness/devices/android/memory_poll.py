"""The memory of the runner on a phone, read from /proc while it lives, by a loop in the phone's
shell."""

from __future__ import annotations

from typing import NamedTuple

from harness.core.text import integer
from harness.core.types import Finding

_NO_PROC = "the phone hides /proc/PID"
_NO_PSS = "the phone does not have /proc/PID/smaps_rollup, which is new in Linux 4.14"


class Memory(NamedTuple):
    """Bytes; None with the reason in `absent_because`. `doubt` is about the cores that the runner
    was seen to be allowed."""

    peak_rss_bytes: int | None
    pss_bytes: int | None
    absent_because: str
    doubt: Finding | None = None


def command(runner: str) -> str:
    """What runs the command `runner` and prints what `read` reads."""
    return _POLL_MEMORY.replace("@RUN@", runner)


def read(output: str) -> tuple[Memory, str | None]:
    """(peak RSS and PSS, the cores that the runner was allowed, as /proc has them). None for the
    cores where the runner was not seen."""
    # hwm pss seen Cpus_allowed: ff
    fields = output.split()[-5:]
    counts = [integer(field) for field in fields[:3]]
    hwm, pss, seen = counts if len(counts) == 3 else (None, None, None)
    if not seen:
        return Memory(None, None, "the runner had ended before its memory was read"), None
    # 0 means that the value was never read.
    found = Memory(
        hwm * 1024 if hwm else None,
        pss * 1024 if pss else None,
        _NO_PSS if hwm else _NO_PROC,
    )
    return found, fields[4] if len(fields) == 5 else "-"


# Starts the runner and prints the highest values while it lived, in KiB, and how often one looked.
# Before the runner starts, its process is this shell and then taskset, whose memory does not
# matter. At its end the process first has no memory, and then is a zombie until the shell has
# waited for it: neither counts as a look. If the process lives but its status cannot be read, the
# phone hides /proc/PID.
_POLL_MEMORY = """{
@RUN@ >/dev/null 2>memory.err & p=$!; echo $p > pid; hwm=0; pss=0; seen=0
while kill -0 $p 2>/dev/null; do
  if [ $seen -eq 0 ]; then
    exe=$(readlink /proc/$p/exe)
    case "${exe##*/}" in sh | mksh | dash | bash | toybox | toolbox | taskset | env)
      sleep 0.01; continue;;
    esac
  fi
  state=; now=
  while read -r key value unit; do
    case $key in State:) state=$value;; VmHWM:) now=$value;; esac
  done < /proc/$p/status
  if [ -z "$now" ]; then
    case $state in Z | X) break;; esac
    [ -n "$state" ] && { sleep 0.01; continue; }
    kill -0 $p 2>/dev/null || break
  fi
  [ $seen -gt 0 ] || cpus=$(grep Cpus_allowed: /proc/$p/status)
  seen=$((seen + 1))
  [ "${now:-0}" -gt "$hwm" ] && hwm=$now
  while read -r key value unit; do
    case $key in Pss:) [ "$value" -gt "$pss" ] && pss=$value;; esac
  done < /proc/$p/smaps_rollup
  sleep 0.05
done
wait $p; status=$?
[ $status -eq 0 ] || cat memory.err
echo "$hwm $pss $seen ${cpus:-Cpus_allowed: -}"
exit $status
} 2>/dev/null"""
