"""Site: where we can run."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.domain.job import DataTag


@dataclass(frozen=True, slots=True)
class Site:
    """A place with one grid zone, one executor, a number of GPUs (or CPU slots) and a PUE."""

    name: str
    zone: str
    gpus: int
    hardware: str
    pue: float = 1.55
    admits: frozenset[DataTag] = frozenset({DataTag.PUBLIC})
    transfer_kwh_per_gb: float = 0.03  # energy to move one GB to this site over the network
    cores: int | None = None  # CPU cores of its host, which a job's threads share; None: not known

    def admits_data(self, tag: DataTag) -> bool:
        return tag is DataTag.PUBLIC or tag in self.admits
