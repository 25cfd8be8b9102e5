"""Group commit: episodes reach the disk as they end, and nobody waits for the disk.

append ─┐
append ─┼─> pending ── one write, one fsync ──> acknowledged
append ─┘              (what ends meanwhile is the next group)
"""

from __future__ import annotations

from collections import deque
from queue import Empty, SimpleQueue
from threading import Thread

from w2stree.trajectories.journal import Journal
from w2stree.trajectories.trajectory import Trajectory


class GroupCommit:
    """Commits to a journal from a thread of its own; use it with `with`.

    Leaving the block commits what is pending. The journal's errors are raised by the next call.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._pending: SimpleQueue[Trajectory | None] = SimpleQueue()
        self._acknowledged: deque[Trajectory] = deque()
        self._error: Exception | None = None
        self._thread = Thread(target=self._run, name="journal")
        self._thread.start()

    def append(self, trajectory: Trajectory) -> None:
        """Hand an episode over; returns at once."""
        self._raise()
        self._pending.put(trajectory)

    def acknowledged(self) -> list[Trajectory]:
        """What has reached the disk since this was last asked, in order."""
        return [self._acknowledged.popleft() for _ in range(len(self._acknowledged))]

    def close(self) -> None:
        """Wait until everything is on the disk."""
        self._pending.put(None)
        self._thread.join()
        self._raise()

    def __enter__(self) -> GroupCommit:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        is_closing = False
        while not is_closing:
            group = [self._pending.get()]
            while True:
                try:
                    group.append(self._pending.get_nowait())
                except Empty:
                    break
            is_closing = None in group
            episodes = [trajectory for trajectory in group if trajectory is not None]
            try:
                for trajectory in episodes:
                    self._journal.append(trajectory)
                self._journal.commit()
            except Exception as error:
                self._error = error  # raised where the next episode is handed over
                return
            self._acknowledged.extend(episodes)
