"""What all sections are made of, and the values several of them share: site names, zone keys, web addresses."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict

WORLD_ZONE = "WORLD"  # no grid of its own: stands on the bundled yearly mean of the whole world


def site_name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", value):
        raise ValueError(f"{value!r} must be lower-case letters, digits and inner dashes, at most 63 of them, for example 'heidelberg'")
    return value


def zone_key(value: str) -> str:
    if not re.fullmatch(r"[A-Z0-9]{2,}(?:-[A-Z0-9]+)*", value):
        raise ValueError(f"{value!r} is not a grid zone: write a zone key such as 'DE' or 'US-CAL-CISO' (see `lowtide zones --all`)")
    return value


def web_address(value: str, example: str) -> str:
    if urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname:
        raise ValueError(f"{value!r} is not a web address: write for example {example!r}")
    return value.rstrip("/")


def is_below(address: str, domains: tuple[str, ...]) -> bool:
    """Whether the host of a web address is one of the domains, each written with a leading dot, or lies below one."""
    host = (urlsplit(address).hostname or "").rstrip(".")
    return f".{host}".endswith(domains)


SiteName = Annotated[str, AfterValidator(site_name)]

ZoneKey = Annotated[str, AfterValidator(zone_key)]


class Section(BaseModel):
    """Unknown keys, NaN and infinity are errors; values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)
