from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.energy.rapl import RaplSource, find_domains
from jobs.spec import MeteringSpec
from tests.jobs.energy.fakes import Hand, Powercap


@pytest.fixture
def powercap(tmp_path: Path) -> Powercap:
    return Powercap(tmp_path / "power cap")


def source_of(powercap: Powercap, metering: MeteringSpec, own: Hand, host: Hand, clock: Hand) -> RaplSource:
    return RaplSource(find_domains(powercap.folder), metering, own, host, clock)


def test_packages_and_memory_are_found_and_what_lies_inside_or_around_them_is_not(powercap: Powercap) -> None:
    powercap.add("intel-rapl:0", "package-0")
    powercap.add("intel-rapl:0:0", "core")
    powercap.add("intel-rapl:0:1", "dram")
    powercap.add("intel-rapl:1", "package-1")
    powercap.add("intel-rapl:2", "psys")
    powercap.add("intel-rapl-mmio:0", "package-0")

    assert [(domain.folder.name, domain.component) for domain in find_domains(powercap.folder)] == [
        ("intel-rapl:0", "cpu"),
        ("intel-rapl:0:1", "dram"),
        ("intel-rapl:1", "cpu"),
    ]


def test_a_host_without_powercap_has_no_domains(tmp_path: Path) -> None:
    assert find_domains(tmp_path / "absent") == []


def test_a_domain_that_may_not_be_read_is_left_out_and_logged(powercap: Powercap, caplog: pytest.LogCaptureFixture) -> None:
    powercap.add("intel-rapl:0", "package-0")
    (powercap.folder / "intel-rapl:0" / "energy_uj").write_text("permission denied")

    assert find_domains(powercap.folder) == []
    assert "going on without it" in caplog.text


@given(start=st.integers(0, 999), steps=st.lists(st.integers(0, 999), min_size=1, max_size=20))
def test_a_counter_that_wraps_around_loses_no_joule(tmp_path_factory: pytest.TempPathFactory, start: int, steps: list[int]) -> None:
    powercap = Powercap(tmp_path_factory.mktemp("powercap"))
    powercap.add("intel-rapl:0", "package-0", start, range_microjoules=999)
    (domain,) = find_domains(powercap.folder)
    total, counter = 0.0, start
    for step in steps:
        counter = (counter + step) % 1000
        powercap.set("intel-rapl:0", counter)
        total += domain.joules_since_last()

    assert total == pytest.approx(sum(steps) * 1e-6)


def test_power_above_idle_is_shared_by_cpu_time_and_idle_power_by_host_share(powercap: Powercap) -> None:
    own, host, clock = Hand(), Hand(), Hand()
    powercap.add("intel-rapl:0", "package-0")
    powercap.add("intel-rapl:0:0", "dram")
    source = source_of(powercap, MeteringSpec(cpu_idle_watts=20, host_share=0.5), own, host, clock)
    powercap.set("intel-rapl:0", 1_000_000_000)
    powercap.set("intel-rapl:0:0", 60_000_000)
    own.value, host.value, clock.value = 3.0, 12.0, 10.0

    joules = source.joules_since_last()

    assert joules["cpu"] == pytest.approx(0.5 * 20 * 10 + (1000 - 20 * 10) * 3 / 12)
    assert joules["dram"] == pytest.approx(0.5 * 60)


@given(
    busy=st.lists(st.floats(0, 100), min_size=1, max_size=5),
    idle_cpu_seconds=st.floats(0.01, 100),
    idle_watts=st.floats(0, 200),
    joules=st.integers(0, 10_000),
)
def test_all_runs_and_the_unassigned_rest_add_up_to_the_host(
    tmp_path_factory: pytest.TempPathFactory, busy: list[float], idle_cpu_seconds: float, idle_watts: float, joules: int
) -> None:
    powercap = Powercap(tmp_path_factory.mktemp("powercap"))
    powercap.add("intel-rapl:0", "package-0")
    shares = [1 / (len(busy) + 1)] * (len(busy) + 1)  # the last is unassigned: other processes and nobody's devices
    seconds = [*busy, idle_cpu_seconds]
    hands = [Hand() for _ in seconds]
    host, clock = Hand(), Hand()
    sources = [
        source_of(powercap, MeteringSpec(cpu_idle_watts=idle_watts, host_share=share), own, host, clock)
        for share, own in zip(shares, hands, strict=True)
    ]
    powercap.set("intel-rapl:0", joules * 1_000_000)
    for hand, value in zip(hands, seconds, strict=True):
        hand.value = value
    host.value, clock.value = sum(seconds), 10.0

    assert sum(source.joules_since_last()["cpu"] for source in sources) == pytest.approx(joules, abs=1e-6)


def test_while_one_package_cannot_be_read_the_cpu_is_unknown_and_then_nothing_is_lost(
    powercap: Powercap, caplog: pytest.LogCaptureFixture
) -> None:
    own, host, clock = Hand(), Hand(), Hand()
    powercap.add("intel-rapl:0", "package-0")
    powercap.add("intel-rapl:1", "package-1")
    source = source_of(powercap, MeteringSpec(cpu_idle_watts=0), own, host, clock)
    powercap.set("intel-rapl:0", 5_000_000)
    powercap.take_away("intel-rapl:1")
    own.value, host.value, clock.value = 1.0, 1.0, 1.0
    while_missing = [source.joules_since_last(), source.joules_since_last()]
    powercap.set("intel-rapl:0", 7_000_000)
    powercap.set("intel-rapl:1", 3_000_000)
    own.value, host.value, clock.value = 2.0, 2.0, 2.0

    assert while_missing == [{}, {}]
    assert source.joules_since_last() == {"cpu": pytest.approx(10.0)}
    assert caplog.text.count("unknown until it can") == 1


def test_a_host_that_ran_nothing_gives_this_run_its_share_of_idle_only(powercap: Powercap) -> None:
    own, host, clock = Hand(), Hand(), Hand()
    powercap.add("intel-rapl:0", "package-0")
    source = source_of(powercap, MeteringSpec(cpu_idle_watts=10, host_share=0.5), own, host, clock)
    powercap.set("intel-rapl:0", 100_000_000)
    clock.value = 4.0

    assert source.joules_since_last() == {"cpu": pytest.approx(0.5 * 40)}
