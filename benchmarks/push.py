"""Is our push as fast as adb's?

Ours against Debian's `adb push`, to the same emulated phone, with files of the same size and other
random content each time, in random order. Ours includes what adb does not do: looking for free
space first, and hashing the file on the phone, to compare it with the model's SHA-256, which the
harness knows from the build. Prints the ratio of speeds ours / adb with its 95 % interval over
rounds, which must be at least 0.8 as a whole, and how many bytes a second push of the same file
sends.

    python benchmarks/push.py [--mb 200] [--rounds 9] [--link MB/s]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from harness.core.attendant import Attendant
from harness.core.specs import AndroidSpec
from harness.devices.transports import adb_tcp
from harness.devices.transports.adb_tcp import AdbTcp
from harness.stats.ratio import paired
from tests.phones import AdbServer, adb_server, emulated_process

WORK = "/data/local/tmp"
LEAST = 0.8


def ours(transport: AdbTcp, file: Path, name: str) -> float:
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    began = time.perf_counter()
    assert transport.push(file, f"{WORK}/{name}", sha256=sha256)
    return time.perf_counter() - began


def adbs(adb: AdbServer, file: Path, name: str) -> float:
    began = time.perf_counter()
    done = adb("push", str(file), f"{WORK}/{name}", timeout=600)
    spent = time.perf_counter() - began
    assert done.returncode == 0, done.stderr
    return spent


def sent_again(transport: AdbTcp, file: Path, name: str) -> int:
    """Model bytes that a second push sends."""
    sent: list[int] = []
    transport.push(file, f"{WORK}/{name}", lambda done, _: sent.append(done))
    return max(sent, default=0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mb", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--link", type=int, help="of the emulated cable, in MB/s (USB 2 has 40)")
    args = parser.parse_args()
    fault = ["--fault", f"slow_link={args.link * 1_000_000}"] if args.link else []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ["ANDROID_USER_HOME"] = folder
        with emulated_process(*fault) as address, adb_server(home) as adb:
            adb.connect(address)
            transport = adb_tcp.open_transport(AndroidSpec(address=address), Attendant())
            transport.connect()
            file = home / "model.tflite"
            seconds: list[tuple[float, float]] = []
            rng = random.Random(0)
            again = 0
            for number in range(args.rounds + 1):
                file.write_bytes(os.urandom(args.mb * 1_000_000))
                sides = [lambda: adbs(adb, file, "theirs"), lambda: ours(transport, file, "ours")]
                order = [0, 1] if rng.random() < 0.5 else [1, 0]
                times = {side: sides[side]() for side in order}
                again = max(again, sent_again(transport, file, "ours"))
                if number:  # the first one warms up
                    seconds.append((times[1], times[0]))  # speed is the inverse of time
                for name in ("ours", "theirs"):
                    transport.shell(f"rm -f {WORK}/{name}", 30)
            transport.close()
    speed = [args.mb / median(side) for side in zip(*seconds, strict=True)]
    ratio = paired(seconds)
    print(
        f"ours {speed[0]:.0f} MB/s, adb {speed[1]:.0f} MB/s, {args.rounds} rounds of {args.mb} MB"
    )
    if ratio is None:
        print("too few rounds for an interval")
        return 1
    e = ratio.estimate()
    print(f"ours / adb {e.point:.2f} [{e.ci_low:.2f}, {e.ci_high:.2f}] ({e.n} rounds)")
    print(f"model bytes sent by a second push: {again}")
    return 0 if e.ci_low >= LEAST and again == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
