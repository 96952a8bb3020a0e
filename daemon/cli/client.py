"""Talks HTTP to a running daemon; every trouble on the way becomes one sentence."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daemon.cli.output import fail

if TYPE_CHECKING:
    import httpx

DEFAULT_URL = "http://127.0.0.1:8765"
TIMEOUT_SECONDS = 30.0

UrlOption = Annotated[str, typer.Option("--url", envvar="LOWTIDE_URL", help="Where the daemon is; its token comes from LOWTIDE_TOKEN.")]


def get(url: str, path: str, **query: Any) -> Any:
    """The JSON answer to GET; parameters that are None are left out. Ends the command with a sentence on any trouble."""
    return _ask("GET", url, path, params={key: value for key, value in query.items() if value is not None})


def post(url: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
    return _ask("POST", url, path, json=body, headers=headers)


def job_ids(url: str) -> list[str]:
    """Ids of the newest jobs for shell completion: quick, and empty rather than a complaint."""
    import httpx

    try:
        answer = httpx.get(f"{url.rstrip('/')}/v1/jobs", headers=_authorization(), timeout=1.0)
        return [job["id"] for job in answer.raise_for_status().json()["items"]]
    except (httpx.HTTPError, ValueError, KeyError):
        return []


def _ask(method: str, url: str, path: str, **arguments: Any) -> Any:
    import httpx

    headers = _authorization() | (arguments.pop("headers", None) or {})
    try:
        answer = httpx.request(method, f"{url.rstrip('/')}{path}", headers=headers, timeout=TIMEOUT_SECONDS, **arguments)
    except httpx.ConnectError:
        fail(f"no daemon answers at {url}: start one with `lowtide serve`, or say where it is with --url or LOWTIDE_URL")
    except httpx.TimeoutException:
        fail(f"the daemon at {url} did not answer within {TIMEOUT_SECONDS:g} s: see its log")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        fail(f"the daemon at {url} cannot be asked: {error}")
    if answer.is_error:
        fail(_refusal(answer))
    try:
        return answer.json()
    except ValueError:
        fail(f"what answers at {url} is not a Lowtide daemon: check --url or LOWTIDE_URL")


def _refusal(answer: httpx.Response) -> str:
    """The daemon's own sentence, and the remedy where only the command line knows it."""
    try:
        problem = answer.json()
        detail = str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.request.url} answered {answer.status_code}: check --url or LOWTIDE_URL"
    if answer.status_code == 401:
        return f"{detail} (put the token into the environment variable LOWTIDE_TOKEN)"
    return "\n  ".join([detail] if len(problem.get("errors", [])) < 2 else ["the daemon refused:", *_sentences(problem)])


def _sentences(problem: dict[str, Any]) -> list[str]:
    return [": ".join(part for part in (error["field"], error["message"]) if part) for error in problem["errors"]]


def _authorization() -> dict[str, str]:
    token = os.environ.get("LOWTIDE_TOKEN", "")
    return {"Authorization": f"Bearer {token}"} if token else {}
