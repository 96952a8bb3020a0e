"""Freed memory stays with the process, where the C library can do that."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PAGES_OF_THE_BLOCK = 16_384  # 64 MiB in pages of 4 KiB

SCRIPT = """
import resource
import sys
import numpy as np
from jobs.ldm.allocator import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()
np.full(16 << 20, 1.0, np.float32)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.full(16 << 20, 2.0, np.float32)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    """Of filling the same 64 MiB a second time, in a fresh process."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, how], check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep freed memory")
def test_a_tensor_made_again_finds_its_memory_where_the_last_one_left_it() -> None:
    # huge pages, where they are on by default, are 512 times as large as the others
    assert page_faults("keep") < PAGES_OF_THE_BLOCK / 512 / 2 < page_faults("default")
