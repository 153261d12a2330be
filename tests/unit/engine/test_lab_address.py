"""What may be reached without a certificate, and which keys belong together."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.engine.lab import keys, protocol
from harness.engine.lab.address import parse
from harness.engine.lab.protocol import Versions


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "[::1]"])
def test_this_machine_may_be_reached_without_a_certificate(host: str) -> None:
    assert str(parse(f"tcp://{host}:9", None)) == f"tcp://{host}:9"
    assert parse(f"tcp://{host}", None).port == 8786


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "[::]", "192.168.0.7", "lab", "localhost.example.org", "127.0.0.1.nip.io"]
)
def test_another_machine_may_not(host: str) -> None:
    with pytest.raises(UsageError, match=r"not encrypted.*lab keys"):
        parse(f"tcp://{host}:8786", None)


@pytest.mark.parametrize(
    "text",
    ["", "lab", "lab:8786", "http://lab", "tls://", "tls://lab:x", "tls://lab:0", "tls://[::1]x"],
)
def test_what_is_no_address_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="not the address of a lab"):
        parse(text, None)


def test_tls_needs_keys(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs the certificate"):
        parse("tls://lab", None)
    with pytest.raises(UsageError, match=r"has no ca\.pem"):
        parse("tls://lab", tmp_path)


def test_keys_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    first = keys.make(tmp_path, ["lab", "anna"])
    before = {p: p.read_bytes() for p in tmp_path.rglob("*.pem")}
    assert [p.name for p in first] == ["lab", "anna"]
    keys.make(tmp_path, ["lab", "anna", "bench2"])
    assert before.items() <= {p: p.read_bytes() for p in tmp_path.rglob("*.pem")}.items()
    for private in (tmp_path / "ca.key", tmp_path / "bench2/key.pem"):
        assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert parse("tls://lab", tmp_path / "bench2").keys == tmp_path / "bench2"
    assert not (tmp_path / "bench2/ca.key").exists()


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "a b"])
def test_a_name_that_is_a_path_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="name of a host"):
        keys.make(tmp_path, [name])


def test_half_an_authority_is_refused(tmp_path: Path) -> None:
    keys.make(tmp_path, ["lab"])
    (tmp_path / "ca.key").unlink()
    with pytest.raises(UsageError, match="belong together"):
        keys.make(tmp_path, ["other"])


OWN = Versions(protocol=1, harness="0.2.0", distributed="2026.8.0")


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        ({"protocol": 1, "harness": "0.3.0", "distributed": "2026.8.0"}, "runs harness 0.3.0"),
        ({"protocol": 2, "harness": "0.2.0", "distributed": "2026.8.0"}, "speaks protocol 2"),
        ({"protocol": 1, "harness": "0.2.0", "distributed": "2027.1"}, "runs distributed 2027.1"),
    ],
)
def test_another_version_is_told_what_to_install(theirs: object, said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        protocol.refuse_other(theirs, OWN, "tls://lab:1")
    assert "pip install 'mobile-bench-harness[lab]==0." in error.value.fix


@pytest.mark.parametrize("theirs", [None, {}, "x", {"protocol": "1"}])
def test_a_scheduler_that_is_no_lab_is_told(theirs: object) -> None:
    with pytest.raises(UsageError, match="not a lab of this harness"):
        protocol.refuse_other(theirs, OWN, "tls://lab:1")
