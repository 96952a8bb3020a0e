from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs.energy.cpu_model import CpuModelSource
from jobs.energy.process_tree import ProcessTree, host_busy_cpu_seconds
from jobs.spec import MeteringSpec

BURN = "import sys, time\nwhile time.process_time() < float(sys.argv[1]): pass\nprint(time.process_time(), flush=True)\nsys.stdin.read()\n"


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def start_burning(seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-S", "-c", BURN, str(seconds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def let_go(child: subprocess.Popen[str]) -> float:
    """End the child and return its CPU seconds as the kernel reports them for that very process."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.close()
    child.stdout.close()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def test_own_live_and_ended_children_are_counted_within_two_percent_of_hand_computed_cpu_seconds() -> None:
    metering = MeteringSpec(cpu_tdp_watts=200, cpu_idle_watts=40, host_share=0.25)
    source = CpuModelSource(metering, host_cpus=4)
    wall, own = time.monotonic(), time.process_time()
    ended, live = start_burning(0.5), start_burning(0.6)
    burn(0.3)
    assert ended.stdout is not None
    assert live.stdout is not None
    ended.stdout.readline()
    ended_seconds = let_go(ended)
    live_seconds = float(live.stdout.readline())

    joules = source.joules_since_last()["cpu"]

    own_seconds = time.process_time() - own
    by_hand = 0.25 * 40 * (time.monotonic() - wall) + (200 - 40) / 4 * (own_seconds + ended_seconds + live_seconds)
    let_go(live)
    assert joules == pytest.approx(by_hand, rel=0.02)


def test_grandchildren_are_counted_while_they_live() -> None:
    tree = ProcessTree()
    before = tree.cpu_seconds()
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {BURN!r}, '0.4'])"
    parent = subprocess.Popen([sys.executable, "-S", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    parent.stdout.readline()  # the grandchild has burned its time and lives on

    assert tree.cpu_seconds() - before > 0.4

    let_go(parent)


def test_the_total_never_falls_when_a_child_ends() -> None:
    tree = ProcessTree()
    child = start_burning(0.05)
    assert child.stdout is not None
    child.stdout.readline()
    readings = [tree.cpu_seconds()]
    let_go(child)
    readings += [tree.cpu_seconds(), tree.cpu_seconds()]

    assert readings == sorted(readings)


def test_host_time_counts_all_but_idle_and_waiting(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 20 30 99999 77777 4 5 6 0 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n")

    assert host_busy_cpu_seconds(stat) == pytest.approx((100 + 20 + 30 + 4 + 5 + 6) / os.sysconf("SC_CLK_TCK"))


def test_the_real_host_was_busy_at_least_as_long_as_this_process() -> None:
    assert host_busy_cpu_seconds() >= time.process_time() - 0.1
