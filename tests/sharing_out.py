"""How tests are shared out among the test processes of `pytest -n`: by file, so that what the tests of a file share is made once.

All files that start children from the fork server (`tests.fork_server`) are one part: importing torch for it takes as long as many tests.
Marks of `xdist_group` would not say so: pytest-xdist 3.8 does not find them under pytest 9.2 (its issue 1386).
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

FORKING = frozenset(
    {
        "tests/daemon/service/test_kill_points.py",
        "tests/jobs/data/test_head_ct.py",
        "tests/jobs/data/test_split.py",
        "tests/jobs/test_distributed.py",
        "tests/jobs/test_options.py",
        "tests/jobs/test_run.py",
        "tests/jobs/test_synthesis_identity.py",
        "tests/jobs/test_training_resume.py",
    }
)


def part_of(nodeid: str) -> str:
    """The name of the part of the suite that a test belongs to."""
    file = nodeid.partition("::")[0]
    return "forking" if file in FORKING else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The scheduler for `--dist loadfile`, else None. Parts with many tests go first, so that small ones fill the time at the end."""
    if config.getoption("dist") != "loadfile":
        return None
    scheduler = LoadFileScheduling(config, log)
    scheduler._split_scope = part_of
    return scheduler
