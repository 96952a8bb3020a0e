"""Who asks, and what that lets them do to jobs: the holder of a token, or anyone on this machine where there are no tokens."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.domain.errors import Forbidden, Rejected
from daemon.domain.job import Job, JobRequest

HIGHEST_PRIORITY = 100


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of a token by name. `projects`: those whose jobs it may submit, see, change and build on.

    Without any it may submit for every project and see every job, and change those that it brought. A job that a caller does not see
    is to it one that does not exist.
    """

    name: str | None = None
    is_admin: bool = False
    projects: frozenset[str] = frozenset()
    highest_priority: int = HIGHEST_PRIORITY

    def own(self, request: JobRequest) -> JobRequest:
        """The request as it counts: one that names no project gets the caller's, if there is only one.

        Raises Rejected where several would do, Forbidden for a project or a priority that this caller may not use.
        """
        if request.priority > self.highest_priority:
            raise Forbidden(f"priority: this token may ask for {self.highest_priority} at most, not {request.priority}: lower it")
        if not self.projects:
            return request
        if "project" in request.model_fields_set:
            if request.project not in self.projects:
                raise Forbidden(f"project: this token may not use {request.project!r}: name {self._choice}")
            return request
        if len(self.projects) > 1:
            raise Rejected("project", f"is required, because this token may use several: name {self._choice}")
        return request.model_copy(update={"project": min(self.projects)})

    def sees_project(self, project: str) -> bool:
        return not self.projects or project in self.projects

    def sees(self, job: Job) -> bool:
        """Whether this caller may look at the job and build on it."""
        return self.sees_project(job.request.project) or self._is_at_home_with(job)

    def check_may_change(self, job: Job) -> None:
        """Raises Forbidden unless the job came with this token, is of one of its projects, or the caller is an admin."""
        if not (self._is_at_home_with(job) or job.request.project in self.projects):
            raise Forbidden(
                f"job {job.id} of project {job.request.project!r} did not come with this token: ask its owner or an admin to change it"
            )

    def check_is_admin(self) -> None:
        """Raises Forbidden for anybody else: who emits does not say how much may be emitted."""
        if not self.is_admin:
            raise Forbidden("only an admin may let a job run over its project's budget: ask one")

    def _is_at_home_with(self, job: Job) -> bool:
        return self.is_admin or (self.name is not None and job.owner == self.name)

    @property
    def _choice(self) -> str:
        return " or ".join(repr(project) for project in sorted(self.projects))


OPERATOR = Caller(is_admin=True)  # whoever uses a daemon without tokens: it listens to this machine only
