"""How many cores a run may use: what the scheduler allows, and what control groups of both versions grant."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobs.cgroup import cpu_quota_cores
from jobs.host import usable_cores

V2 = "0::/lab.slice/lowtide\n"
V1 = "12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n"
ABC = "cpu,cpuacct/docker/abc/cpu.cfs"
CORES = len(os.sched_getaffinity(0))


def tree(root: Path, groups: str, files: dict[str, str]) -> Path:
    """A host that tells these groups of the process and has these files below /sys/fs/cgroup."""
    for name, text in {"proc/self/cgroup": groups, **{f"sys/fs/cgroup/{name}": text for name, text in files.items()}}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("groups", "files"),
    [
        pytest.param(V2, {"lab.slice/lowtide/cpu.max": "200000 100000\n"}, id="its own group"),
        pytest.param(V2, {"lab.slice/lowtide/cpu.max": "max 100000\n", "lab.slice/cpu.max": "200000 100000\n"}, id="around it"),
        pytest.param(V2, {"lab.slice/lowtide/cpu.max": "400000 50000\n", "lab.slice/cpu.max": "100000 50000\n"}, id="smallest"),
        pytest.param("0::/\n", {"cpu.max": "200000 100000\n"}, id="a container's namespace"),
        pytest.param("0::/../other\n", {"cpu.max": "200000 100000\n", "../other/cpu.max": "1 1\n"}, id="a path out of the namespace"),
        pytest.param(V1, {f"{ABC}_quota_us": "100000\n", f"{ABC}_period_us": "50000\n"}, id="v1"),
        pytest.param(V1, {"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, id="v1 in a container, at the top"),
    ],
)  # fmt: skip
def test_a_container_with_two_cores_of_many_says_two(tmp_path: Path, groups: str, files: dict[str, str]) -> None:
    root = tree(tmp_path, groups, files)
    assert cpu_quota_cores(root) == 2
    assert usable_cores(root) == min(2, CORES)


@pytest.mark.parametrize("text", ["max 100000", "", "many few", "-1 100000", "200000", "0 0"])
def test_a_quota_that_is_none_or_unreadable_limits_nothing(tmp_path: Path, text: str) -> None:
    root = tree(tmp_path, "0::/\n", {"cpu.max": text})
    assert cpu_quota_cores(root) is None
    assert usable_cores(root) == CORES


def test_no_quota_of_version_1_is_minus_one(tmp_path: Path) -> None:
    root = tree(tmp_path, V1, {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"})
    assert cpu_quota_cores(root) is None


def test_the_memory_controllers_group_says_nothing_about_cores(tmp_path: Path) -> None:
    root = tree(tmp_path, "4:cpuset:/small\n", {"cpuset/small/cpu.max": "100000 100000\n"})
    assert cpu_quota_cores(root) is None


def test_a_part_of_a_core_is_one_core(tmp_path: Path) -> None:
    assert usable_cores(tree(tmp_path, "0::/\n", {"cpu.max": "50000 100000\n"})) == 1


def test_a_host_without_control_groups_gives_every_core_the_process_may_run_on(tmp_path: Path) -> None:
    assert usable_cores(tmp_path) == CORES
    assert 1 <= usable_cores() <= CORES
