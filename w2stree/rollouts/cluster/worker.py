"""What plays on a machine of a cluster: environments of its own, and a journal on its own disk.

    lease ──> attempts ──> journal, fsync ──> news: the journal's bytes from where the driver is
                             │
                             └ after a kill: left behind, and taken over by the next worker here

Ray makes an actor of it (`ray_executor`); nothing here knows Ray.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from w2stree.policies.protocol import ModelName
from w2stree.rollouts.cluster.leases import key_of_plan
from w2stree.rollouts.cluster.left_behind import new_journal, own_folder, take_over
from w2stree.rollouts.episode import EpisodePlan, Unplayed
from w2stree.rollouts.executor import Equipped, LocalExecutor, Part
from w2stree.trajectories.group_commit import GroupCommit

_MOST_BYTES = 16 << 20
"""Of one answer, but for the frame that exceeds it."""
_LAST_EPISODE_S = 45.0
"""For the end of one that nobody waits for."""


@dataclass(frozen=True, slots=True)
class Equipment:
    """What a worker needs, sent to its machine: what it plays with, and where.

    `directory`: the driver's, which relative paths count from, where the machine has it. `prepare`
    is called next, before a model's packages are imported. `folder`: where journals are on each
    machine; None: `w2stree-UID` in its directory for temporary files. `run` names the exploration's
    own folder there, `session` its driver. `salvage`: go on without damaged frames (`Journal`).
    """

    run: str
    session: str
    directory: Path
    equipped: Equipped
    folder: Path | None = None
    salvage: bool = False
    prepare: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Lease:
    """Plans of one model, for one worker to play."""

    plans: tuple[EpisodePlan, ...]
    model: ModelName
    count_tokens: bool


@dataclass(frozen=True, slots=True)
class News:
    """What a worker has to tell: whole frames of its journal, which end at byte `end` of it, and
    episodes that nobody was there for. `is_idle`: that is all, and no lease is being played."""

    frames: bytes
    end: int
    unplayed: tuple[Unplayed, ...]
    is_idle: bool


class Worker:
    """Plays one lease at a time, in a thread; whoever asks for `news` meanwhile waits.

    `open` makes its journal and its environments. It raises `JournalError` where the folder is
    another user's or cannot be written to, and as `Journal` does.
    """

    def __init__(self, equipment: Equipment) -> None:
        self._equipment = equipment
        self._told = threading.Condition()
        self._player: threading.Thread | None = None
        self._failure: Exception | None = None
        self._is_over = False
        self._unplayed: list[Unplayed] = []
        self._part: tuple[ModelName, bool, Part] | None = None

    def open(self) -> tuple[str, int]:
        """Take over what killed workers left on this disk; the machine's name, and how many
        episodes are played side by side."""
        equipment = self._equipment
        if equipment.directory.is_dir():
            os.chdir(equipment.directory)
        equipment.prepare()
        self._journal = new_journal(own_folder(equipment.folder, equipment.run), equipment.session)
        try:
            take_over(self._journal, equipment.session, salvage=equipment.salvage)
        except BaseException:
            self._journal.close()
            raise
        equipped = equipment.equipped
        self._pool = equipped.pool()
        self._executor = LocalExecutor(
            self._pool, equipped.policy, instruction=equipped.instruction
        )
        return socket.gethostname(), len(self._executor)

    def play(self, lease: Lease) -> None:
        """Begin to play; returns at once."""
        assert self._player is None, "the driver waits for a lease's end before the next"
        self._player = threading.Thread(target=self._run, args=(lease,), name="lease", daemon=True)
        self._player.start()

    def news(self, since: int, wait_s: float) -> News:
        """What is in the journal from byte `since` on; waits for that up to `wait_s` while a lease
        is being played. Raises what ended the lease: a mistake of the user's, or ours."""
        due = time.monotonic() + wait_s
        with self._told:
            self._told.wait_for(
                lambda: self._player is None or self._journal.num_bytes > since or self._unplayed,
                timeout=max(0.0, due - time.monotonic()),
            )
            is_idle = self._player is None
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            unplayed, self._unplayed = tuple(self._unplayed), []
        frames, is_all = self._frames(since)
        return News(frames, since + len(frames), unplayed, is_idle and is_all)

    def discard(self) -> None:
        """The driver has all that counts of the journal: delete it, and end the environments. Of a
        lease that is still being played, since another worker was quicker, the rest is left."""
        self._is_over = True
        if (player := self._player) is not None:
            player.join(_LAST_EPISODE_S)
            if player.is_alive():
                return  # the next worker takes the journal over
        self._pool.drop(range(len(self._pool)))
        self._journal.close()
        self._journal.path.unlink(missing_ok=True)
        with suppress(OSError):  # others play on this machine, or have left something
            self._journal.path.parent.rmdir()

    def _run(self, lease: Lease) -> None:
        failure: Exception | None = None
        try:
            self._play(lease)
        except Exception as error:  # whoever asks for news is told
            failure = error
        with self._told:
            self._player, self._failure = None, failure
            self._told.notify_all()

    def _play(self, lease: Lease) -> None:
        committer = GroupCommit(self._journal)
        # What is there was played on this machine before, and its news got lost.
        missing = [p for p in lease.plans if key_of_plan(p) not in self._journal.keys]
        play = self._part_of(lease)
        with committer, closing(play(missing)) as episodes:
            for episode in episodes:
                if isinstance(episode, Unplayed):
                    with self._told:
                        self._unplayed.append(episode)
                else:
                    committer.append(episode)
                if committer.acknowledged() or self._unplayed:
                    with self._told:
                        self._told.notify_all()
                if self._is_over:
                    return

    def _part_of(self, lease: Lease) -> Part:
        """A model is loaded once, not for every lease."""
        if self._part is None or self._part[:2] != (lease.model, lease.count_tokens):
            self._part = None  # the other model's memory first
            part = self._executor.part(lease.model, count_tokens=lease.count_tokens)
            self._part = (lease.model, lease.count_tokens, part)
        return self._part[2]

    def _frames(self, since: int) -> tuple[bytes, bool]:
        """Whole frames from a byte on, and whether these are all there are."""
        size = self._journal.num_bytes
        with self._journal.path.open("rb") as file:
            file.seek(since)
            frames = file.read(min(size - since, _MOST_BYTES))
            if since + len(frames) < size:
                frames += file.readline()  # to the end of the frame
        return frames, since + len(frames) == size
