"""Where the HTTP API listens, and who may use it."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from daemon.domain.caller import HIGHEST_PRIORITY
from daemon.settings.values import Section

Scope = Literal["read", "submit", "admin"]
ProjectName = Annotated[str, Field(min_length=1, max_length=100)]


class TokenSettings(Section):
    """Who may call the API: a Bearer token, in plain text or as its SHA-256, and what it may do."""

    name: str = Field(min_length=1, max_length=100, description="who holds it: owner of the jobs it brings, and user of the shares")
    token: SecretStr | None = Field(default=None, description="the token itself, at least 16 characters")
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$", description="instead of the token: its SHA-256 in lower-case hex")
    scopes: frozenset[Scope] = Field(default=frozenset({"read"}), min_length=1, description="read, submit, admin (may do all)")

    projects: frozenset[ProjectName] = Field(
        default=frozenset(),
        description="whose jobs it may submit, see, cancel and build on; none: it may submit for any project and see all",
    )
    highest_priority: int = Field(default=HIGHEST_PRIORITY, ge=-100, le=HIGHEST_PRIORITY, description="that its jobs may ask for")

    @model_validator(mode="after")
    def _admins_are_not_bound(self) -> Self:
        if "admin" in self.scopes and (self.projects or self.highest_priority < HIGHEST_PRIORITY):
            raise ValueError("scope 'admin' may do all: leave projects and highest_priority out, or take the scope away")
        return self

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.token is None) == (self.sha256 is None):
            raise ValueError("needs exactly one of 'token' and 'sha256'")
        if self.token is not None and len(self.token.get_secret_value()) < 16:
            raise ValueError("token must have at least 16 characters: make one with `openssl rand -hex 24`")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the token in lower-case hex."""
        if self.token is not None:
            return hashlib.sha256(self.token.get_secret_value().encode()).hexdigest()
        assert self.sha256 is not None
        return self.sha256


class ServerSettings(Section):
    """Where the HTTP API listens and who may use it."""

    host: str = Field(default="127.0.0.1", description="address to listen on; without tokens only a loopback address is allowed")
    port: int = Field(default=8765, ge=0, le=65535, description="TCP port; 0 takes a free one")
    tokens: tuple[TokenSettings, ...] = Field(default=(), description="Bearer tokens; none: anyone on this machine may do anything")
    jobs_per_user: int = Field(default=10_000, ge=1, description="jobs of one token (without tokens: one project) that wait or run at once")
    requests_per_minute: int = Field(default=6000, ge=1, description="requests of one token, saved up for a minute; without tokens: any")

    @field_validator("tokens")
    @classmethod
    def _each_token_once(cls, value: tuple[TokenSettings, ...]) -> tuple[TokenSettings, ...]:
        names: dict[str, str] = {}
        for token in value:
            if token.digest in names:
                raise ValueError(f"{names[token.digest]!r} and {token.name!r} have the same token: make a new one for one of them")
            names[token.digest] = token.name
        return value
