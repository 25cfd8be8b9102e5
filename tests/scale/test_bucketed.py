"""A command bucket by bucket: the same as at once, and after whatever ended it, the same again."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import pytest
from support.bucketed_runs import files_of, random_runs

import w2stree as w2s
from w2stree.errors import ForestFileError, InvalidInput
from w2stree.forest.bucket_forest import BucketForest
from w2stree.forest.bucket_manifest import BucketManifest
from w2stree.forest.tasks import outcomes_of
from w2stree.rollouts.statistics import statistics_of
from w2stree.scale.bucketed import Finished, run_buckets
from w2stree.scale.engine import LocalEngine
from w2stree.scale.jobs import Converted, Forests, Job, Pairs, Paths
from w2stree.scale.plan import plan_of
from w2stree.scale.tally import Statistics, statistics_of_all
from w2stree.scale.totals import outcomes_of_all
from w2stree.trajectories import lock

pytest.importorskip("pyarrow")

pytestmark = pytest.mark.filterwarnings("ignore")  # of runs that are there twice, as they are here

JOBS: list[Job] = [Forests(), Pairs(), Paths(), Converted(), Converted(to="messages"), Statistics()]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return files_of(random_runs(Random(5), 12), tmp_path_factory.mktemp("runs") / "in")


def done(job: Job, runs: Path, output: Path, num_buckets: int | None = None) -> Finished:
    return run_buckets(job, [str(runs)], output, LocalEngine(), num_buckets=num_buckets)


@pytest.mark.parametrize("job", JOBS, ids=lambda job: f"{job.kind}-{getattr(job, 'to', '')}")
def test_any_number_of_buckets_gives_the_same(job: Job, runs: Path, tmp_path: Path) -> None:
    found = [done(job, runs, tmp_path / str(n), n).manifest for n in (1, 2, 7)]
    assert len({manifest.digest for manifest in found}) == 1
    assert found[0].counts == found[1].counts == found[2].counts
    for manifest, n in zip(found, (1, 2, 7), strict=True):
        assert BucketManifest.read(tmp_path / str(n)) == manifest
        assert not (tmp_path / str(n) / ".work").exists()
        files = {str(f.relative_to(tmp_path / str(n))) for f in tmp_path.glob(f"{n}/*/*")}
        assert files == {entry["file"] for entry in manifest.buckets if "file" in entry}


def test_forests_are_those_of_one_process(runs: Path, tmp_path: Path) -> None:
    read = w2s.read_trajectories(runs)
    whole = w2s.build_forest(read)
    finished = done(Forests(), runs, tmp_path / "out", 7)
    opened = w2s.open_forest(tmp_path / "out")
    assert finished.manifest.digest == opened.digest() == whole.digest()
    assert opened.summary() == whole.summary()
    outcomes = outcomes_of_all([r["outcomes"] for r in finished.records if "outcomes" in r])
    assert outcomes.rows() == outcomes_of(whole.tasks()).rows()


def test_statistics_are_those_of_one_process(runs: Path, tmp_path: Path) -> None:
    read = list(w2s.read_trajectories(runs))
    for threshold in (None, 0.5):
        job = Statistics(success_at=threshold)
        records = done(job, runs, tmp_path / f"{threshold}", 7).records
        found = asdict(statistics_of_all([record["tally"] for record in records]))
        expected = asdict(statistics_of(read, success_threshold=threshold))
        returns, mean = found.pop("returns"), expected.pop("returns")
        assert returns == pytest.approx(mean, rel=1e-12)  # its sum, in another order
        (sampling,), (wanted,) = found.pop("samplings"), expected.pop("samplings")
        assert sampling.pop("mean_return") == pytest.approx(wanted.pop("mean_return"))
        assert sampling == wanted
        assert found == expected


def test_converted_runs_are_the_runs(runs: Path, tmp_path: Path) -> None:
    read = w2s.read_trajectories(runs)
    for to in ("w2stree", "messages"):
        done(Converted(to=to), runs, tmp_path / to, 3)
        back = w2s.read_trajectories(tmp_path / to, recursive=True)
        assert sorted(run.to_json() for run in back) == sorted(run.to_json() for run in read)


def test_opened_lazily_it_is_one_forest(runs: Path, tmp_path: Path) -> None:
    read = w2s.read_trajectories(runs)
    whole = w2s.build_forest(read)
    done(Forests(), runs, tmp_path / "out", 7)
    opened = w2s.open_forest(tmp_path / "out")
    assert isinstance(opened, BucketForest)
    assert len(opened) == len(whole) and set(opened) == set(whole)
    assert "nobody" not in opened and 7 not in opened
    with pytest.raises(KeyError, match="no tree for task 'nobody'"):
        opened["nobody"]
    for task_id, tree in opened.items():
        assert str(tree) == str(whole[task_id])
    assert opened.count_pairs(0.1) == whole.count_pairs(0.1)
    chunks = list(opened.stream_pairs(chunk_size=10))
    assert sum(map(len, chunks)) == whole.count_pairs()
    order = {task.task_id: task for task in whole.tasks()}
    assert all(task == order[task.task_id] for task in opened.tasks())
    with pytest.raises(AttributeError, match="parts"):  # nothing of it was merged so far
        object.__getattribute__(opened, "parts")
    assert w2s.Forest.digest(opened) == whole.digest()
    assert opened.num_errors == whole.num_errors
    assert len(opened.pairs()) == whole.count_pairs()
    assert len(opened.search(return_range=(-2, 2)).path_tree) == len(whole)
    worded = w2s.open_forest(tmp_path / "out", trajectories=list(read))
    assert w2s.preference_rows(worded.pairs(), "step").rows


class Interrupted(Exception):  # noqa: N818
    """What ends a process between two calls."""


class Ended(LocalEngine):
    """Makes so many calls, one more without its end, and ends."""

    def __init__(self, num_calls: int) -> None:
        self.left = num_calls

    def calls(
        self, function: Callable[..., None], arguments: Iterable[tuple[Any, ...]]
    ) -> Iterator[None]:
        for given in arguments:
            if not self.left:
                raise Interrupted
            self.left -= 1
            function(*given)
            function(*given)  # as when it was thought lost
            yield


@pytest.mark.parametrize("job", JOBS[:3], ids=lambda job: job.kind)
def test_goes_on_where_it_was_ended(job: Job, runs: Path, tmp_path: Path) -> None:
    expected = done(job, runs, tmp_path / "whole", 3).manifest
    for num_calls in range(6):  # of three pieces, then three buckets
        output = tmp_path / f"{num_calls}"
        engine = Ended(num_calls)
        with pytest.raises(Interrupted):
            run_buckets(job, [str(runs)], output, engine, num_buckets=3)
        with pytest.raises(InvalidInput, match="was not finished"):
            BucketManifest.read(output)
        for folder in output.glob("bucket=*"):
            (folder / ".rows.parquet.0123.partial").write_text("of a worker that was killed")
        assert done(job, runs, output, 3).manifest == expected
        assert not list(output.glob("bucket=*/.*"))


def test_refuses_folders_with_something_else(runs: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    with pytest.raises(Interrupted):
        run_buckets(Forests(), [str(runs)], output, Ended(2), num_buckets=3)
    for job, num_buckets in ((Pairs(), 3), (Forests(), 4)):
        with pytest.raises(InvalidInput, match="unfinished work of another command"):
            done(job, runs, output, num_buckets)
    done(Forests(), runs, output, 3)
    with pytest.raises(InvalidInput, match="is finished"):
        done(Forests(), runs, output, 3)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("a")
    with pytest.raises(InvalidInput, match="holds something"):
        done(Forests(), runs, tmp_path / "mine")
    with pytest.raises(InvalidInput, match="is a file"):
        done(Forests(), runs, tmp_path / "mine" / "a.txt")


def test_of_two_at_once_the_later_finds_it_finished(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one comes to its end between the other's first look and its lock; and the other clears
    up what the one is clearing up."""
    output, take = tmp_path / "out", lock.take

    def late(held: Any) -> None:
        monkeypatch.setattr("w2stree.scale.bucketed.lock.take", take)
        shutil.rmtree(output / ".work")
        done(Forests(), runs, output, 3)
        (output / ".work").mkdir()
        take(held)

    monkeypatch.setattr("w2stree.scale.bucketed.lock.take", late)
    with pytest.raises(InvalidInput, match="is finished"):
        done(Forests(), runs, output, 3)
    assert not (output / ".work").exists()

    rmtree = shutil.rmtree

    def at_once(path: Path, **options: Any) -> None:
        rmtree(path)
        rmtree(path, **options)

    monkeypatch.setattr("w2stree.scale.bucketed.shutil.rmtree", at_once)
    assert done(Forests(), runs, tmp_path / "second", 3).manifest == BucketManifest.read(output)


def test_refuses_what_is_no_table_of_runs(runs: Path, tmp_path: Path) -> None:
    lines = tmp_path / "a.jsonl"
    lines.write_text("{}\n")
    (tmp_path / "empty").mkdir()
    for path, told in ((lines, "no Parquet table of runs"), (tmp_path / "empty", "no .parquet")):
        with pytest.raises((InvalidInput, FileNotFoundError), match=told):
            plan_of([str(path)], None)
    with pytest.raises(FileNotFoundError, match="no such file"):
        plan_of([str(tmp_path / "nowhere")], None)
    damaged = tmp_path / "damaged.parquet"
    content = bytearray((runs / "0.parquet").read_bytes())
    content[100:200] = bytes(100)
    damaged.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"damaged\.parquet: a damaged Parquet file"):
        done(Forests(), damaged, tmp_path / "out")


def test_a_bucket_that_was_changed_is_found(runs: Path, tmp_path: Path) -> None:
    done(Forests(), runs, tmp_path / "out", 3)
    files = sorted((tmp_path / "out").glob("bucket=*/trees.forest"))
    files[0].write_bytes(files[1].read_bytes())
    with pytest.raises(ForestFileError, match="the manifest beside it says"):
        list(w2s.open_forest(tmp_path / "out"))
    manifest = tmp_path / "out" / "manifest.json"
    for change in ({"format": "x"}, {"version": 2}, {"buckets": [{"file": "../a"}]}):
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))
        with pytest.raises(InvalidInput, match=r"manifest\.json"):
            w2s.open_forest(tmp_path / "out")


def test_large_files_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = files_of(random_runs(Random(1), 30), tmp_path / "in", 2)
    expected = done(Pairs(), runs, tmp_path / "a", 3).manifest
    monkeypatch.setattr("w2stree.trajectories.tables._ROWS_PER_GROUP", 16)
    again = files_of(list(w2s.read_trajectories(runs)), tmp_path / "again", 1)
    monkeypatch.setattr("w2stree.scale.plan._PIECE_BYTES", 4096)
    monkeypatch.setattr("w2stree.scale.plan._SECTION_BYTES", 1024)
    assert len(plan_of([str(again)], 3).pieces) > 3
    found = done(Pairs(), again, tmp_path / "b", 3).manifest
    assert found.counts["num_rows"] == expected.counts["num_rows"]
    monkeypatch.setattr("w2stree.scale.plan._BUCKET_BYTES", 10_000)
    assert plan_of([str(again)], None).num_buckets > 3


class Weighing(LocalEngine):
    """Notes how many bytes a call is handed, at most."""

    def __init__(self) -> None:
        self.most: dict[str, int] = {}

    def calls(
        self, function: Callable[..., None], arguments: Iterable[tuple[Any, ...]]
    ) -> Iterator[None]:
        for given in arguments:
            size = len(pickle.dumps(given))
            self.most[function.__name__] = max(size, self.most.get(function.__name__, 0))
            function(*given)
            yield


def test_a_call_is_handed_no_more_where_there_is_more_input(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver hands out as many calls as there are buckets: both grow with the input."""
    few, many = Weighing(), Weighing()
    run_buckets(Pairs(), [str(runs)], tmp_path / "a", few, num_buckets=3)
    monkeypatch.setattr("w2stree.scale.plan._SECTION_BYTES", 1024)
    again = files_of(list(w2s.read_trajectories(runs)), tmp_path / "again", 12)
    assert len(plan_of([str(again)], 3).pieces) >= 4 * len(plan_of([str(runs)], 3).pieces)
    run_buckets(Pairs(), [str(again)], tmp_path / "b", many, num_buckets=3)
    assert many.most["make_bucket"] == few.most["make_bucket"]


class Rewriting(LocalEngine):
    """Somebody writes other runs over a file before the first call."""

    def __init__(self, file: Path, other: Path) -> None:
        self.file, self.other = file, other

    def calls(
        self, function: Callable[..., None], arguments: Iterable[tuple[Any, ...]]
    ) -> Iterator[None]:
        self.file.write_bytes(self.other.read_bytes())
        return super().calls(function, arguments)


def test_input_that_changes_while_it_is_read_is_refused(runs: Path, tmp_path: Path) -> None:
    files = files_of(list(w2s.read_trajectories(runs)), tmp_path / "in", 3)
    engine = Rewriting(files / "1.parquet", runs / "0.parquet")
    with pytest.raises(InvalidInput, match=r"1\.parquet: was written to.* while it was read"):
        run_buckets(Pairs(), [str(files)], tmp_path / "out", engine, num_buckets=3)
    with pytest.raises(InvalidInput, match="its input has changed"):
        done(Pairs(), files, tmp_path / "out", 3)
