"""Which sites could not be asked how their attempts are, and why: told by every tick, shown to whoever looks at the sites."""

from __future__ import annotations

from collections.abc import Mapping

NOT_IN_SETTINGS = "the settings no longer name this site: put it back, and its attempts are watched again"


def out_of_reach(failure: Exception) -> str:
    """The reason where an executor could not be asked."""
    return f"its executor cannot be asked, which is tried again at every tick: {failure}"


class Reach:
    """What the last tick found. Replaced whole, so that other threads may read while a tick runs."""

    def __init__(self) -> None:
        self._silent: Mapping[str, str] = {}

    def renew(self, silent: Mapping[str, str]) -> None:
        """`silent`: by site, why nothing is known of its attempts now."""
        self._silent = dict(silent)

    def reason(self, site: str) -> str | None:
        """Why nothing is known of the site's attempts; None where they were asked for, or there are none."""
        return self._silent.get(site)
