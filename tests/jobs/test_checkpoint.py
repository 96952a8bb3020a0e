"""Checkpoints survive kills, rot and full disks."""

from __future__ import annotations

import errno
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from jobs.ldm.checkpoint import Checkpoints


def saved(folder: Path, *steps: int) -> Checkpoints:
    checkpoints = Checkpoints(folder)
    for step in steps:
        checkpoints.save(step, {"step": step, "tensor": torch.full((100,), float(step))})
    return checkpoints


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def lose_the_checksum(path: Path) -> None:
    path.with_name(f"{path.name}.sha256").unlink()


def test_the_newest_is_read_back_and_two_are_kept(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 1, 20, 300)
    state = checkpoints.newest_sound()
    assert state is not None
    assert state["step"] == 300
    assert torch.equal(state["tensor"], torch.full((100,), 300.0))
    assert sorted(path.name for path in tmp_path.glob("*.pt")) == ["000000000020.pt", "000000000300.pt"]


@pytest.mark.parametrize("damage", [cut_short, flip_a_byte, lose_the_checksum])
def test_a_damaged_one_is_passed_over_with_a_warning(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = saved(tmp_path, 1, 2)
    damage(tmp_path / "000000000002.pt")
    state = checkpoints.newest_sound()
    assert state is not None
    assert state["step"] == 1
    assert "000000000002.pt is damaged" in caplog.text
    assert "falling back to the one before" in caplog.text


def test_without_a_sound_one_the_run_begins_anew(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 1, 2)
    for path in tmp_path.glob("*.pt"):
        flip_a_byte(path)
    assert checkpoints.newest_sound() is None
    assert Checkpoints(tmp_path / "absent").newest_sound() is None


def test_a_checkpoint_that_would_run_code_is_not_sound(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 1)
    checkpoints.save(2, {"step": 2, "code": Path("not a plain value")})
    state = checkpoints.newest_sound()
    assert state is not None
    assert state["step"] == 1


def test_a_write_the_disk_refuses_raises_what_the_disk_said_and_keeps_the_older_ones(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as refused:
            checkpoints.save(2, {"step": 2, "tensor": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert refused.value.errno == errno.EFBIG
    state = checkpoints.newest_sound()
    assert state is not None
    assert state["step"] == 1
    assert not list(tmp_path.glob(".*"))
