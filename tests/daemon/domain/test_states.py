"""States: late and repeated reports never move backwards, and final is final."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.domain.states import FINAL_JOB_STATES, JOB_TRANSITIONS, AttemptState, JobState, advance, attempt_states_before, states_before

attempt_states = st.sampled_from(AttemptState)


@given(st.lists(attempt_states, min_size=1))
def test_no_sequence_of_reports_moves_an_attempt_backwards(reports: list[AttemptState]) -> None:
    state = AttemptState.LAUNCHING
    for report in reports:
        before, state = state, advance(state, report)
        assert state.order >= before.order


@given(st.lists(attempt_states), attempt_states.filter(lambda state: state.is_final), st.lists(attempt_states))
def test_the_first_final_state_reported_stays_whatever_arrives_afterwards(
    before: list[AttemptState], final: AttemptState, after: list[AttemptState]
) -> None:
    state = AttemptState.LAUNCHING
    for report in before:
        state = advance(state, report)
    expected = state if state.is_final else final
    for report in (final, *after):
        state = advance(state, report)
    assert state is expected


@given(attempt_states, attempt_states)
def test_an_attempt_is_put_into_a_state_from_where_a_report_of_it_moves_it_there_or_changes_nothing(
    current: AttemptState, wanted: AttemptState
) -> None:
    assert (current in attempt_states_before(wanted)) == (advance(current, wanted) is wanted)


@given(attempt_states, attempt_states)
def test_a_report_told_twice_is_a_report_told_once(current: AttemptState, report: AttemptState) -> None:
    assert advance(advance(current, report), report) is advance(current, report)


def test_states_come_in_the_order_of_an_attempts_life() -> None:
    life = [AttemptState.LAUNCHING, AttemptState.PENDING, AttemptState.ACTIVE, AttemptState.STOPPING]
    assert sorted(life, key=lambda state: state.order) == life
    assert all(state.order > AttemptState.STOPPING.order for state in AttemptState if state not in life)


@pytest.mark.parametrize("current", sorted(FINAL_JOB_STATES))
@pytest.mark.parametrize("wanted", list(JobState))
def test_a_final_job_goes_nowhere(current: JobState, wanted: JobState) -> None:
    assert (current in states_before(wanted)) == (current is wanted)


@pytest.mark.parametrize("wanted", list(JobState))
def test_a_job_is_put_into_a_state_from_those_it_may_follow_and_from_itself(wanted: JobState) -> None:
    assert states_before(wanted) == {wanted} | {state for state in JobState if wanted in JOB_TRANSITIONS[state]}


def test_every_job_state_can_be_reached_and_left_unless_it_is_final() -> None:
    reachable, frontier = {JobState.WAITING}, [JobState.WAITING]
    while frontier:
        for state in JOB_TRANSITIONS[frontier.pop()] - reachable:
            reachable.add(state)
            frontier.append(state)
    assert reachable == set(JobState)
    assert {state for state in JobState if not JOB_TRANSITIONS[state]} == FINAL_JOB_STATES
