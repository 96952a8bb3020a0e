"""Central 80 % intervals of products and differences. Pure arithmetic on log-normal errors, as the energy model has them."""

from __future__ import annotations

import math

from jobs.energy.model import Band


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


def spared(grams: Band, before: Band, after: Band) -> Band:
    """What of `grams` goes away where the energy behind them falls from `before` to `after`.

    Both energies come from one model of one machine: what it errs by in common cancels in their ratio, and only what
    `after` is less sure of than `before` remains.
    """
    ratio = after.mid / before.mid
    up = math.sqrt(max(0.0, _width(after.mid, after.high) ** 2 - _width(before.mid, before.high) ** 2))
    shares = (1 - ratio * math.exp(up), 1 - ratio * math.exp(-up))
    corners = [share * bound for share in shares for bound in (grams.low, grams.high)]
    mid = grams.mid * (1 - ratio)
    return Band(min(mid, *corners), mid, max(mid, *corners))


def _width(below: float, above: float) -> float:
    """log(above / below), infinite where the lower bound is zero."""
    return math.log(above / below) if below > 0 else math.inf
