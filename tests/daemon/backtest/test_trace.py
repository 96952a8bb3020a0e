from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.backtest.trace import TraceProblem, read_jobs, read_sites

HEADER = "job_id,arrival_utc,duration_hours,power_watts,gpus,deadline_utc,interruptible\n"
GOOD = "a,2023-05-01T08:00:00Z,4,300,1,2023-05-02T09:00:00Z,1\n"


def written(folder: Path, *lines: str) -> Path:
    path = folder / "jobs.csv"
    path.write_text(HEADER + "".join(lines), encoding="utf-8")
    return path


def test_rows_out_of_order_are_put_in_order_of_arrival(tmp_path: Path) -> None:
    later = GOOD.replace("a,", "b,", 1).replace("01T08", "01T09")
    assert [job.id for job in read_jobs(written(tmp_path, later, GOOD))] == ["a", "b"]


def test_an_instant_without_an_offset_is_utc_as_the_column_says(tmp_path: Path) -> None:
    job = read_jobs(written(tmp_path, GOOD.replace("Z", "")))[0]
    assert job.arrival == datetime(2023, 5, 1, 8, tzinfo=UTC)
    assert job.duration == timedelta(hours=4)
    assert job.energy_kwh == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (GOOD.replace(",4,", ",nan,"), "line 2: duration_hours must be a positive number, got 'nan'"),
        (GOOD.replace(",4,", ",-4,"), "line 2: duration_hours must be a positive number"),
        (GOOD.replace(",1,2023", ",1.5,2023"), "line 2: gpus must be a whole number, got '1.5'"),
        (GOOD.replace(",1\n", ",yes\n"), "line 2: interruptible must be 0 or 1, got 'yes'"),
        (GOOD.replace("2023-05-02", "2023-04-02"), "line 2: deadline_utc 2023-04-02T09:00:00Z is not after arrival_utc"),
        (GOOD.replace("2023-05-02T09:00:00Z", "tomorrow"), "line 2: deadline_utc 'tomorrow' is not a time: write it like"),
        (GOOD + GOOD, "line 3: job_id 'a' is there twice"),
        ("a,2023-05-01T08:00:00Z\n", "line 2: it has another number of fields"),
        ("", "there is no job below the header"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(tmp_path: Path, line: str, sentence: str) -> None:
    with pytest.raises(TraceProblem, match=r"jobs\.csv.*" + sentence.replace("(", r"\(")):
        read_jobs(written(tmp_path, line))


def test_a_header_that_lacks_a_column_names_it(tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text("job_id,arrival_utc\n", encoding="utf-8")
    with pytest.raises(TraceProblem, match="the header lacks duration_hours, power_watts"):
        read_jobs(path)


def test_sites_are_read_home_first(tmp_path: Path) -> None:
    path = tmp_path / "sites.toml"
    path.write_text(
        '[defaults]\nhome = "b"\n[[sites]]\nname = "a"\nzone = "SE"\ngpus = 2\n[[sites]]\nname = "b"\nzone = "DE"\npue = 1.2\n',
        encoding="utf-8",
    )
    home, other = read_sites(path)
    assert (home.name, home.gpus, home.pue) == ("b", None, 1.2)
    assert (other.name, other.gpus, other.pue) == ("a", 2, 1.55)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[sites]]\n=", "it is not TOML"),
        ("", r"it has no \[\[sites\]\] table"),
        ('[[sites]]\nname = "a"\n', "needs a name and a zone"),
        ('[[sites]]\nname = "a"\nzone = "DE"\ngpus = -1\n', "site a: gpus must be a whole number"),
        ('[[sites]]\nname = "a"\nzone = "DE"\npue = 0.9\n', "site a: pue must be at least 1"),
        ('[defaults]\nhome = "x"\n[[sites]]\nname = "a"\nzone = "DE"\n', "home 'x' is none of the sites a"),
    ],
)
def test_a_bad_sites_file_is_refused_with_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "sites.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TraceProblem, match=sentence):
        read_sites(path)
