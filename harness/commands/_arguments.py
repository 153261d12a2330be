"""Options that several subcommands share, and how their values are read."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any, get_args

from harness.core.choices import InitialWeights, Prefer
from harness.core.text import command, integer
from harness.core.units import parsed_share
from harness.project.request import MOST_SEED, Request


def option(
    parser: argparse._ActionsContainer,
    field: str,
    *flags: str,
    defaults: bool = True,
    **details: Any,
) -> None:
    """Add an option that fills a field of Request. The default is the Request's; `{default}` in the
    help text stands for it. Without `defaults`, the namespace has the option only if it was given.
    """
    default = Request._field_defaults[field]
    shown = ",".join(default) if isinstance(default, tuple) else str(default)
    details["help"] = details["help"].replace("{default}", shown)
    if flags:
        details["dest"] = field
    parser.add_argument(
        *(flags or (field,)), default=default if defaults else argparse.SUPPRESS, **details
    )


def given(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of Request that were given on the command line."""
    return {field: getattr(args, field) for field in Request._fields if hasattr(args, field)}


def add_project(parser: argparse.ArgumentParser, *, defaults: bool = True) -> None:
    """--project, the same for every command that reads devices.yaml or models/."""
    option(
        parser,
        "project",
        "--project",
        defaults=defaults,
        type=Path,
        metavar="DIR",
        help="folder with devices.yaml and models/ (default: this folder, else the shipped ones)",
    )


def add_lab(parser: argparse.ArgumentParser, *, defaults: bool = True) -> None:
    """--lab and --lab-keys, the same for every command that can use a lab."""
    option(
        parser,
        "lab",
        "--lab",
        defaults=defaults,
        nargs="?",
        const="",
        type=lab_address,
        metavar="ADDRESS",
        help="use the phones and processors of this lab, such as tls://lab:8786 (without ADDRESS: "
        "that of devices.yaml); its hosts train and convert",
    )
    option(
        parser,
        "lab_keys",
        "--lab-keys",
        defaults=defaults,
        type=Path,
        metavar="DIR",
        help="the folder with your certificate (default: that of devices.yaml)",
    )


def lab_address(text: str) -> str:
    """An address by its form, empty for that of devices.yaml; whether it may be used is the lab's
    to say."""
    if text and "://" not in text:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an address such as tls://lab:8786 (write names before --lab)"
        )
    return text


def add_out(parser: argparse.ArgumentParser, *, defaults: bool = True) -> None:
    """--out, the same for every command that reads or writes run folders."""
    option(
        parser,
        "out",
        "--out",
        defaults=defaults,
        type=Path,
        metavar="DIR",
        help="where run folders are (default: {default}/)",
    )


def add_seed(parser: argparse._ActionsContainer, of: str, *, defaults: bool = True) -> None:
    """--seed, the same for every command that draws random numbers."""
    option(parser, "seed", "--seed", defaults=defaults, type=seed, metavar="N", help=of)


def add_data(parser: argparse.ArgumentParser, *, defaults: bool = True) -> None:
    """--data, --untrained and --weights, the same for every command that builds."""
    option(
        parser,
        "data",
        "--data",
        defaults=defaults,
        metavar="DATA",
        help="labelled images for training and test: a folder with one folder per class or with a "
        "labels.csv, a CSV file of paths and labels, or an .npz of arrays (default: demo, images "
        "that the harness generates)",
    )
    option(
        parser,
        "split",
        "--split",
        defaults=defaults,
        metavar="A/B/C",
        help="per cent of the images for training, validation and test (default: 70/15/15, unless "
        "the data has a split of its own)",
    )
    option(
        parser,
        "untrained",
        "--untrained",
        defaults=defaults,
        action="store_true",
        help="do not train: measure only size, time, memory and counts",
    )
    option(
        parser,
        "weights",
        "--weights",
        defaults=defaults,
        choices=get_args(InitialWeights),
        help="initial weights of networks: ImageNet's if they can be fetched (auto), or random "
        "ones, which are the same on every machine",
    )


def add_brought(parser: argparse._ActionsContainer) -> None:
    """--pixels and --labels, for the user's own model files."""
    # So that `--pixels -1..1` is a value and not an option.
    parser._negative_number_matcher = re.compile(r"-\d[\d.,-]*$")
    option(
        parser,
        "pixels",
        "--pixels",
        defaults=False,
        metavar="RANGE",
        help="the range of pixel values that your model files expect: 0..255, 0..1, -1..1, "
        "imagenet, or MEAN,STD in pixels (default: what the file says; else 0..255 is assumed and "
        "other ranges are tried)",
    )
    option(
        parser,
        "labels",
        "--labels",
        defaults=False,
        type=Path,
        metavar="FILE",
        help="the names of your model files' outputs, one per line (default: what the file says, "
        "else the names of the class folders in order)",
    )


def add_margin(parser: argparse._ActionsContainer, *, defaults: bool = True) -> None:
    """--max-accuracy-loss alone."""
    option(
        parser,
        "max_accuracy_loss",
        "--max-accuracy-loss",
        defaults=defaults,
        type=share,
        metavar="SHARE",
        help="the accuracy that may be lost against the best variant or against a baseline; it "
        "must be shown with 95%% confidence that no more is lost (default: from devices.yaml or "
        "the saved run, else 2%%, two points)",
    )


def add_protected(parser: argparse._ActionsContainer, *, defaults: bool = True) -> None:
    """--max-accuracy-loss and --protect, the same for every command that judges accuracy."""
    add_margin(parser, defaults=defaults)
    option(
        parser,
        "protect",
        "--protect",
        defaults=defaults,
        metavar="WHAT",
        help="what must not lose more than --max-accuracy-loss: accuracy, balanced_accuracy or "
        "recall:CLASS (default: from devices.yaml or from the saved run, else accuracy)",
    )


def add_verdict(parser: argparse._ActionsContainer, *, defaults: bool = True) -> None:
    """--max-accuracy-loss, --protect and --prefer, the same for every command with a verdict."""
    add_protected(parser, defaults=defaults)
    option(
        parser,
        "prefer",
        "--prefer",
        defaults=defaults,
        choices=get_args(Prefer),
        help="which cost makes a variant the cheapest (default: from devices.yaml, else balanced: "
        "the geometric mean of all three)",
    )


def add_gate(parser: argparse._ActionsContainer) -> None:
    """--max-regression, --exact and --strict, the same for every command with a baseline."""
    parser.add_argument(
        "--max-regression",
        type=share,
        metavar="SHARE",
        help="how much worse a metric may be (default: 5%%; instructions 0.1%%, those of init 1%%)",
    )
    parser.add_argument(
        "--exact",
        action="store_true",
        help="exit 1 also if an exact metric got better, so that the baseline gets renewed",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="exit 4 if the verdict or a gate is undecided, or if only one of the two reports has "
        "a case whose instructions are counted",
    )


def renewing(args: argparse.Namespace, run: str | Path) -> str | None:
    """The command that makes a new baseline from `run`; None without --exact."""
    if not args.exact:
        return None
    file = args.baseline if Path(args.baseline).is_file() else "FILE"
    return command("report", run, "--as-baseline", file)


def comma_list(text: str) -> tuple[str, ...]:
    """'a,b' -> ('a', 'b'), each once; an empty item is an error."""
    items = tuple(dict.fromkeys(item.strip() for item in text.split(",")))
    if not all(items):
        raise argparse.ArgumentTypeError(f"{text!r} has an empty item")
    return items


def seed(text: str) -> int:
    """A whole number from 0 to 2**32 - 1, which every random generator takes."""
    value = integer(text, MOST_SEED)
    if value is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {MOST_SEED}")
    return value


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def positives(text: str) -> tuple[int, ...]:
    """'1,2,4' -> (1, 2, 4)."""
    return tuple(positive(item) for item in comma_list(text))


def share(text: str) -> float:
    """'0.03' or '3%' -> 0.03; between 0 and 1, both excluded."""
    value = parsed_share(text)
    if value is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share such as 0.03 or 3%")
    return value


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


_TEN_YEARS = 520 * _UNITS["w"]  # no clock counts the nanoseconds of 1e300 s


def seconds(text: str) -> float:
    """'90', '90s', '10m', '500ms', '1h', '30d', '2w' -> seconds, more than 0, up to ten years."""
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = text[len(number) :] or "s"
    try:
        value = float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        value = 0.0
    if not 0 < value <= _TEN_YEARS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 60s or 10m")
    return value


_SIZES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZES |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def size(text: str) -> int:
    """'10GB', '1.5GiB', '0B' -> bytes; units in any case."""
    units = {unit.lower(): number for unit, number in _SIZES.items()}
    number = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    try:
        value = float(number) * units[text[len(number) :].lower()]
    except (ValueError, KeyError):
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 10GB or 500MB")
    return int(value)
