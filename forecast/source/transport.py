"""One GET against the provider: bounded in time and size, every failure of the connection turned into one of our errors."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from forecast.source.errors import Malformed, Transient, WrongHost

USER_AGENT = "lowtide (carbon-aware scheduling daemon)"
"""Always sent: the host sits behind a content network that rejects clients without one."""
TIMEOUT_SECONDS = 20.0
LONGEST_ANSWER_SECONDS = 60.0
LARGEST_ANSWER_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, text and the Retry-After header of an answer."""

    status: int
    text: str
    retry_after: str | None


def get(http: httpx.Client, url: str, query: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Fetch `url`, with `headers` of the caller's own beside ours.

    Raises Transient (connection), Malformed (too large) or WrongHost (not a URL). Redirects are not followed, so that a key is
    never carried to another host.
    """
    sent = {"User-Agent": USER_AGENT, "Accept": "application/json"} | dict(headers or {})
    try:
        with http.stream("GET", url, params=dict(query or {}), headers=sent, follow_redirects=False) as response:
            body = _read(response)
            return Answer(response.status_code, body.decode("utf-8", errors="replace"), response.headers.get("Retry-After"))
    except httpx.InvalidURL as error:
        raise WrongHost(f"{url} is not a URL ({error}): check the base_url of this source") from error
    except httpx.UnsupportedProtocol as error:
        raise WrongHost(f"{url} must begin with http:// or https://: check the base_url of this source") from error
    except httpx.HTTPError as error:
        raise Transient(f"{type(error).__name__} at {url}: {error}") from error


def _read(response: httpx.Response) -> bytes:
    """The body, given up when it drips too long (each piece alone would be in time) or grows too large."""
    deadline = time.monotonic() + LONGEST_ANSWER_SECONDS
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > LARGEST_ANSWER_BYTES:
            raise Malformed(f"{response.url} answers with more than {LARGEST_ANSWER_BYTES} bytes")
        if time.monotonic() > deadline:
            raise Transient(f"{response.url} needs longer than {LONGEST_ANSWER_SECONDS:.0f} s to answer")
    return bytes(body)
