"""Policies that answer one episode at a time, as a server does."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from w2stree.errors import ModelFailure
from w2stree.policies.protocol import Episode
from w2stree.turns.turn import AgentTurn

HANG_S = 120
"""Whatever is waited for is there long before, on a busy machine too."""


class Asynchronous:
    """A lockstep policy asked one episode at a time, each answered after its own number of turns
    of the event loop. The first answer waits until `num_together` episodes ask."""

    def __init__(self, policy: Any, *, num_together: int = 1) -> None:
        self._policy, self.name, self.tokenizer = policy, policy.name, policy.tokenizer
        self.needs_expert = policy.needs_expert
        self._num_together, self._are_together = num_together, asyncio.Event()
        self.num_running = self.most_running = 0
        self.is_closed = False

    async def turn(self, episode: Episode) -> AgentTurn:
        self.num_running += 1
        self.most_running = max(self.most_running, self.num_running)
        if self.num_running >= self._num_together:
            self._are_together.set()
        await asyncio.wait_for(self._are_together.wait(), HANG_S)
        for _ in range(episode.key % 3):
            await asyncio.sleep(0)
        self.num_running -= 1
        (answer,) = self._policy.act([episode])
        if isinstance(answer, ModelFailure):
            raise answer
        return answer  # type: ignore[no-any-return]

    async def close(self) -> None:
        self.is_closed = True


class AwaitsFile(Asynchronous):
    """Answers `task-0` only once the file is there."""

    def __init__(self, policy: Any, file: Path) -> None:
        super().__init__(policy)
        self._file = file

    async def turn(self, episode: Episode) -> AgentTurn:
        if episode.prompt[0].content.startswith("task-0"):
            async with asyncio.timeout(HANG_S):
                while not self._file.exists():
                    await asyncio.sleep(0.01)
        return await super().turn(episode)
