"""The OpenAPI document is true: generated requests, valid and not, meet documented answers and never an error of our own."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from daemon.api.app import create_app
from daemon.metrics import Metrics
from daemon.settings import Settings
from tests.daemon.api.scripted import ScriptedService

pytestmark = pytest.mark.slow
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

schema = schemathesis.openapi.from_dict(create_app(ScriptedService(), Settings(), Metrics()).openapi())


@schema.parametrize()
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_generated_request_meets_a_documented_answer(case: schemathesis.Case[Any], running: tuple[str, ScriptedService]) -> None:
    response = case.call(base_url=running[0])
    case.validate_response(response, checks=CHECKS)
