"""Central 80 % intervals of products and differences. Pure arithmetic on log-normal errors, as the energy model has them."""

from __future__ import annotations

import math
from collections.abc import Callable

from jobs.energy.calibration import Z80
from jobs.energy.model import Band, Estimate


def product(first: Band, second: Band) -> Band:
    """Of two positive quantities whose errors have nothing to do with each other: relative widths add in quadrature."""
    mid = first.mid * second.mid
    if mid <= 0:
        return Band(first.low * second.low, mid, first.high * second.high)
    up = math.hypot(_width(first.mid, first.high), _width(second.mid, second.high))
    down = math.hypot(_width(first.low, first.mid), _width(second.low, second.mid))
    return Band(mid * math.exp(-down), mid, mid * math.exp(up))


def scaled(band: Band, factor: float) -> Band:
    """Times a number that is known; a negative one turns the interval round."""
    low, high = sorted((band.low * factor, band.high * factor))
    return Band(low, band.mid * factor, high)


def stretched(band: Band, factor: Band) -> Band:
    """Times an uncertain positive factor, where the band may reach below zero: the outermost of the products, a cautious reading."""
    corners = [bound * times for bound in (band.low, band.high) for times in (factor.low, factor.high)]
    return Band(min(corners), band.mid * factor.mid, max(corners))


def relative(band: Band) -> Band:
    """The band over its middle: what it does to a quantity proportional to it."""
    return scaled(band, 1 / band.mid)


def difference(first: Band, second: Band) -> Band:
    """first - second where their errors have nothing to do with each other."""
    mid = first.mid - second.mid
    up = math.hypot(first.high - first.mid, second.mid - second.low)
    down = math.hypot(first.mid - first.low, second.high - second.mid)
    return Band(mid - down, mid, mid + up)


def centred(band: Band, mid: float) -> Band:
    """As wide, around another middle."""
    return Band(band.low - band.mid + mid, mid, band.high - band.mid + mid)


def saved(before: Estimate, after: Estimate, quantity: Callable[[Estimate], Band]) -> Band:
    """What goes away where one estimate is put in the place of another on the same hardware.

    What both err by alike stretches the saving, what each errs by alone comes on top: independent errors, whose swings add
    in quadrature. Estimates that stand on the same configurations err alike by all but what one is less sure of.
    """
    first, second = quantity(before), quantity(after)
    alike, own_before, own_after = _shared(before, after, _width(first.mid, first.high), _width(second.mid, second.high))
    mid = first.mid - second.mid
    ups, downs = [], []
    for amount, width in ((mid, alike), (first.mid, own_before), (-second.mid, own_after)):
        swings = (amount * math.expm1(width), amount * math.expm1(-width))
        ups.append(max(swings))
        downs.append(-min(swings))
    return Band(mid - math.hypot(*downs), mid, mid + math.hypot(*ups))


def _shared(before: Estimate, after: Estimate, width_before: float, width_after: float) -> tuple[float, float, float]:
    """Of the widths of two estimates: what is common, and what each has alone."""
    common = min(width_before, width_after)
    if before.bases != after.bases:
        common = min(common, Z80 * before.common_sigma, Z80 * after.common_sigma)
    return common, _without(width_before, common), _without(width_after, common)


def _without(width: float, part: float) -> float:
    """What is left in quadrature."""
    return math.sqrt(max(0.0, width**2 - part**2))


def times(saving: Band, rate: Band) -> Band:
    """A saving, which may be below zero, times an uncertain positive rate that errs independently."""
    above, below = (rate.high - rate.mid, rate.mid - rate.low) if saving.mid >= 0 else (rate.mid - rate.low, rate.high - rate.mid)
    mid, size = saving.mid * rate.mid, abs(saving.mid)
    up = math.hypot((saving.high - saving.mid) * rate.mid, size * above)
    down = math.hypot((saving.mid - saving.low) * rate.mid, size * below)
    return Band(mid - down, mid, mid + up)


def _width(below: float, above: float) -> float:
    """log(above / below), infinite where the lower bound is zero."""
    return math.log(above / below) if below > 0 else math.inf
