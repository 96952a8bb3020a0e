"""A job is taken in only if some site can hold it, and runs only where it fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from daemon.domain.errors import Rejected
from daemon.domain.states import JobState
from jobs.rundir import RunDirectory
from tests.daemon.service.node import ScriptedNode
from tests.daemon.service.world import HEIDELBERG, NOON, UMEA, as_estimated, open_world, synthesis, training


def nodes_with_cores(**cores: int | None) -> dict[str, ScriptedNode]:
    return {name: ScriptedNode(lambda: NOON, as_estimated, cores=count) for name, count in cores.items()}


def with_threads(threads: int) -> dict[str, Any]:
    return training(1) | {"threads": threads}


def test_more_threads_than_any_allowed_site_has_cores_are_refused_with_the_remedy(tmp_path: Path) -> None:
    with open_world(tmp_path, HEIDELBERG, UMEA, nodes=nodes_with_cores(heidelberg=2, umea=8)) as world:
        with pytest.raises(Rejected, match=r"workload\.threads: 9 threads are more than any allowed site has cores \(8\): ask for 8 or"):
            world.submit(with_threads(9))
        with pytest.raises(Rejected, match=r"\(2\): ask for 2 or fewer"):
            world.submit(with_threads(8), sites=["heidelberg"])


def test_the_threads_of_all_processes_of_a_training_need_cores(tmp_path: Path) -> None:
    four_slots = HEIDELBERG | {"gpus": 4}
    with open_world(tmp_path, four_slots, nodes=nodes_with_cores(heidelberg=4)) as world:
        refused = r"2 threads in each of 4 processes are more than any allowed site has cores \(4\): ask for 1 or fewer"
        with pytest.raises(Rejected, match=refused):
            world.submit(with_threads(2) | {"batch_size": 4}, gpus=4)
        assert world.submit(with_threads(2) | {"batch_size": 4}, gpus=2, deadline=world.deadline(8))


def test_where_not_even_one_thread_a_process_has_a_core_fewer_gpus_are_the_remedy(tmp_path: Path) -> None:
    refused = pytest.raises(Rejected, match=r"has cores \(2\): ask for 2 GPUs or fewer")
    with open_world(tmp_path, HEIDELBERG | {"gpus": 4}, nodes=nodes_with_cores(heidelberg=2)) as world, refused:
        world.submit(with_threads(1) | {"batch_size": 4}, gpus=4)


def test_a_job_runs_only_where_its_threads_have_cores(tmp_path: Path) -> None:
    with open_world(tmp_path, HEIDELBERG, UMEA, nodes=nodes_with_cores(heidelberg=8, umea=2)) as world:
        job_id = world.submit(with_threads(4), deadline=world.deadline(8))
        world.until(job_id, JobState.SUCCEEDED)
        assert {run.site for run in world.runs(job_id)} == {"heidelberg"}, "umea is cleaner, but too small"


def test_where_the_cores_are_not_known_any_number_of_threads_is_taken_in(tmp_path: Path) -> None:
    with open_world(tmp_path, HEIDELBERG, UMEA, nodes=nodes_with_cores(heidelberg=2, umea=None)) as world:
        job_id = world.submit(with_threads(64), deadline=world.deadline(8))
        world.until(job_id, JobState.RUNNING)
        assert {run.site for run in world.runs(job_id)} == {"umea"}


def test_a_batch_that_the_gpus_cannot_share_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with open_world(tmp_path, HEIDELBERG | {"gpus": 4}) as world:
        refused = r"workload\.batch_size: batch_size 3 cannot be shared equally by 2 devices: make it a multiple of 2"
        with pytest.raises(Rejected, match=refused):
            world.submit(training(1, batch_size=3), gpus=2)


def test_a_synthesis_of_several_gpus_is_refused_as_it_is_cut_over_them_anyway(tmp_path: Path) -> None:
    refused = r"constraints\.gpus: 2 GPUs for a synthesis, whose runs work on one each: ask for 1; its chunks run side by side"
    with open_world(tmp_path, HEIDELBERG | {"gpus": 4}) as world, pytest.raises(Rejected, match=refused):
        world.submit(synthesis(8, {"path": "weights.pt"}), gpus=2)


def test_a_training_gets_a_process_for_each_of_its_gpus(tmp_path: Path) -> None:
    with open_world(tmp_path, HEIDELBERG | {"gpus": 4}) as world:
        job_id = world.submit(training(1, batch_size=4), gpus=2, deadline=world.deadline(8))
        world.until(job_id, JobState.SUCCEEDED)
        (run,) = world.runs(job_id)
        assert RunDirectory(run.directory).read_spec().processes == 2
