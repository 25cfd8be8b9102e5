"""What plays on a cluster's machine, without a cluster: its journal, its news, what others left."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.explorations import PLANS, play, random_policy, rows
from support.journals import EPISODES, record
from support.lock import Lock

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import InvalidInput, JournalError
from w2stree.policies.protocol import Episode
from w2stree.policies.random import RandomPolicy
from w2stree.rollouts.cluster import worker as module
from w2stree.rollouts.cluster.left_behind import new_journal, own_folder, take_over
from w2stree.rollouts.cluster.worker import Equipment, Lease, News, Worker
from w2stree.rollouts.episode import EpisodePlan
from w2stree.rollouts.executor import Equipped
from w2stree.trajectories import lock
from w2stree.trajectories.episodes import sent_episodes
from w2stree.trajectories.journal import Journal, read_journal
from w2stree.trajectories.trajectory import Trajectory


def equipment(
    folder: Path, pool: Any = None, policy: Any = random_policy, **more: Any
) -> Equipment:
    pool = pool or functools.partial(EnvironmentPool, Lock, 2)
    equipped = Equipped(pool, policy, num_processes=2, on_gpus=False)
    return Equipment("run", "now", Path.cwd(), equipped, folder, **more)


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(equipment(tmp_path))
    worker.open()
    yield worker
    worker.discard()


def told(worker: Worker, since: int = 0) -> tuple[list[Trajectory], int]:
    """All that it has from a byte on, once it has nothing more to do."""
    episodes: list[Trajectory] = []
    while True:
        news = worker.news(since, 60.0)
        episodes += sent_episodes(news.frames, "here")
        since = news.end
        if news.is_idle:
            return episodes, since


def lease(plans: Sequence[EpisodePlan]) -> Lease:
    return Lease(tuple(plans), plans[0].sampling.model, count_tokens=False)


TUNED = [plan for plan in PLANS if plan.sampling.model == "tuned"]
BASE = [plan for plan in PLANS if plan.sampling.model == "base"]


def test_it_plays_what_one_machine_plays_and_tells_it_from_any_byte_on(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 10)  # a frame an answer
    worker.play(lease(TUNED))
    tuned, end = told(worker)
    worker.play(lease(BASE))
    base, _ = told(worker, end)
    with EnvironmentPool(Lock, 3) as pool:
        play(tmp_path / "here.journal", pool)
    assert sorted(t.to_json() for t in [*tuned, *base]) == rows(tmp_path / "here.journal")
    assert told(worker)[0] == [*tuned, *base], "whoever lost it asks again"
    worker.play(lease(TUNED))
    assert told(worker)[0] == [*tuned, *base], "what is on its disk is not played again"


def test_what_killed_workers_left_is_taken_over_once(tmp_path: Path) -> None:
    folder = own_folder(tmp_path, "run")
    left = record(folder / "before-1.journal", EPISODES[:4])
    with left.open("ab") as file:
        file.write(b"w2s1 0000000402 77ab")  # killed in the middle of a frame
    record(folder / "now-2.journal", EPISODES[2:])
    with Journal(folder / "now-3.journal") as held:  # a colleague's, who lives
        worker = Worker(equipment(tmp_path))
        worker.open()
        assert sorted(path.name[:4] for path in folder.glob("*.journal")) == ["now-", "now-"]
        assert held.path.is_file()
    episodes, _ = told(worker)
    assert sorted(t.to_json() for t in episodes) == sorted(t.to_json() for t in EPISODES)
    worker.discard()
    assert [path.name for path in folder.iterdir()] == ["now-3.journal"]


def test_a_worker_of_a_driver_that_is_gone_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = own_folder(tmp_path, "run")
    with Journal(folder / "before-1.journal") as held:
        held.append(EPISODES[0])

        def ends(_: float) -> None:
            held.close()

        monkeypatch.setattr(time, "sleep", ends)
        worker = Worker(equipment(tmp_path))
        worker.open()
    assert told(worker)[0] == EPISODES[:1]
    worker.discard()


def a_colleague_is_quicker(patch: pytest.MonkeyPatch) -> list[Path]:
    """It takes the next journal over, and deletes it, when that was opened and is not locked yet;
    those that it took."""
    took: list[Path] = []
    real = lock.take

    def take(file: Any, *, wait: bool = False) -> None:
        if not took:
            took.append(Path(file.name))
            took[0].unlink()
        real(file, wait=wait)

    patch.setattr(lock, "take", take)
    return took


def test_a_new_journal_that_a_colleague_deletes_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    took = a_colleague_is_quicker(monkeypatch)
    with new_journal(own_folder(tmp_path, "run"), "now") as journal:
        assert journal.path.is_file()
        assert [path.parent for path in took] == [journal.path.parent]


def test_what_a_colleague_has_just_taken_over_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = own_folder(tmp_path, "run")
    left = record(folder / "before-1.journal", EPISODES[:2])
    with Journal(folder / "now-2.journal") as journal:
        took = a_colleague_is_quicker(monkeypatch)
        take_over(journal, "now", salvage=False)
        assert not journal.keys
    assert took == [left]
    assert not left.exists()


def test_damage_on_its_disk_is_told_and_passed_over_by_salvage_alone(tmp_path: Path) -> None:
    path = record(own_folder(tmp_path, "run") / "before-1.journal", EPISODES)
    path.write_bytes(path.read_bytes().replace(b"Taken", b"taken", 1))
    with pytest.raises(JournalError, match=r"before-1\.journal: damaged at byte 0"):
        Worker(equipment(tmp_path)).open()
    worker = Worker(equipment(tmp_path, salvage=True))
    worker.open()
    assert len(told(worker)[0]) == len(EPISODES) - 1
    worker.discard()


class Mistaken(RandomPolicy):
    def act(self, episodes: Sequence[Episode]) -> Any:
        return []


def test_a_mistake_ends_the_lease_and_is_told(tmp_path: Path) -> None:
    worker = Worker(equipment(tmp_path, policy=lambda _: Mistaken()))
    worker.open()
    worker.play(lease(TUNED))
    with pytest.raises(InvalidInput, match=r"gave 0 turns for 2 episodes"):
        told(worker)
    assert worker.news(0, 0.0) == News(b"", 0, (), is_idle=True)
    worker.discard()


class Unstartable(Lock):
    def __init__(self) -> None:
        raise RuntimeError("the dials are missing")


def test_nobody_there_is_told_and_in_no_journal(tmp_path: Path) -> None:
    worker = Worker(equipment(tmp_path, pool=functools.partial(EnvironmentPool, Unstartable, 1)))
    worker.open()
    worker.play(lease(TUNED[:2]))
    unplayed = []
    while not (news := worker.news(0, 60.0)).is_idle:
        unplayed += news.unplayed
    unplayed += news.unplayed
    assert [u.trajectory.origin.sample_index for u in unplayed] == [0, 1]
    assert "the dials are missing" in str(unplayed[0].cause)
    assert news.end == 0
    worker.discard()


def test_a_folder_that_another_could_write_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match=r"Not a directory\); choose another --local-dir"):
        own_folder(tmp_path / "file", "run")
    monkeypatch.setattr(os, "getuid", lambda: -1)
    with pytest.raises(JournalError, match=r"is another user's; choose another --local-dir"):
        own_folder(tmp_path, "run")


def test_journals_are_where_the_machine_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    folder = own_folder(None, "run")
    assert folder == tmp_path / f"w2stree-{os.getuid()}" / "run"
    assert folder.stat().st_mode & 0o077 == 0
    assert read_journal(record(folder / "a.journal", EPISODES)).trajectories == tuple(EPISODES)
