"""The cluster that this process is connected to, for explorations one after the other."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from w2stree.rollouts.cluster.crew import Crew
from w2stree.rollouts.cluster.ray_executor import RayExecutor
from w2stree.rollouts.cluster.worker import Equipment
from w2stree.rollouts.executor import Equipped
from w2stree.trajectories.journal import Journal


@dataclass(frozen=True, slots=True)
class RayCluster:
    """`prepare` is called on each machine before a model's packages are imported; `told` hears of
    machines that come and go; `folder` is where each keeps its journals (`own_folder`)."""

    prepare: Callable[[], None]
    told: Callable[[str], None]
    folder: Path | None = None

    def executor(
        self, equipped: Equipped, journal: Journal, *, run: str, salvage: bool = False
    ) -> RayExecutor:
        """What plays into a journal, to be used with `with`; `run` names its journals elsewhere."""
        equipment = Equipment(
            run=run,
            session=uuid.uuid4().hex[:12],
            directory=Path.cwd(),
            equipped=equipped,
            folder=self.folder,
            salvage=salvage,
            prepare=self.prepare,
        )
        return RayExecutor(Crew(equipment, self.told), journal)
