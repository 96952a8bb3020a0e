"""Where the HTTP API listens, and who may use it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from daemon.settings.values import Section

Scope = Literal["read", "submit", "admin"]


class TokenSettings(Section):
    """Who may call the API: a Bearer token, in plain text or as its SHA-256, and what it may do."""

    name: str = Field(min_length=1, max_length=100, description="who holds it, for the log")
    token: SecretStr | None = Field(default=None, description="the token itself, at least 16 characters")
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$", description="instead of the token: its SHA-256 in lower-case hex")
    scopes: frozenset[Scope] = Field(default=frozenset({"read"}), min_length=1, description="read, submit, admin (may do all)")

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.token is None) == (self.sha256 is None):
            raise ValueError("needs exactly one of 'token' and 'sha256'")
        if self.token is not None and len(self.token.get_secret_value()) < 16:
            raise ValueError("token must have at least 16 characters: make one with `openssl rand -hex 24`")
        return self


class ServerSettings(Section):
    """Where the HTTP API listens and who may use it."""

    host: str = Field(default="127.0.0.1", description="address to listen on; without tokens only a loopback address is allowed")
    port: int = Field(default=8765, ge=0, le=65535, description="TCP port; 0 takes a free one")
    tokens: tuple[TokenSettings, ...] = Field(default=(), description="Bearer tokens; none: anyone on this machine may do anything")
