"""Who may do what, and how often: Bearer tokens with scopes. Without any configured token everything is open, and only to this machine."""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Awaitable, Callable
from functools import lru_cache
from time import monotonic
from urllib.parse import urlsplit

from fastapi import Request
from starlette.exceptions import HTTPException

from daemon.api.loopback import is_loopback
from daemon.api.rate import RequestRate
from daemon.domain.caller import OPERATOR, Caller
from daemon.settings.server import Scope, ServerSettings, TokenSettings

INCLUDED: dict[Scope, frozenset[Scope]] = {
    "read": frozenset({"read"}),
    "submit": frozenset({"read", "submit"}),
    "admin": frozenset({"read", "submit", "admin"}),
}


class Guard:
    """Checks the Authorization header against the configured tokens, in constant time, and the Host header without tokens."""

    def __init__(self, server: ServerSettings, timer: Callable[[], float] = monotonic) -> None:
        tokens = server.tokens
        self._rate, self._most_per_minute, self._timer = RequestRate(server.requests_per_minute), server.requests_per_minute, timer
        self._callers = {token.digest: _caller_of(token) for token in tokens}
        self._scopes = [(token.digest, frozenset[Scope]().union(*(INCLUDED[scope] for scope in token.scopes))) for token in tokens]

    def needs(self, scope: Scope) -> Callable[[Request], Awaitable[None]]:
        """A FastAPI dependency that lets pass who has `scope`.

        Raises 401 without a valid token, 403 without the scope, 429 where its user asks too often.
        """

        async def check(request: Request) -> None:
            if not self._scopes:
                _check_from_this_machine(request)
                return
            if scope not in self._scopes_of(request.headers.get("authorization", "")):
                raise HTTPException(403, f"this token has no scope {scope!r}: ask for one that has it")
            self._check_rate(self.caller(request))

        return check

    async def sees_all(self, request: Request) -> None:
        """A dependency behind `needs`; raises 403 for a token that is bound to projects, where an answer tells of all of them."""
        if self.caller(request).projects:
            raise HTTPException(403, "this token is bound to projects, and this tells of all of them: use one that is not")

    def caller(self, request: Request) -> Caller:
        """Who sent a request that was let in."""
        if not self._callers:
            return OPERATOR
        _, _, token = request.headers.get("authorization", "").partition(" ")
        return self._callers[hashlib.sha256(token.strip().encode()).hexdigest()]

    def _check_rate(self, caller: Caller) -> None:
        """Two tokens of one name are one user, as for jobs and shares."""
        wait_seconds = self._rate.wait_seconds(caller.name or "", self._timer())
        if wait_seconds > 0:
            detail = f"{caller.name!r} may send {self._most_per_minute:,} requests a minute (server.requests_per_minute): pause, then go on"
            raise HTTPException(429, detail, {"Retry-After": str(math.ceil(wait_seconds))})

    def _scopes_of(self, header: str) -> frozenset[Scope]:
        kind, _, token = header.partition(" ")
        challenge = {"WWW-Authenticate": 'Bearer realm="lowtide"'}
        if kind.lower() != "bearer" or not token.strip():
            raise HTTPException(401, "a token is needed: send the header 'Authorization: Bearer <token>'", challenge)
        digest = hashlib.sha256(token.strip().encode()).hexdigest()
        found: frozenset[Scope] | None = None
        for known, scopes in self._scopes:  # every token is compared, so that the time says nothing
            if hmac.compare_digest(known, digest):
                found = scopes
        if found is None:
            raise HTTPException(401, "this token is not known here: check it for typos, or ask for a new one", challenge)
        return found


def _check_from_this_machine(request: Request) -> None:
    """A web page in a browser here must not reach an open daemon.

    Neither through a name that it makes resolve to this machine (DNS rebinding), nor by sending forms across sites: browsers
    name the page's origin with every POST, and a page of ours has the address that it asks.
    """
    address = request.headers.get("host") or request.url.netloc
    host = _name_in(address)
    if not is_loopback(host):
        raise HTTPException(
            403, f"without tokens the daemon answers only to 127.0.0.1 or localhost, not to {host!r}: configure server.tokens"
        )
    origin = request.headers.get("origin")
    if origin is not None and origin.lower() != f"http://{address}".lower():
        raise HTTPException(403, f"without tokens the daemon does not answer to pages of {origin!r}: configure server.tokens")


@lru_cache(maxsize=256)
def _name_in(host_header: str) -> str:
    """The host of `host:port`, empty where there is none; remembered, because it stands in every request."""
    try:
        return urlsplit(f"//{host_header}").hostname or ""
    except ValueError:
        return ""


def _caller_of(token: TokenSettings) -> Caller:
    return Caller(token.name, "admin" in token.scopes, token.projects, token.highest_priority)
