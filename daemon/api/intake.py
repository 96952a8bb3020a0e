"""Submissions that arrive together are accepted together: one thread, one transaction, one trip to the disk for all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from starlette.concurrency import run_in_threadpool

from daemon.service.arrival import Arrival, Outcome
from daemon.service.job_views import Submission

LARGEST_GROUP = 64  # bounds how long the first of a group waits for the others
TURNS_TO_ARRIVE = 2  # of the event loop, from bytes in a socket to a validated request here


class Intake:
    """Gathers what arrives while the group before is written, and hands it on as the next. For one event loop."""

    def __init__(self, submit_all: Callable[[Sequence[Arrival]], list[Outcome]]) -> None:
        self._submit_all = submit_all
        self._waiting: list[tuple[Arrival, asyncio.Future[tuple[Submission, bool]]]] = []
        self._work: asyncio.Task[None] | None = None

    async def submit(self, arrival: Arrival) -> tuple[Submission, bool]:
        """The answer and whether the job is new; on a normal return it is on disk. Raises what the service says of this one."""
        answer: asyncio.Future[tuple[Submission, bool]] = asyncio.get_running_loop().create_future()
        self._waiting.append((arrival, answer))
        if self._work is None:
            self._work = asyncio.create_task(self._accept_all())
        return await answer

    async def _accept_all(self) -> None:
        """Group after group until nobody waits."""
        try:
            while self._waiting:
                await self._let_others_in()
                group, self._waiting = self._waiting[:LARGEST_GROUP], self._waiting[LARGEST_GROUP:]
                outcomes = await self._outcomes([arrival for arrival, _ in group])
                for (_, answer), outcome in zip(group, outcomes, strict=True):
                    _give(answer, outcome)
        finally:
            self._work = None

    async def _let_others_in(self) -> None:
        """Until a few turns of the loop bring nobody new.

        Without it a group takes who came while the one before was written, a few each time, and the trip to the disk
        and the change of threads are paid for those few. Who comes alone waits some 0.1 ms.
        """
        seen = 0
        while seen < len(self._waiting) < LARGEST_GROUP:
            seen = len(self._waiting)
            for _ in range(TURNS_TO_ARRIVE):
                await asyncio.sleep(0)

    async def _outcomes(self, arrivals: Sequence[Arrival]) -> Sequence[Outcome]:
        try:
            return await run_in_threadpool(self._submit_all, arrivals)
        except Exception as error:  # noqa: BLE001  # whatever it is, everybody who waits must hear it
            return [error for _ in arrivals]


def _give(answer: asyncio.Future[tuple[Submission, bool]], outcome: Outcome) -> None:
    if answer.done():  # whoever asked has gone; the job stays
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
