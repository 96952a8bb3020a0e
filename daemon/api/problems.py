"""Every error answer is a problem document (RFC 9457, application/problem+json) that names the field and the remedy."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.responses import Response

from daemon.domain.errors import Conflict, Forbidden, LowtideError, NotFound, Rejected, TooMany
from daemon.domain.job import JobRequest
from daemon.store import DiskFull, StoreUnavailable
from daemon.validation import FieldError, field_error

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 10
RETRY_AFTER_TOO_MANY_SECONDS = 600  # jobs end more slowly than databases come back


class ProblemError(BaseModel):
    """One wrong field: a dotted path into the request, and what to do about it."""

    field: str
    message: str


class Problem(BaseModel):
    """RFC 9457. `detail` is one sentence; `errors` lists every wrong field where there is one."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str = Field(description="path of the request")
    errors: list[ProblemError] = []


def problem_response(
    path: str, status: int, detail: str, errors: Sequence[FieldError] = (), headers: Mapping[str, str] | None = None
) -> Response:
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=path,
        errors=[ProblemError(field=error.field, message=error.message) for error in errors],
    )
    return Response(problem.model_dump_json(), status, headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(LowtideError, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(StoreUnavailable, _unavailable)
    app.add_exception_handler(Exception, _failed)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [_as_field_error(detail, request) for detail in error.errors()]
    return problem_response(request.url.path, 422, "; ".join(str(item) for item in errors[:3]), errors)


def _as_field_error(detail: ErrorDetails, request: Request) -> FieldError:
    """FastAPI's locations begin with where the value was: the body, the query, a header."""
    place, *inside = detail["loc"]
    if detail["type"] == "json_invalid":
        return FieldError("", f"the body is not valid JSON at character {inside[0]}: {detail['ctx']['error']}")
    if place == "body" and not inside:
        if not isinstance(detail["input"], bytes) and detail["type"] != "missing":
            return FieldError("", "the body must be a JSON object")
        return FieldError("", "send a JSON object with the header 'Content-Type: application/json'")
    if place == "body":
        return field_error({**detail, "loc": tuple(inside)}, JobRequest)
    plain = field_error({**detail, "loc": tuple(inside)}, BaseModel)
    return FieldError(plain.field, f"{plain.message} ({place} parameter)")


async def _refused(request: Request, error: Exception) -> Response:
    match error:
        case Rejected():
            return problem_response(request.url.path, 422, str(error), [FieldError(error.field, error.message)])
        case Forbidden():
            return problem_response(request.url.path, 403, str(error))
        case NotFound():
            return problem_response(request.url.path, 404, str(error))
        case Conflict():
            return problem_response(request.url.path, 409, str(error))
        case TooMany():
            return problem_response(request.url.path, 429, str(error), headers={"Retry-After": str(RETRY_AFTER_TOO_MANY_SECONDS)})
    return problem_response(request.url.path, 400, str(error))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 404 and error.detail == HTTPStatus.NOT_FOUND.phrase:
        return problem_response(path, 404, f"there is nothing at {path}: see /docs for what there is")
    if error.status_code == 400 and request.method == "POST":
        return problem_response(path, 400, "the body is not JSON in UTF-8: check how it is encoded")
    if error.status_code == 405:
        allowed = _allowed_methods(request)
        return problem_response(path, 405, f"{request.method} is not possible at {path}: use {allowed}", headers={"Allow": allowed})
    return problem_response(path, error.status_code, str(error.detail), headers=error.headers)


def _allowed_methods(request: Request) -> str:
    """Every method of this path; the framework names only those of its first match."""
    template = getattr(request.scope.get("route"), "path", request.url.path)
    return ", ".join(sorted(method.upper() for method in request.app.openapi()["paths"].get(template, {"GET": None})))


async def _unavailable(request: Request, error: Exception) -> Response:
    """The database is out of reach: what it said stays in the log, the same request may work later."""
    log.error("http-failed", extra={"method": request.method, "path": request.url.path, "reason": str(error)})
    status, what, remedy = 503, "the database is not available now", "try again in a moment"
    if isinstance(error, DiskFull):
        status, what, remedy = 507, "the disk of the daemon's database is full", "try again once its operator has freed space there"
    detail = f"{what} and nothing was kept: {remedy}, with the same Idempotency-Key if you gave one"
    return problem_response(request.url.path, status, detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


async def _failed(request: Request, error: Exception) -> Response:
    log.error("http-failed", extra={"method": request.method, "path": request.url.path}, exc_info=error)
    detail = "the daemon could not answer because of an error of its own: its log says more"
    return problem_response(request.url.path, 500, detail)
