"""Values that are stored whole, as compressed or plain JSON, and their way back."""

from __future__ import annotations

import zlib
from functools import cache
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from daemon.domain.plan import Plan

if TYPE_CHECKING:
    from jobs.energy.model import RunObservation


@cache
def _plans() -> TypeAdapter[Plan]:
    return TypeAdapter(Plan)


@cache
def _observations() -> TypeAdapter[RunObservation]:
    from jobs.energy.model import RunObservation

    return TypeAdapter(RunObservation)


def encode_plan(plan: Plan) -> bytes:
    """JSON, compressed lightly: a plan of thousands of jobs repeats the same words."""
    return zlib.compress(_plans().dump_json(plan), level=1)


def decode_plan(data: bytes) -> Plan:
    return _plans().validate_json(zlib.decompress(data))


def encode_observation(observation: RunObservation) -> str:
    return _observations().dump_json(observation).decode()


def decode_observation(text: str) -> RunObservation:
    return _observations().validate_json(text)
