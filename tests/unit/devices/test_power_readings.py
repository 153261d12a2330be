"""What phones tell of their battery and power rails, and what is made of it."""

from __future__ import annotations

import pytest

from harness.core.attendant import Attendant
from harness.core.types import Conditions, LatencySummary, Timing
from harness.devices.android import energy
from harness.devices.transports import ShellResult

S = 1_000_000_000
# Captured on a Pixel 6 by AOSP, which published it with its script for ODPM.
METERS = """\
t=349894
CH0(T=349894)[S10M_VDD_TPU], 5578756
CH1(T=349894)[VSYS_PWR_MODEM], 29110940
CH2(T=349894)[VSYS_PWR_RFFE], 3166046
CH3(T=349894)[S2M_VDD_CPUCL2], 30203502
CH4(T=349894)[S3M_VDD_CPUCL1], 23377533
CH5(T=349894)[S4M_VDD_CPUCL0], 46356942
CH6(T=349894)[S5M_VDD_INT], 10771876
CH7(T=349894)[S1M_VDD_MIF], 21091363
t=359458
CH0(T=359458)[VSYS_PWR_WLAN_BT], 45993209
CH1(T=359458)[L2S_VDD_AOC_RET], 2822928
CH2(T=359458)[S9S_VDD_AOC], 6923706
CH3(T=359458)[S5S_VDDQ_MEM], 4658202
CH4(T=359458)[S10S_VDD2L], 5506273
CH5(T=359458)[S4S_VDD2H_MEM], 14254574
CH6(T=359458)[S2S_VDD_G3D], 5315420
CH7(T=359458)[VSYS_PWR_DISPLAY], 81221665
"""


def test_a_reading_has_the_rails_that_a_model_can_load() -> None:
    (reading,) = energy.readings(f"349.89 -412000 4187000 Discharging\n{METERS}")
    assert (reading.current, reading.voltage, reading.status) == (-412000, 4187000, "Discharging")
    assert set(reading.rails) == {
        *("S10M_VDD_TPU", "S2M_VDD_CPUCL2", "S3M_VDD_CPUCL1", "S4M_VDD_CPUCL0", "S5M_VDD_INT"),
        *("S1M_VDD_MIF", "S5S_VDDQ_MEM", "S10S_VDD2L", "S4S_VDD2H_MEM", "S2S_VDD_G3D"),
    }
    assert reading.rails["S4M_VDD_CPUCL0"] == (349894, 46356942)


@pytest.mark.parametrize(
    "text",
    ["", "1.0", "12.5 - - -x", "CH0(T=1)[S2M_VDD_CPUCL2], 5", "1.5 --3 x Dis", "nan 1 2 Full"],
)
def test_broken_lines_give_no_number(text: str) -> None:
    assert all(r.current is None and not r.rails for r in energy.readings(text))


class Phone:
    """Answers the questions about power as a phone with these numbers would."""

    work = "/data/local/tmp/x"

    def __init__(
        self, idle: str, loaded: str, status: str = "Discharging", meters: str = ""
    ) -> None:
        self._idle, self._loaded, self._status, self._meters = idle, loaded, status, meters
        self.asked: list[str] = []
        self._now = 100.0

    def _lines(self, current: str, count: int) -> str:
        lines = []
        for number in range(count):
            self._now += 1
            told = current.replace("?", str(number % 7))
            lines.append(f"{self._now:.2f} {told} {self._status}\n{self._meters}")
        return "".join(lines)

    def shell(self, command: str, timeout_s: float = 0) -> ShellResult:
        self.asked.append(command)
        text = self._lines(self._idle, 15 if "while" in command else 1)
        return ShellResult(exit_code=0, stdout=text.encode(), stderr=b"")

    def read_file(self, _remote: str, _max_bytes: int) -> bytes:
        return self._lines(self._loaded, 60).encode()


def measured(phone: Phone, **before: bool) -> energy.Meter:
    """One that has seen two minutes of 10 ms inferences."""
    attendant = Attendant()
    attendant.wait = lambda seconds: None  # type: ignore[method-assign]
    meter = energy.Meter(phone, attendant, 120.0)  # type: ignore[arg-type]
    now = Conditions(on_battery=before.get("on_battery", True))
    meter.begin(now)
    for _ in range(2):
        meter.loaded(
            LatencySummary(count=6000, median_ns=10_000_000),
            Timing(min_time_ns=60 * S),
            now,
        )
    return meter


@pytest.mark.parametrize(
    ("idle", "loaded", "unit"),
    [
        ("-12000? 4000000", "-60000? 4000000", "µA"),  # as the kernel documents it
        ("12000? 4000000", "60000? 4000000", "µA"),  # positive while it discharges
        ("-12? 4000", "-60? 4000", "mA"),  # milliamperes, and millivolts
        ("-8? 4000000", "-210? 4000000", "mA"),  # microvolts all the same
    ],
)
def test_unit_and_sign_follow_from_the_load(idle: str, loaded: str, unit: str) -> None:
    meter = measured(Phone(idle, loaded))
    (drawn,) = meter.end()
    assert (drawn.source, drawn.unit) == ("battery", unit)
    assert drawn.ns_per_inference == (10_000_000, 10_000_000)
    microwatts = int(loaded.split()[0].strip("-").replace("?", "3")) * 4 * (1000, 1)[unit == "µA"]
    assert sum(drawn.loaded[0]) / len(drawn.loaded[0]) == pytest.approx(microwatts, rel=0.01)
    assert min(drawn.idle_after) > 0


@pytest.mark.parametrize(
    ("phone", "why"),
    [
        (Phone("- 4000000", "- 4000000"), "does not let its shell read"),
        (Phone("-12000? 4000000", "60000? 4000000"), "the sign"),
        (Phone("-250000 4000000", "-250000 4000000"), "the same current all the time"),
        (Phone("97? 4000000", "99? 4000000", "Not charging"), "the phone charges"),
    ],
)
def test_what_tells_nothing_is_absent_with_the_reason(phone: Phone, why: str) -> None:
    meter = measured(phone)
    assert meter.end() == ()
    assert why in energy.absent_fields(meter)["drawn:battery"]


def test_a_phone_that_charges_is_not_made_to_wait() -> None:
    phone = Phone("-12000? 4000000", "-60000? 4000000")
    meter = measured(phone, on_battery=False)
    assert meter.end() == ()
    assert meter.beside == ""
    assert len(phone.asked) == 1
    assert [f.code for f in energy.notes(meter)] == ["charging"]


def test_rails_tell_also_while_the_phone_charges() -> None:
    """Two rails of 0.3 W and 0.1 W, and a modem that does not count."""

    class Rising(Phone):
        def _lines(self, current: str, count: int) -> str:
            lines = []
            for _ in range(count):
                self._now += 1
                ms = int(self._now * 1000)
                lines.append(
                    f"{self._now:.2f} {current} Charging\nt={ms}\n"
                    f"CH0(T={ms})[S2M_VDD_CPUCL2], {ms * 300}\n"
                    f"CH1(T={ms})[S1M_VDD_MIF], {ms * 100}\nCH2(T={ms})[VSYS_PWR_MODEM], {ms * 9}\n"
                )
            return "".join(lines)

    meter = measured(Rising("- -", "- -"), on_battery=False)
    (drawn,) = meter.end()
    assert drawn.source == "rails"
    assert set(drawn.idle_before) == {400_000}
    assert set(drawn.loaded[1]) == {400_000}


def test_readings_of_loading_and_warming_up_are_left_out() -> None:
    """Of 60 readings a second apart, the timed iterations had the last 30 seconds."""
    phone = Phone("-12000? 4000000", "-60000? 4000000")
    attendant = Attendant()
    attendant.wait = lambda seconds: None  # type: ignore[method-assign]
    meter = energy.Meter(phone, attendant, 120.0)  # type: ignore[arg-type]
    now = Conditions(on_battery=True)
    meter.begin(now)
    timing = Timing(min_time_ns=30 * S)
    meter.loaded(LatencySummary(count=100, median_ns=10_000_000), timing, now)
    (drawn,) = meter.end()
    assert len(drawn.loaded[0]) == 29
    assert drawn.ns_per_inference == (300_000_000,)


def test_the_readings_begin_before_the_runner_takes_the_shells_place() -> None:
    meter = measured(Phone("-12000? 4000000", "-60000? 4000000"))
    assert meter.beside.rstrip().endswith("&")
    assert "> power.txt" in meter.beside
