"""Text from elsewhere for terminals and logs: nothing in it may move the cursor, hide words or pretend to be another line."""

from __future__ import annotations

import re

# C0 and C1 controls but tab and newline; marks that turn the direction of text; line and paragraph separators; half surrogates
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """The text with every character that acts instead of being seen written as its escape; lines stay lines."""
    return _UNSEEN.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


def visible_line(text: str) -> str:
    """The same on one line."""
    return visible(text).replace("\n", "\\n")
