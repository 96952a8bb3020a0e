"""How an attempt ended, as the node itself says it in `outcome.json`."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict

CHECKPOINTED_EXIT_CODE = 75  # EX_TEMPFAIL: stopped on request, resumable
FAILED_EXIT_CODE = 1


class OutcomeKind(StrEnum):
    COMPLETED = "completed"  # everything the spec asked for is in artifacts/
    CHECKPOINTED = "checkpointed"  # stopped on request after a sound checkpoint; a later attempt goes on from it
    FAILED = "failed"  # `reason` says what, where, and what to do


class Outcome(BaseModel):
    """Written once, at the end of an attempt. `attempt_id` tells whose outcome it is: a resumed run has several attempts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    attempt_id: str
    kind: OutcomeKind
    reason: str = ""
    ended_at: AwareDatetime
    steps_done: int = 0
    retryable: bool = True  # a failure that would only repeat itself (bad data, impossible shape) says False


def exit_code(kind: OutcomeKind) -> int:
    return {OutcomeKind.COMPLETED: 0, OutcomeKind.CHECKPOINTED: CHECKPOINTED_EXIT_CODE, OutcomeKind.FAILED: FAILED_EXIT_CODE}[kind]
