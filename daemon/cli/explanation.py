"""Why a job waits, as `lowtide job` shows it: a sentence, and its numbers one a line."""

from __future__ import annotations

from typing import Any

from daemon.cli.output import facts, grams, instant


def explanation_facts(explanation: dict[str, Any]) -> Any:
    """Only what is known and worth a line."""
    return facts(
        [
            ("Explained", None if explanation["chosen_g"] is None else explanation["sentence"]),  # else it is the job's own reason
            ("As of", f"the plan of {instant(explanation['planned_at'])} UTC"),
            ("Run now", _beside(explanation)),
            ("Bound by", ", ".join(explanation["bound_by"]) if explanation["chosen_g"] is None else _bounds(explanation)),
            ("Alone", grams(explanation["alone_g"])),
            ("Held by", ", ".join(explanation["held_by"])),
            ("A day more", _saving(explanation["day_more_saves_g"]) if "deadline" in explanation["bound_by"] else None),
            ("A site more", "\n".join(f"{other['site']}  {_saving(other['saves_g'])}" for other in explanation["other_sites"])),
            ("Would be kept", _until(explanation["nearest_deadline"])),
        ]
    )


def _beside(explanation: dict[str, Any]) -> str | None:
    """`402 g, 371 g (92.3 %) more than this window`."""
    if explanation["run_now_g"] is None:
        return None
    percent = explanation["saved_percent"]
    share = "" if percent is None else f" ({abs(percent):.1f} %)"
    word = "more" if explanation["saved_g"] >= 0 else "less"
    return f"{grams(explanation['run_now_g'])}, {grams(abs(explanation['saved_g']))}{share} {word} than this window"


def _bounds(explanation: dict[str, Any]) -> str:
    return ", ".join(explanation["bound_by"]) or "nothing: no more freedom would make it cleaner"


def _saving(saves_g: float | None) -> str | None:
    return None if saves_g is None else f"would save {grams(saves_g)}"


def _until(deadline: str | None) -> str | None:
    return None if deadline is None else f"a deadline of {instant(deadline)} UTC"
