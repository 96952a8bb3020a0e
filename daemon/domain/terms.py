"""What an account is opened on, and stays on: the sites as the settings had them, and what work was known to cost on their hardware.

Kept with the first entry of an account: sites change and cost models learn, and neither must rewrite what was settled before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from daemon.domain.accounting import Conversion, Place


@dataclass(frozen=True, slots=True)
class SiteTerms:
    """One site of an account.

    `to_home`: from work done here to the same work at home. `expected_watts`: component power of an attempt here that no meter told
    anything of. `places`: runs of the job that fit side by side, 0 where it may not run.
    """

    site: str
    zone: str
    pue: float
    transfer_kwh_per_gb: float
    to_home: Conversion
    expected_watts: float
    places: int

    @property
    def place(self) -> Place:
        return Place(self.site, self.zone, self.pue)

    @property
    def from_home(self) -> Conversion:
        return Conversion(1 / self.to_home.energy, 1 / self.to_home.duration)


@dataclass(frozen=True, slots=True)
class AccountTerms:
    """The sites of an account, home first; `width`: runs that might have been side by side."""

    sites: tuple[SiteTerms, ...]
    width: int

    @property
    def home(self) -> SiteTerms:
        return self.sites[0]

    @property
    def by_site(self) -> Mapping[str, SiteTerms]:
        return {one.site: one for one in self.sites}
