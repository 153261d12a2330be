from __future__ import annotations

from pathlib import Path

import pytest

from harness import config
from harness.core.errors import ConfigError, UsageError
from harness.core.specs import DevicesFile, HostSpec, VariantsFile

VARIANTS = """
variants:
  one: {model: scratch, default: true}
  two: {model: scratch, recipe: int8}
  three: {model: vgg16, recipe: int8}
"""


def project(root: Path, devices: str = "", variants: str = VARIANTS) -> Path:
    (root / "models").mkdir()
    (root / config.DEVICES).write_text(devices or "devices: {host: {kind: host}}")
    (root / config.VARIANTS).write_text(variants)
    return root


def test_the_shipped_files_are_valid() -> None:
    shipped = config.load_project(config.SHIPPED)
    assert isinstance(shipped.device("host"), HostSpec)
    assert {
        "scratch",
        "vgg16",
        "mobilenet-int8",
        "pruned",
        "mobilenet-gray-int8",
    } == set(shipped.select([]))


def test_names_and_globs_select_in_the_order_asked_for_each_once(tmp_path: Path) -> None:
    found = config.load_project(project(tmp_path))
    assert list(found.select([])) == ["one"]
    assert list(found.select(["t*", "one", "two"])) == ["two", "three", "one"]


@pytest.mark.parametrize(
    ("pattern", "says"),
    [("tow", "unknown variant 'tow'; did you mean 'two'"), ("zzz*", "there is one, three, two")],
)
def test_an_unknown_variant_gets_the_nearest_names(tmp_path: Path, pattern: str, says: str) -> None:
    with pytest.raises(UsageError) as error:
        config.load_project(project(tmp_path)).select([pattern])
    assert says in str(error.value)


def test_an_unknown_device_gets_the_nearest_names(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown device 'hots'; did you mean 'host'"):
        config.load_project(project(tmp_path)).device("hots")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("devices: {host: {kind: host, thraeds: [1]}}", "devices.host: unknown key 'thraeds'; "
         "did you mean 'threads'"),
        ("devices: {host: {kind: host, threads: 1}}", "devices.host.threads: expected `array`"),
        ("devices: {host: {kind: host, threads: [0]}}", "devices.host.threads"),
        ("devices: {host: {kind: hots}}", "devices.host.kind: invalid value 'hots'"),
        ("devices: {p: {kind: android, guards: {min_batery_percent: 1}}}",
         "devices.p.guards: unknown key 'min_batery_percent'; did you mean 'min_battery_percent'"),
        ("device: {}", "unknown key 'device'; did you mean 'devices'"),
        ("devices: [1]", "devices: expected `object`"),
        ("- a", "expected a mapping"),
        ("", "expected a mapping"),
        ("devices: {host: {kind: host, kind: host}}", "'kind' is given twice"),
        ("devices: {host: [", "line 1"),
        ("devices: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("devices: \t{", "line 1"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_by_name_and_path_of_the_key(
    tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "devices.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        config.load_yaml(path, DevicesFile)
    assert says in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "variants.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load_yaml(path, VariantsFile)


def test_a_folder_without_a_project_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="init"):
        config.load_project(tmp_path)
