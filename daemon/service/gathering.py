"""One folder for a finished synthesis: every sample exactly once, wherever its run made it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from daemon.service.work import JobWork
from jobs.rundir import RunDirectory, SampleRecord, write_aside
from jobs.spec import SynthesisWorkload


def gather_samples(work: JobWork) -> None:
    """Link all samples into `<job folder>/samples` and list them in `samples.jsonl`; safe to repeat.

    Links, not copies: volumes are large and already where they were made. A sample beyond what its run
    keeps (a micro-batch cut by a kill) was made again by a later run and is left out here.
    """
    if not isinstance(work.job.workload, SynthesisWorkload):
        return
    kept = kept_samples(work)
    if not kept:
        return
    folder = job_folder(work) / "samples"
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for record, source in kept:
        link = folder / source.name
        with contextlib.suppress(FileExistsError):
            link.symlink_to(os.path.relpath(source, folder))
        lines.append(record.model_copy(update={"file": f"samples/{source.name}"}).model_dump_json())
    write_aside(folder.parent / "samples.jsonl", "\n".join(lines) + "\n")


def kept_samples(work: JobWork) -> list[tuple[SampleRecord, Path]]:
    """Every sample that counts with its file, in order of index."""
    kept: dict[int, tuple[SampleRecord, Path]] = {}
    for run in work.runs:
        assert run.samples is not None
        directory = RunDirectory(run.directory)
        for record in directory.sample_records():
            if run.samples.first <= record.index < run.samples.first + run.steps_done:
                kept[record.index] = (record, directory.artifacts / record.file)
    return [kept[index] for index in sorted(kept)]


def job_folder(work: JobWork) -> Path:
    """Where a job's gathered results lie: beside the first run that made any, or the first there was."""
    first = next((run for run in work.runs if run.steps_done), work.runs[0])
    return Path(first.directory).parent
