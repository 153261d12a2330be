from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.errors import ConfigError, UsageError
from harness.core.specs import AndroidSpec, DevicesFile, HostSpec, VariantsFile
from harness.emulator.phone import HERE as EMULATOR
from harness.project import config

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
        "lite0-gray-int8",
        "lite0-cut-gray-int8",
    } == set(shipped.select([]))


def test_weights_take_the_place_of_auto_only(tmp_path: Path) -> None:
    """What `auto` comes to depends on the network; what was chosen does not."""
    made = config.load_project(config.SHIPPED, "random").variants.variants
    as_written = config.load_project(config.SHIPPED).variants.variants
    assert "auto" in {spec.weights for spec in as_written.values()}
    assert {spec.weights for spec in made.values()} == {"random"}
    root = project(tmp_path)
    file = root / config.VARIANTS
    file.write_text("variants: {one: {model: m, recipe: float32, weights: mine.h5}}")
    assert config.load_project(root, "random").variants.variants["one"].weights == "mine.h5"


def test_names_and_globs_select_in_the_order_asked_for_each_once(tmp_path: Path) -> None:
    found = config.load_project(project(tmp_path))
    assert list(found.select([])) == ["one"]
    assert list(found.select(["t*", "one", "two"])) == ["two", "three", "one"]


def test_all_variants_are_measured_where_none_is_a_default(tmp_path: Path) -> None:
    root = project(tmp_path)
    variants = root / "models/variants.yaml"
    variants.write_text(variants.read_text().replace("default: true", "default: false"))
    assert list(config.load_project(root).select([])) == ["one", "two", "three"]


def test_a_project_without_variants_says_what_to_name(tmp_path: Path) -> None:
    root = project(tmp_path)
    (root / "models/variants.yaml").write_text("variants: {}")
    with pytest.raises(UsageError, match=r"variants\.yaml has no variants; name a \.tflite"):
        config.load_project(root).select([])


@pytest.mark.parametrize(
    ("pattern", "says"),
    [("tow", "unknown variant 'tow'; did you mean 'two'"), ("zzz*", "choose from one, three, two")],
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
        ("devices: {host: {kind: host, threads: 1}}", "devices.host.threads: "
         "expected a list, such as [1], but found a whole number"),
        ("devices: {host: {kind: host, threads: [0]}}", "devices.host.threads"),
        ("devices: {host: {kind: [host]}}", "devices.host.kind: expected text, but found a list"),
        ("devices: {host: {kind: }}", "devices.host.kind: expected text, but found nothing"),
        ("devices: {host: {kind: 2026-01-01}}", "expected text, but found a date"),
        ("devices: {host: {kind: host, runtime: 2026-01-01}}", "expected text, but found a date"),
        ("devices: {host: {threads: [1]}}", "devices.host: the key 'kind' is missing"),
        ("devices: {host: {kind: hots}}", "devices.host.kind: unknown kind 'hots'"),
        ("devices: {p: {kind: android, guards: {min_batery_percent: 1}}}",
         "devices.p.guards: unknown key 'min_batery_percent'; did you mean 'min_battery_percent'"),
        ("device: {}", "unknown key 'device'; did you mean 'devices'"),
        ("devices: [1]", "devices: expected a mapping, but found a list"),
        ("devices: {? [a, b] : {kind: host}}", "line 1, column 13: a key is a list"),
        ("devices: {? {a: b} : {kind: host}}", "line 1, column 13: a key is a list or a mapping"),
        ("devices: {1: {kind: host}}", "line 1, column 11: the key 1 is not text; write it"),
        ("devices: {on: {kind: host}}", "the key on is not text; write it in quotes"),
        ("devices: {NO: {kind: host}}", "the key NO is not text; write it in quotes"),
        ("devices: {~: {kind: host}}", "the key ~ is not text; write it in quotes"),
        ("- a", "expected a mapping"),
        ("", "expected a mapping"),
        ("devices: {host: {kind: host, kind: host}}", "'kind' is given twice"),
        ("devices: {host: [", "line 1"),
        ("devices: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("devices: \t{", "line 1"),
        ("devices: &a {host: [*a]}", "nested too deeply"),
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


def test_paths_are_seen_from_the_folder_of_devices_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the command is run."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "phone.yaml").write_bytes((EMULATOR / "profiles" / "pixel.yaml").read_bytes())
    (root / config.DEVICES).write_text("""
devices:
  host: {kind: host, python: {litert: venv/python, tflite-runtime: python3}}
  phone: {kind: android, transport: emulated, profile: phone.yaml, runner: {path: tool, lock: sums}}
  npu: {kind: android, runner: {dispatch: d.so, compiler_plugin: c.so, libraries: [/l.so, m.so]}}
  app: {kind: android, runner: {tool: benchmark_app, app: it.apk}}
lab: {address: "tls://lab:8786", keys: keys}
""")
    monkeypatch.chdir(tmp_path)
    opened = config.load_project(Path("project"))
    host, phone, npu, app = (opened.device(name) for name in ("host", "phone", "npu", "app"))
    assert isinstance(host, HostSpec)
    assert host.python == {"litert": str(root / "venv/python"), "tflite-runtime": "python3"}
    assert isinstance(phone, AndroidSpec)
    assert phone.profile == str(root / "phone.yaml")
    assert (phone.runner.path, phone.runner.lock) == (str(root / "tool"), str(root / "sums"))
    assert isinstance(npu, AndroidSpec)
    assert npu.runner.dispatch == str(root / "d.so")
    assert npu.runner.compiler_plugin == str(root / "c.so")
    assert npu.runner.libraries == ("/l.so", str(root / "m.so"))
    assert isinstance(app, AndroidSpec)
    assert app.runner.app == str(root / "it.apk")
    assert opened.lab is not None
    assert opened.lab.keys == str(root / "keys")


def test_the_home_folder_of_nobody_is_told(tmp_path: Path) -> None:
    text = "devices: {p: {kind: android, runner: {path: ~nobody-at-all/tool}}}"
    with pytest.raises(UsageError, match="the home folder in ~nobody-at-all/tool is not known"):
        config.load_project(project(tmp_path, text))


SHA = "a" * 64
REFUSED = {
    "no threads": ("threads: []", "threads: names none, or one of them twice"),
    "a number of threads twice": ("threads: [1, 1]", "threads: names none, or one of them twice"),
    "no delegate": ("delegate: []", "delegate: names none, or one of them twice"),
    "a group of cores twice": ("affinity: [big, big]", "affinity: names none, or one of them"),
    "a typo in the transport": ("transport: adb_tpc, address: 'a:1'", "transport: unknown "
                                "transport 'adb_tpc'; did you mean 'adb_tcp'"),
    "no address": ("transport: adb_tcp", "transport: adb_tcp needs an address"),
    "no such port": ("transport: adb_tcp, address: 'a:99999'", "address: 'a:99999' is not"),
    "an ignored address": ("address: 'a:1'", "address: transport adb_usb does not use it"),
    "an ignored serial": ("transport: adb_tcp, address: a, serial: b", "serial: transport adb_tcp"),
    "an address for a serial": ("serial: '192.168.0.20:5555'", "serial: '192.168.0.20:5555' is an "
                                "address, not a serial number; write `transport: adb_tcp` and "
                                "`address: 192.168.0.20:5555`"),
    "an address without port": ("transport: adb_tcp, serial: 192.168.0.20",
                                "serial: '192.168.0.20' is an address, not a serial number; write "
                                "`transport: adb_tcp` and `address: 192.168.0.20:5555`"),
    "wireless debugging": ("serial: adb-R5CT-x._adb-tls-connect._tcp", "serial: 'adb-R5CT-x."
                           "_adb-tls-connect._tcp' is a phone with wireless debugging; set"),
    "an ignored server": ("adb_server: 'a:1'", "adb_server: transport adb_usb does not use it"),
    "ignored faults": ("faults: [hot=3]", "faults: transport adb_usb does not use it"),
    "an ignored profile": ("profile: old", "profile: transport adb_usb does not use it"),
    "a mask": ("affinity: '0xf0'", "affinity: '0xf0' is not a set of cores"),
    "a mask of no cores": ("affinity: '00'", "affinity: '00' is not a set of cores"),
    "a word for a mask": ("affinity: bgi", "affinity: 'bgi' is not a set of cores"),
    "a typo in the runner": ("runner: {tool: benchmark_modle}", "runner.tool: unknown runner 'bench"
                             "mark_modle'; did you mean 'benchmark_model' or 'benchmark_app'?"),
    "two files": ("runner: {path: a, device_path: b}", "runner: both path and device_path"),
    "a version of a file": ("runner: {path: a, version: '2.2.0'}", "runner.version: is for a"),
    "an address of a file": ("runner: {device_path: a, url: 'https://a'}", "runner.url: is for a"),
    "a nightly version": ("runner: {dialect: A, version: '2.2.0'}", "runner.version: dialect A"),
    "http": ("runner: {url: 'http://example.org'}", "runner.url: is not https"),
    "braces": ("runner: {url: 'https://a/{abi}'}", "runner.url: braces that are neither"),
    "a short sum": ("runner: {sha256: abc}", "runner.sha256: is not a SHA-256"),
    "a dialect": ("runner: {dialect: C}", "runner.dialect: invalid enum value 'C'"),
    "a delegate": ("delegate: [gpuu]", "delegate[0]: invalid enum value 'gpuu'"),
    "a battery of 200 %": ("guards: {min_battery_percent: 200}", "guards.min_battery_percent: "
                           "expected a whole number <= 100"),
    "a thermal status": ("guards: {max_thermal_status: 7}", "guards.max_thermal_status: expected"),
    "no time to cool": ("guards: {cooldown_s: 0}", "guards.cooldown_s: expected a number > 0"),
    "two delegates alike": ("delegate: [cpu, cpu]", "delegate: names none, or one of them twice"),
    "a time-out without end": ("launch_timeout_s: .inf", "launch_timeout_s: expected a number"),
    "a negative wait": ("wait_s: -1", "wait_s: -1.0 is not a time to wait"),
    "a relative work_dir": ("work_dir: tmp", "work_dir: 'tmp' is not a full path on the phone"),
    "an empty work_dir": ("work_dir: ''", "work_dir: '' is not a full path on the phone"),
    "a profile": ("transport: emulated, profile: pixle", "profile: unknown profile 'pixle'; did "
                  "you mean 'pixel'?"),
    "a fault": ("transport: emulated, faults: [hto=3]", "faults: unknown fault 'hto'; did you "
                "mean 'hot'?"),
    "a value of a fault": ("transport: emulated, faults: [hot=very]",
                           "faults: fault hot: expected"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_an_entry_that_makes_no_sense_is_refused_when_it_is_read(tmp_path: Path, name: str) -> None:
    """Before anything is connected to, and whatever else the file holds."""
    text, says = REFUSED[name]
    (tmp_path / config.DEVICES).write_text(f"devices: {{p: {{kind: android, {text}}}}}")
    with pytest.raises(ConfigError) as error:
        config.load_project(tmp_path)
    assert f"devices.yaml: devices.p.{says}" in str(error.value)
    assert error.value.fix
    assert "\n" not in str(error.value)


def test_no_case_is_not_a_measurement_on_this_machine_either(tmp_path: Path) -> None:
    text = "devices: {h: {kind: host, threads: []}}"
    with pytest.raises(ConfigError, match=r"devices\.h\.threads: names none"):
        config.load_project(project(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        f"runner: {{path: a, sha256: {SHA}}}",
        f"runner: {{dialect: A, sha256: {SHA}}}",
        "affinity: F0",
        "transport: adb_server, address: 'a:1', serial: x, adb_server: 'b:2'",
        "transport: adb_tcp, address: '[::1]:5555'",
        "transport: emulated, profile: old, faults: [hot=3, hot_for_s=1.5]",
    ],
)
def test_an_entry_that_makes_sense_is_taken(tmp_path: Path, text: str) -> None:
    (tmp_path / config.DEVICES).write_text(f"devices: {{p: {{kind: android, {text}}}}}")
    assert "p" in config.load_project(tmp_path).devices
