"""Run directories whose records are torn, lost or of something else, and what kills leave."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from bench.faults.run_states import Do, State, bytes_in, copy_of, lost, renamed, replaced
from bench.faults.small_run import SmallRun
from w2stree.experiment.hashes import MANIFEST

_NO_JSON = {
    "empty": b"",
    "blank": b"\n\n",
    "torn": b'{"seed": ',
    "zeros": bytes(4096),
    "not UTF-8": b'{"seed": "\xff\xfe"}',
    "UTF-16": '{"seed": 1}'.encode("utf-16"),
    "100,000 deep": b"[" * 100_000,
    "of 5,000 digits": b'{"seed": 1' + b"0" * 5000 + b"}",
    "a list": b"[]",
    "null": b"null",
}


def configurations() -> Iterator[tuple[str, State]]:
    back = r"config\.json.*untouched.*config.*b?/manifest\.json|config\.json.*a/manifest\.json"
    for what, content in _NO_JSON.items():
        yield (
            f"config.json is {what}",
            State(bytes_in("config.json", content), refused=back, mend=_config),
        )
        yield (
            f"config.json is {what}, no results",
            State(_without_results(bytes_in("config.json", content)), ran="abc"),
        )
    yield (
        "config.json is torn beside a journal",
        State(
            _journal_alone(bytes_in("config.json", b"{")),
            refused=r"untouched.*new --run-dir",
            mend=_config,
            ran="abc",
        ),
    )
    yield (
        "config.json is lost",
        State(lost("config.json"), refused=r"has results but no config\.json", mend=_config),
    )
    yield (
        "config.json is lost beside a journal",
        State(
            _journal_alone(lost("config.json")),
            refused=r"has results but no config\.json.*new --run-dir",
            mend=_config,
            ran="abc",
        ),
    )
    yield (
        "config.json is a folder",
        State(replaced("config.json", Path.mkdir), refused=r"has results but no config\.json"),
    )
    yield (
        "config.json is a link that leads nowhere",
        State(
            replaced("config.json", lambda path: path.symlink_to("nowhere")),
            refused=r"has results but no config\.json",
        ),
    )
    yield (
        "another configuration",
        State(bytes_in("config.json", b'{"seed": 2}'), refused="seed: 2 there, 1 now"),
    )
    yield (
        "another configuration, no results",
        State(_without_results(bytes_in("config.json", b'{"seed": 2}')), ran="abc"),
    )
    for left in (".config.json.0123456789abcdef.partial", ".config.json.partial", ".lock"):
        yield (
            f"killed at the start: {left} alone",
            State(_without_results(_start_killed(left)), ran="abc"),
        )
    yield (
        "a thesis and no configuration",
        State(
            _without_results(replaced("config.json", lambda p: p.with_name("thesis").mkdir())),
            refused="not a run directory",
        ),
    )


def _config(run: SmallRun) -> None:
    (run.path / "config.json").write_text('{"seed": 1}')


def _without_results(then: Do) -> Do:
    def do(run: SmallRun) -> None:
        for name in "abc":
            shutil.rmtree(run.path / name)
        then(run)

    return do


def _journal_alone(then: Do) -> Do:
    def do(run: SmallRun) -> None:
        _without_results(then)(run)
        (run.path / "episodes.journal").write_text("w2s1 …\n")

    return do


def _start_killed(left: str) -> Do:
    def do(run: SmallRun) -> None:
        for path in list(run.path.iterdir()):
            path.unlink()
        (run.path / left).write_text('{"se')

    return do


def manifests() -> Iterator[tuple[str, State]]:
    other = {
        "without inputs": b'{"outputs": {}}',
        "of wrong types": b'{"inputs": 1, "outputs": 2}',
        "of null": b'{"inputs": null, "outputs": null}',
        "of numbers for hashes": b'{"inputs": {}, "outputs": {"result.txt": 7}}',
    }
    for what, content in {**_NO_JSON, **other}.items():
        yield (
            f"a manifest is {what}",
            State(
                bytes_in(f"b/{MANIFEST}", content),
                refused=r"b/manifest\.json: .*--force b",
                force=("b",),
                ran="b",
            ),
        )
    yield (
        "a manifest is lost",
        State(
            lost(f"b/{MANIFEST}"),
            refused=r"/b: has no manifest\.json",
            mend=lambda run: shutil.rmtree(run.path / "b"),
            ran="b",
        ),
    )


_HALF_WRITTEN = f".{MANIFEST}.0123456789abcdef.partial"


def leftovers() -> Iterator[tuple[str, State]]:
    for left in (".config.json.0a.partial", "..hashes.json.0a.partial", ".tasks.json.0a.partial"):
        yield f"killed before: {left} is left", State(bytes_in(left, b"{"))
    yield "a stage was being made", State(copy_of("a", ".b.partial"))
    yield "a file where a stage is made", State(bytes_in(".b.partial", b"half"))
    yield "the old result is left beside the new one", State(copy_of("b", ".b.old"))
    yield (
        "the old result is left half deleted",
        State(lambda run: (copy_of("b", ".b.old")(run), (run.path / ".b.old" / MANIFEST).unlink())),
    )
    yield "the old result alone is left", State(renamed("b", ".b.old"))
    yield "a finished result without its place", State(renamed("b", ".b.finished"))
    yield "a finished result beside the old one", State(copy_of("b", ".b.finished"))
    yield (
        "a finished result, the old one renamed away",
        State(lambda run: (copy_of("b", ".b.finished")(run), renamed("b", ".b.old")(run))),
    )
    yield "a finished result that is not hashed", State(_draft)
    yield (
        "killed while the hashes of a finished result were written down",
        State(lambda run: (_draft(run), bytes_in(f".b.finished/{_HALF_WRITTEN}", b"{")(run))),
    )
    yield (
        "a finished result without a manifest",
        State(
            lambda run: (renamed("b", ".b.finished")(run), lost(f".b.finished/{MANIFEST}")(run)),
            refused=r"\.b\.finished/manifest\.json: No such file.*keep what you need",
            mend=lambda run: shutil.rmtree(run.path / ".b.finished"),
            ran="b",
        ),
    )
    yield (
        "a stage's place is taken by a file",
        State(
            replaced("b", lambda path: path.write_text("mine")),
            refused="run/b: no stage made this file",
            mend=lost("b"),
            ran="b",
        ),
    )
    yield (
        "a stage's place is taken by somebody's folder",
        State(
            replaced("b", lambda path: (path.mkdir(), (path / "mine").write_text(""))),
            refused=r"run/b: has no manifest\.json",
            mend=lost("b"),
            ran="b",
        ),
    )
    yield "a stage's folder is empty", State(replaced("b", Path.mkdir), ran="b")
    for what, content in _NO_JSON.items():
        yield f"what was hashed is {what}", State(bytes_in(".hashes.json", content))
    yield (
        "the lock is a folder",
        State(replaced(".lock", Path.mkdir), refused=r"\.lock: the run cannot be locked"),
    )
    yield (
        "the lock is a FIFO",
        State(replaced(".lock", os.mkfifo), refused=r"\.lock: is no file"),
    )
    yield (
        "the lock is a link to somebody's file",
        State(_lock_is_link, refused=r"\.lock: the run cannot be locked", keeps="mine"),
    )


def _draft(run: SmallRun) -> None:
    """The stage had ended, and its files were not hashed yet."""
    manifest = run.path / "b" / MANIFEST
    text = manifest.read_text()
    manifest.write_text(re.sub(r'"outputs": \{[^}]*\}', '"rest": 0', text))
    renamed("b", ".b.finished")(run)


def _lock_is_link(run: SmallRun) -> None:
    mine = run.path.with_name("mine")
    mine.mkdir()
    (mine / "file").write_text("do not touch")
    replaced(".lock", lambda path: path.symlink_to(mine / "file"))(run)
