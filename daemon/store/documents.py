"""A plan as it is stored: one compressed document."""

from __future__ import annotations

import zlib
from dataclasses import replace
from functools import cache

from pydantic import TypeAdapter

from daemon.domain.plan import Plan


def encode_plan(plan: Plan) -> bytes:
    """JSON, compressed lightly: a plan of thousands of jobs repeats the same words. Prices serve only the next plan."""
    return zlib.compress(_plans().dump_json(replace(plan, prices_g={})), level=1)


def decode_plan(data: bytes) -> Plan:
    return _plans().validate_json(zlib.decompress(data))


@cache
def _plans() -> TypeAdapter[Plan]:
    return TypeAdapter(Plan)
