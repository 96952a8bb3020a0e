"""What a caller may ask for: whatever a request says, a bound token's jobs are of its projects."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.domain.caller import OPERATOR, Caller
from daemon.domain.errors import Forbidden, Rejected
from daemon.domain.job import JobRequest

TRAINING = {
    "kind": "training",
    "model": {"dimensions": 2, "size": "tiny", "image_shape": [64, 64]},
    "data": {"phantom": {"patients": 4}},
    "iterations": 10,
}
names = st.sampled_from(["default", "ct", "mr", "CT", "ct "])


def request(project: str | None, priority: int = 0) -> JobRequest:
    named: dict[str, Any] = {} if project is None else {"project": project}
    return JobRequest.model_validate({"workload": TRAINING, "priority": priority} | named)


@given(st.frozensets(names, min_size=1), st.none() | names, st.integers(-100, 100), st.integers(-100, 100))
def test_a_bound_token_gets_a_job_of_its_projects_within_its_priority_or_none(
    projects: frozenset[str], project: str | None, priority: int, highest: int
) -> None:
    asked = request(project, priority)
    fits = priority <= highest and (len(projects) == 1 if project is None else project in projects)
    caller = Caller("lab", projects=projects, highest_priority=highest)
    if not fits:
        with pytest.raises((Forbidden, Rejected)):
            caller.own(asked)
        return
    own = caller.own(asked)
    assert own.project in projects
    assert own.model_copy(update={"project": asked.project}) == asked


@given(st.none() | names, st.integers(-100, 100))
def test_who_is_not_bound_gets_what_was_asked_for(project: str | None, priority: int) -> None:
    asked = request(project, priority)
    assert Caller("ada").own(asked) == OPERATOR.own(asked) == asked
