"""Short words for Grafana panels: one function per kind of panel, all on the dashboard's own data source."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement, StackingMode, VizOrientation
from grafana_foundation_sdk.models.dashboard import DataSourceRef, ValueMap, ValueMappingResult

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
HEIGHT = 8  # grid rows

Query = tuple[str, str]  # (PromQL, legend)


def lines(
    title: str, unit: str, queries: Sequence[Query], text: str, *, span: int = 12, stacked: bool = False, floor: float | None = 0.0
) -> timeseries.Panel:
    """Values over time; `floor` is where the axis begins, None where values may be negative."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(text)
        .unit(unit)
        .height(HEIGHT)
        .span(span)
        .datasource(SOURCE)
        .line_width(1)
        .fill_opacity(20 if stacked else 5)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull"])
        )
    )
    if floor is not None:
        panel.axis_soft_min(floor)
    if stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    return panel.targets(_targets(queries))


def number(title: str, unit: str, query: str, text: str, *, span: int = 4, decimals: int | None = None) -> stat.Panel:
    """One value now."""
    panel = stat.Panel().title(title).description(text).unit(unit).height(4).span(span).datasource(SOURCE)
    panel.orientation(VizOrientation.AUTO).reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    if decimals is not None:
        panel.decimals(decimals)
    return panel.targets(_targets([(query, "")]))


def states(
    title: str, queries: Sequence[Query], text: str, names: Sequence[tuple[int, str, str]], *, span: int = 12
) -> statetimeline.Panel:
    """A value that stands for a word: (value, word, colour)."""
    mapping = ValueMap(options={str(value): ValueMappingResult(text=word, color=colour, index=value) for value, word, colour in names})
    return (
        statetimeline.Panel()
        .title(title)
        .description(text)
        .height(HEIGHT)
        .span(span)
        .datasource(SOURCE)
        .mappings([mapping])
        .targets(_targets(queries))
    )


def source_variable() -> dashboard.DatasourceVariable:
    return dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")


def _targets(queries: Sequence[Query]) -> list[prometheus.Dataquery]:
    return [
        prometheus.Dataquery().datasource(SOURCE).expr(expression).legend_format(legend).ref_id(chr(ord("A") + index))
        for index, (expression, legend) in enumerate(queries)
    ]
