"""The chores on the ticker: what each does, and how often."""

from __future__ import annotations

from datetime import timedelta

from daemon.compose.parts import Parts
from daemon.planner import PlannerOptions, Residual, explain, preview, till_behind, warned
from daemon.service.board import Board
from daemon.service.settle import Settler
from daemon.service.telling import Teller
from daemon.service.tick import Tick, TickReport
from daemon.service.zones import Zones
from daemon.ticker import Chore

VINTAGES_KEPT = timedelta(days=400)


def chores_of(parts: Parts, tick: Tick, settler: Settler, zones: Zones) -> list[Chore]:
    """All chores of a daemon; none has started."""
    ticker, feed, names = parts.settings.ticker, parts.feed, zones.names
    teller = Teller(parts.metrics, parts.store, zones, parts.clock)

    def beat() -> None:
        report = tick.run()
        renew_board(parts.board, report, parts.options)
        if settler.settle_new(attempt.job_id for attempt in report.ended):
            teller.tell_ledger()
        teller.tell_tick(report)

    def settle() -> None:
        settler.settle()
        teller.tell_ledger()

    def retain() -> None:
        settler.adjust()
        parts.recorded.forget_vintages(parts.clock.now() - VINTAGES_KEPT)

    def score() -> None:
        parts.skills.renew(names, parts.clock.now())
        for zone in names:
            parts.metrics.show_skill(zone, parts.skills.of(zone))

    def latest() -> None:
        feed.poll_latest(names)
        feed.poll_history(names)

    return [
        Chore("tick", beat, timedelta(seconds=ticker.tick_seconds)),
        Chore("latest", latest, timedelta(minutes=ticker.latest_minutes)),
        Chore("forecast", lambda: feed.poll_forecast(names), timedelta(minutes=ticker.forecast_minutes)),
        Chore("score", score, timedelta(minutes=ticker.forecast_minutes)),
        Chore("monthly", lambda: feed.poll_monthly(names), timedelta(hours=ticker.monthly_hours)),
        Chore("settle", settle, timedelta(minutes=ticker.settle_minutes)),
        Chore("retention", retain, timedelta(hours=ticker.retention_hours)),
    ]


def renew_board(board: Board, report: TickReport, options: PlannerOptions) -> None:
    """Let the board speak of the plan that this tick made."""
    residual, till = Residual.of(report.snapshot, report.plan, options), till_behind(report.snapshot, report.plan)
    board.renew(
        lambda job: warned(preview(job, residual), job, report.snapshot.spending, till),
        lambda job_id, elsewhere, may_name: explain(job_id, report.snapshot, report.plan, elsewhere, may_name),
    )
