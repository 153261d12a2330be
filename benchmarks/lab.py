"""What does a lab lose when its parts fail, and how large and how fast can it be?

    python benchmarks/lab.py [PART ...] [--rounds N] [--seed 0]

Parts, all of them by default; exits 1 unless each holds:

failures  a scheduler, two hosts with an emulated phone each and a client, each a process, the hosts
          in network namespaces; at a random moment one of them, drawn at random, gets kill -9 and
          is started again, or a host is cut off for 5 to 30 s, or hangs (SIGSTOP) for 5 to 90 s,
          and a client goes on with --resume: every launch is there once, both phones are as they
          were; --how leaves only some of these events; as root
claims    two clients ask for one phone and wait for each other: never two launches at once, by
          the phone's own log
hosts     three hosts in network namespaces with two phones each, the times of which are simulated:
          the report of one run on all is that of six runs by hand, in at most 1.15 times the time
          of the slowest phone alone; as root. What a lab costs is seconds at the start and the end,
          however long a run is, so the run is as long as real ones: --launches of inferences of 1 s
          take a phone two to three minutes, about as long as four variants of ten launches take
          with warm-up, checks of the phone and the launch that polls memory
builds    12 variants of a fixed length on three hosts of one processor against one: at least 2.3
          times faster
large     --phones simulated phones on 50 hosts: scheduler below 1 GiB, the client's time for a
          launch at most 1.3 times that with ten phones, report in 60 s
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
FASTER = 2.3
SLOWER = 1.3
MOST_BYTES = 1 << 30
REPORT_S = 60.0
HOSTS = 50
LONGER = 1.15


def failures(asked: argparse.Namespace) -> bool:
    """See the module."""
    from _lab_rounds import rounds

    well = rounds(asked.how, asked.rounds, random.Random(asked.seed))
    print(f"failures: {well} of {asked.rounds} rounds")
    return bool(well == asked.rounds)


def claims(asked: argparse.Namespace) -> bool:
    """See the module."""
    from _lab_parts import claims as measured
    from _lab_rounds import sleeper

    from harness.emulator.phone import Phone

    phone = Phone(sleeper("pixel", 100_000), requires_auth=False)
    launches, most, wrong = measured(asked.rounds, phone)
    for line in wrong:
        print(line)
    print(f"claims: {asked.rounds} rounds, {launches} launches, at most {most} at once")
    return most == 1 and not wrong


def hosts(asked: argparse.Namespace) -> bool:
    """See the module."""
    from _lab_rounds import by_hand

    together, slowest, wrong = by_hand(int(asked.takes * 1e5), asked.launches)
    for line in wrong:
        print(line)
    print(
        f"hosts: six phones together {together:.1f} s, the slowest alone {slowest:.1f} s, ratio "
        f"{together / slowest:.2f} (at most {LONGER}); {len(wrong)} of six phones differ"
    )
    return not wrong and together / slowest <= LONGER


def builds(asked: argparse.Namespace) -> bool:
    """See the module."""
    from _lab_parts import build_s

    one, three = (build_s(hosts, 12, asked.takes) for hosts in (1, 3))
    print(
        f"builds: 12 of {asked.takes:g} s each: {one:.1f} s on one host, {three:.1f} s on three, "
        f"ratio {one / three:.2f} (asked for: at least {FASTER})"
    )
    return one / three >= FASTER


def large(asked: argparse.Namespace) -> bool:
    """See the module."""
    from _lab_large import cost

    found = [cost(phones, min(phones, HOSTS), 7) for phones in (10, asked.phones)]
    each = [one.client_s / one.launches for one in found]
    for one, client_s in zip(found, each, strict=True):
        print(
            f"large: {one.phones} phones, {one.launches} launches in {one.wall_s:.0f} s: client "
            f"{client_s * 1e3:.2f} ms of processor time each, report {one.report_s:.1f} s "
            f"({one.report_cpu_s:.1f} s of processor time), "
            f"scheduler {one.scheduler_bytes / (1 << 20):.0f} MiB"
        )
    print(f"large: ratio of the client's time {each[1] / each[0]:.2f} (at most {SLOWER})")
    most = found[-1]
    small = most.scheduler_bytes < MOST_BYTES and most.report_s <= REPORT_S
    return small and each[1] / each[0] <= SLOWER


PARTS: dict[str, Callable[[argparse.Namespace], bool]] = {
    "failures": failures,
    "claims": claims,
    "hosts": hosts,
    "builds": builds,
    "large": large,
}


def main() -> int:
    """See the module."""
    from _lab_rounds import HOW

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--how", nargs="+", choices=HOW, default=HOW, help="events of failures")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--takes",
        type=float,
        default=10.0,
        help="seconds of a build; of hosts: a tenth of it is an inference's",
    )
    parser.add_argument("--launches", type=int, default=20, help="of hosts")
    parser.add_argument("--phones", type=int, default=1000, help="of large")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - PARTS.keys():
        parser.error(f"{', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}")
    held = {part: PARTS[part](asked) for part in asked.parts or PARTS}
    for part, well in held.items():
        print(f"{part}: {'holds' if well else 'does not hold'}")
    return int(not all(held.values()))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
