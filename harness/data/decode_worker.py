"""The process that decodes images: `python -m harness.data.decode_worker`.

Says `+` once it is ready. Reads, again and again, a line `KIND LENGTH` and that many bytes, and
answers with a line `P FORM` and the pixels, or with a line `R REASON`. Ends with its standard
input. Decoders are native code that gets bytes from anywhere: a crash ends this process and no
other.
"""

from __future__ import annotations

import os
import signal
import sys

from harness.data.decode import Refused, decode


def main() -> None:
    """Decode until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and ends us
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a decoder prints must not be read as an answer
    answers.write(b"+")
    answers.flush()
    while line := requests.readline():
        kind, length = line.decode().split()
        data = requests.read(int(length))
        try:
            picture = decode(data, kind)
        except Refused as refused:
            answers.write(b"R " + str(refused).encode() + b"\n")
        else:
            answers.write(b"P " + picture.form.encode() + b"\n" + picture.pixels)
        answers.flush()


if __name__ == "__main__":
    main()
