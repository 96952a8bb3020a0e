"""The dashboard *Lowtide overview*: grid, jobs, energy and emissions, carbon budgets, daemon."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.panels import lines, number, source_variable, states

UID = "lowtide-overview"

RUNGS = (
    (0, "observed", "green"),
    (1, "vendor forecast", "light-green"),
    (2, "own forecast", "yellow"),
    (3, "climatology", "orange"),
    (4, "monthly mean", "light-red"),
    (5, "yearly mean", "red"),
)
REACH = ((1, "up", "green"), (0, "out of reach", "red"))
TICK_P95 = "histogram_quantile(0.95, sum by (le, chore) (rate(lowtide_chore_seconds_bucket[10m])))"


def overview() -> Dashboard:
    board = (
        dashboard.Dashboard("Lowtide overview")
        .uid(UID)
        .description("What the grid is like, what the jobs do, what they emit and what waiting and moving avoided.")
        .tags(["lowtide", "carbon"])
        .time("now-24h", "now")
        .refresh("1m")
        .timezone("browser")
        .readonly()
        .with_variable(source_variable())
    )
    _add_headline(board)
    _add_grid(board)
    _add_jobs(board)
    _add_energy(board)
    _add_budgets(board)
    _add_daemon(board)
    return board.build()


def _add_headline(board: dashboard.Dashboard) -> None:
    board.with_row(dashboard.Row("Now"))
    for panel in (
        number("Running", "short", 'sum(lowtide_jobs{state="running"})', "Jobs with at least one live attempt."),
        number("Waiting", "short", 'sum(lowtide_jobs{state=~"waiting|suspended"})', "Jobs that wait for their window."),
        number("Emitted", "massg", "sum(lowtide_emissions_grams)", "gCO2e of all settled jobs, provisional entries included."),
        number("Avoided", "massg", "sum(lowtide_avoided_grams)", "Against the same useful work started at once at home; may be negative."),
        number("Claimed", "massg", "sum(lowtide_claimed_avoided_grams)", "Avoided on settled values only."),
        number("Clock", "short", "max(lowtide_clock_rate)", "Grid seconds per real second: 1 is live, more is a replay."),
    ):
        board.with_panel(panel)


def _add_grid(board: dashboard.Dashboard) -> None:
    board.with_row(dashboard.Row("Grid"))
    board.with_panel(
        lines(
            "Carbon intensity",
            "none",
            [("lowtide_intensity_grams_per_kwh", "{{zone}}")],
            "gCO2e/kWh of each zone, as the plans see it now.",
        )
    )
    board.with_panel(
        states("Source of intensity", [("lowtide_intensity_rung", "{{zone}}")], "Rung of the ladder of sources; lower is better.", RUNGS)
    )
    board.with_panel(
        lines(
            "Age",
            "s",
            [("lowtide_intensity_age_seconds", "{{zone}} value"), ("lowtide_forecast_age_seconds", "{{zone}} forecast")],
            "Age of the newest observed value and of the forecast that plans use.",
        )
    )
    board.with_panel(
        lines(
            "Provider",
            "short",
            [
                ("sum by (result) (increase(lowtide_intensity_fetches_total[1h]))", "{{result}}"),
                ("sum by (zone) (increase(lowtide_ladder_falls_total[1h]))", "{{zone}} falls"),
            ],
            "Answers of the intensity provider per hour, and falls down the ladder.",
        )
    )
    _add_skill(board)


def _add_skill(board: dashboard.Dashboard) -> None:
    board.with_panel(
        lines(
            "Forecast errors",
            "none",
            [("lowtide_forecast_error_ratio", "{{zone}} {{source}} {{lead_hours}} h")],
            "Mean absolute error of the last four weeks by hours ahead; repeating yesterday is 1.",
        )
    )
    board.with_panel(
        lines(
            "Forecast bias",
            "none",
            [("lowtide_forecast_bias_grams_per_kwh", "{{zone}} {{source}} {{lead_hours}} h")],
            "Forecast less measured intensity in gCO2e/kWh, mean of the last four weeks.",
            floor=None,
        )
    )
    board.with_panel(
        lines(
            "Forecast trust",
            "percentunit",
            [
                ("lowtide_forecast_savings_kept_ratio", "{{zone}} {{source}} savings kept"),
                ("lowtide_forecast_coverage_ratio", "{{zone}} {{source}} {{lead_hours}} h in interval"),
                ("lowtide_forecast_worse_ratio", "{{zone}} {{source}} worse than run-now"),
            ],
            "Share of promised savings that came true, by which waiting is judged; of hours inside the 80 % intervals; and of 8 h jobs "
            "with 24 h slack that would have ended above run-now.",
        )
    )


def _add_jobs(board: dashboard.Dashboard) -> None:
    board.with_row(dashboard.Row("Jobs"))
    board.with_panel(lines("Jobs", "short", [("sum by (state) (lowtide_jobs)", "{{state}}")], "Jobs by state.", stacked=True))
    board.with_panel(
        lines(
            "Occupancy",
            "percentunit",
            [("lowtide_site_gpus_busy / lowtide_site_gpus", "{{site}}")],
            "Share of a site's GPUs that attempts hold.",
        )
    )
    board.with_panel(
        lines(
            "Attempts ended",
            "short",
            [("sum by (site, state) (increase(lowtide_attempts_ended_total[1h]))", "{{site}} {{state}}")],
            "Attempts that ended within the hour, by their final state.",
        )
    )
    board.with_panel(
        lines(
            "At risk",
            "short",
            [
                ("lowtide_plan_late_jobs", "late"),
                ("lowtide_plan_unplaced_jobs", "no place"),
                ("increase(lowtide_deadlines_missed_total[1h])", "missed within the hour"),
            ],
            "Jobs that the last plan cannot end before their deadline, or cannot place, and deadlines missed.",
        )
    )
    board.with_panel(
        states("Executors", [("lowtide_executor_up", "{{site}}")], "Whether each site's executor can be asked about its attempts.", REACH)
    )
    board.with_panel(
        lines(
            "Sites not in the settings",
            "short",
            [("lowtide_sites_not_in_settings", "sites")],
            "Sites that hold live attempts and that the settings no longer name.",
        )
    )


def _add_energy(board: dashboard.Dashboard) -> None:
    board.with_row(dashboard.Row("Energy and emissions"))
    board.with_panel(
        lines(
            "Energy",
            "joule",
            [("sum by (provenance) (lowtide_energy_joules)", "{{provenance}}"), ("sum(lowtide_waste_joules)", "waste")],
            "Component energy in the ledger by provenance, and the part that did not count.",
        )
    )
    board.with_panel(
        lines(
            "Emissions",
            "massg",
            [("sum(lowtide_emissions_grams)", "emitted"), ("sum(lowtide_baseline_grams)", "run now")],
            "gCO2e of settled jobs beside the baseline: the same useful work, at once, at home.",
        )
    )
    board.with_panel(
        lines(
            "Avoided",
            "massg",
            [("sum(lowtide_avoided_grams)", "with provisional"), ("sum(lowtide_claimed_avoided_grams)", "claimed")],
            "Never clipped: below zero the jobs would have done better at once.",
            floor=None,
        )
    )
    board.with_panel(
        lines(
            "Per 1,000 samples",
            "massg",
            [
                ("1000 * max(lowtide_sample_grams)", "syntheses"),
                ("1000 * sum(lowtide_emissions_grams) / sum(lowtide_samples)", "all jobs"),
            ],
            "gCO2e of settled syntheses over their samples, and of all settled jobs over all samples, trainings included.",
        )
    )


def _add_budgets(board: dashboard.Dashboard) -> None:
    board.with_row(dashboard.Row("Carbon budgets"))
    board.with_panel(
        lines(
            "Budget spent",
            "percentunit",
            [("lowtide_project_budget_spent_grams / lowtide_project_budget_grams", "{{project}}")],
            "Share of each project's budget of the running month, work under way estimated; empty where no project has a budget.",
        )
    )
    board.with_panel(
        lines(
            "Waiting for a budget",
            "short",
            [("lowtide_project_over_budget_jobs", "{{project}}")],
            "Jobs that the last plan left out because their project's budget does not cover them.",
        )
    )


def _add_daemon(board: dashboard.Dashboard) -> None:
    board.with_row(dashboard.Row("Daemon"))
    board.with_panel(lines("Chores, 95th percentile", "s", [(TICK_P95, "{{chore}}")], "Real time of tick and chores.", span=6))
    board.with_panel(
        lines(
            "Plan gap", "percentunit", [("lowtide_plan_gap_ratio", "gap")], "(expected - proven bound) / expected of the last plan.", span=6
        )
    )
    board.with_panel(
        lines(
            "HTTP",
            "reqps",
            [("sum by (status) (rate(lowtide_http_requests_total[5m]))", "{{status}}")],
            "Requests per second by status.",
            span=6,
        )
    )
    board.with_panel(
        lines(
            "Process",
            "bytes",
            [("process_resident_memory_bytes{job='lowtide'}", "resident memory")],
            "Memory of the daemon's process.",
            span=6,
        )
    )
