"""The chores on the ticker: what each does, and how often."""

from __future__ import annotations

from dataclasses import dataclass
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
    every = parts.settings.ticker
    work = _Work(parts, tick, settler, zones.names, Teller(parts.metrics, parts.store, zones, parts.clock))
    return [
        Chore("tick", work.beat, timedelta(seconds=every.tick_seconds)),
        Chore("latest", work.fetch_latest, timedelta(minutes=every.latest_minutes)),
        Chore("forecast", work.fetch_forecast, timedelta(minutes=every.forecast_minutes)),
        Chore("lesson", work.learn, timedelta(minutes=every.forecast_minutes)),
        Chore("score", work.score, timedelta(minutes=every.forecast_minutes)),
        Chore("monthly", work.fetch_monthly, timedelta(hours=every.monthly_hours)),
        Chore("settle", work.settle, timedelta(minutes=every.settle_minutes)),
        Chore("retention", work.retain, timedelta(hours=every.retention_hours)),
    ]


@dataclass(frozen=True, slots=True)
class _Work:
    """What the chores do, each told to the metrics."""

    parts: Parts
    tick: Tick
    settler: Settler
    zones: tuple[str, ...]
    teller: Teller

    def beat(self) -> None:
        report = self.tick.run()
        renew_board(self.parts.board, report, self.parts.options)
        if self.settler.settle_new(attempt.job_id for attempt in report.ended):
            self.teller.tell_ledger()
        self.teller.tell_tick(report)

    def fetch_latest(self) -> None:
        self.parts.feed.poll_latest(self.zones)
        self.parts.feed.poll_history(self.zones)

    def fetch_forecast(self) -> None:
        self.parts.feed.poll_forecast(self.zones)

    def learn(self) -> None:
        self.parts.feed.learn(self.zones)

    def fetch_monthly(self) -> None:
        self.parts.feed.poll_means(self.zones)

    def score(self) -> None:
        self.parts.skills.renew(self.zones, self.parts.clock.now())
        for zone in self.zones:
            self.parts.metrics.show_skill(zone, self.parts.skills.of(zone))

    def settle(self) -> None:
        self.settler.settle()
        self.teller.tell_ledger()

    def retain(self) -> None:
        self.settler.adjust()
        self.parts.recorded.forget_vintages(self.parts.clock.now() - VINTAGES_KEPT)


def renew_board(board: Board, report: TickReport, options: PlannerOptions) -> None:
    """Let the board speak of the plan that this tick made."""
    residual, till = Residual.of(report.snapshot, report.plan, options), till_behind(report.snapshot, report.plan)
    board.renew(
        lambda job: warned(preview(job, residual), job, report.snapshot.spending, till),
        lambda job_id, elsewhere, may_name: explain(job_id, report.snapshot, report.plan, elsewhere, may_name),
    )
