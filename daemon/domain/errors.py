"""What can go wrong with a request, as the user must hear it: which field, what is wrong, what to do.

LowtideError
 |- Rejected            the request is understood but cannot be accepted (422)
 |- Forbidden           this caller may not do it (403)
 |- NotFound            no such job, site or zone (404)
 |- Conflict            it contradicts what is already there (409)
 |- TooMany             this caller has as much as one may have at once (429)
 '- Hindered            the daemon itself must not act now
"""

from __future__ import annotations


class LowtideError(Exception):
    """Base of every error a user may see; `str()` is one clear sentence."""


class Rejected(LowtideError):
    """A field holds something that cannot be accepted. `field` is a dotted path into the request."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field, self.message = field, message


class Forbidden(LowtideError):
    """The caller may not do this; the message says what is allowed, or who may."""


class NotFound(LowtideError):
    """`kind` ('job', 'site', 'zone') with the given name does not exist; `known` helps with a typo."""

    def __init__(self, kind: str, name: str, known: tuple[str, ...] = ()) -> None:
        hint = f"; known: {', '.join(known)}" if known else ""
        super().__init__(f"there is no {kind} {name!r}{hint}")
        self.kind, self.name, self.known = kind, name, known


class Conflict(LowtideError):
    """The request contradicts what is already there."""


class TooMany(LowtideError):
    """The caller has as much as one may have at once; the message says of what, and what to do."""


class Hindered(LowtideError):
    """The daemon must not act now, as where another one works on its database; the message says why."""
