"""Run directories whose results were edited, lost, copied, moved, linked, or oddly named."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bench.faults.run_states import Do, State, bytes_in, edited, lost, renamed, replaced
from bench.faults.small_run import SmallRun
from w2stree.errors import RunDirectoryError
from w2stree.experiment.hashes import MANIFEST


def results() -> Iterator[tuple[str, State]]:
    changed = r"b/result\.txt is not what the stage b wrote.*--force b"
    edits = {
        "edited": edited("b/result.txt", "by hand"),
        "edited, its time kept": edited("b/result.txt", "by hand", keeps_time=True),
        "edited, time and size kept": edited("b/result.txt", "B [a plain]yes no", keeps_time=True),
        "emptied": edited("b/result.txt", ""),
        "edited after it was seen": _seen_then(edited("b/result.txt", "B [a plain]yes no")),
        "replaced by a link to another file": replaced(
            "b/result.txt", lambda path: path.symlink_to(path.parents[1] / "a" / "result.txt")
        ),
    }
    for what, do in edits.items():
        yield f"a result is {what}", State(do, refused=changed, force=("b",), ran="b")
    yield (
        "the first result is edited, the last lost",
        State(
            lambda run: (edited("a/result.txt", "by hand")(run), lost("c")(run)),
            refused=r"a/result\.txt is not what",
            force=("a",),
            ran="ac",
        ),
    )
    yield (
        "a result is edited and the model beside it lost",
        State(
            lambda run: (edited("b/result.txt", "by hand")(run), lost("b/model")(run)),
            refused=changed,
            force=("b",),
            ran="b",
        ),
    )
    for what, do in {
        "lost": lost("b/result.txt"),
        "lost, with its model": lost("b/model"),
        "a folder": replaced("b/result.txt", Path.mkdir),
        "a FIFO": replaced("b/result.txt", os.mkfifo),
    }.items():
        yield f"a result is {what}", State(do, ran="b")
    yield "a stage is lost", State(lost("b"), ran="b")
    yield "all stages but the last are lost", State(lost("a", "b"), ran="ab")
    yield "a result is touched", State(lambda run: os.utime(run.path / "b" / "result.txt"))
    yield "copied (cp -r)", State(_copied())
    yield "copied without the models", State(_copied("model"), ran="abc")
    yield "copied without hidden files", State(_copied(".*"))
    yield "moved", State(_moved)
    for where in ("b/notes.md", "b/model/added_tokens.json"):
        yield (
            f"a file of somebody's in {where}",
            State(
                bytes_in(where, b"mine"),
                refused=rf"{where}: the stage b did not write this",
                mend=lost(where),
            ),
        )
    yield (
        "a file of somebody's in a stage that is out of date",
        State(
            lambda run: (
                bytes_in("b/notes.md", b"mine")(run),
                (run.outside / "vocabulary").write_text("maybe"),
            ),
            refused=r"b/notes\.md: the stage b did not write this",
            mend=lost("b/notes.md"),
            ran="bc",
        ),
    )
    yield "a hidden file in a stage", State(bytes_in("b/.DS_Store", b"\0"))
    yield "an empty folder in a stage", State(lambda run: (run.path / "b" / "empty").mkdir())


def _seen_then(do: Do) -> Do:
    def seen(run: SmallRun) -> None:
        run.go()
        do(run)

    return seen


def _copied(*left_out: str) -> Do:
    def do(run: SmallRun) -> None:
        copy = run.path.with_name("copy")
        shutil.copytree(run.path, copy, ignore=shutil.ignore_patterns(*left_out))
        shutil.rmtree(run.path)
        run.path = copy

    return do


def _moved(run: SmallRun) -> None:
    run.path = run.path.rename(run.path.with_name("moved"))


def links() -> Iterator[tuple[str, State]]:
    disk = "disk"
    for name in ("b", "b/model", "b/result.txt"):
        yield f"{name} is a link to another disk", State(_to_other_disk(name), keeps=disk)
        yield (
            f"{name} is a link, forced",
            State(_to_other_disk(name), force=("b",), ran="b", keeps=disk),
        )
    yield (
        "a stage is a link, out of date",
        State(
            lambda run: (
                _to_other_disk("b")(run),
                (run.outside / "vocabulary").write_text("maybe"),
            ),
            ran="bc",
            keeps=disk,
        ),
    )
    yield (
        "a stage is a link, edited there",
        State(
            lambda run: (
                _to_other_disk("b")(run),
                edited("b/result.txt", "by hand", keeps_time=True)(run),
            ),
            refused=r"b/result\.txt is not what",
            force=("b",),
            ran="b",
            keeps=disk,
        ),
    )
    yield (
        "a stage's disk is not there",
        State(
            _off,
            refused=r"run/b: a link to .*disk/there, which is not there.*--force b",
            mend=lambda run: run.path.with_name("off").rename(run.path.with_name("disk")),
        ),
    )
    yield (
        "a stage's disk is gone, forced",
        State(_off, refused="which is not there", force=("b",), ran="b"),
    )
    yield (
        "a stage is a link to itself",
        State(
            replaced("b", lambda path: path.symlink_to("b")),
            refused="run/b: a link to b, which is not there",
            force=("b",),
            ran="b",
        ),
    )
    yield "the run directory is a link", State(_run_is_link)
    yield (
        "the run directory is a link that leads nowhere",
        State(_run_is_link_to_nothing, refused="a link to .*nowhere, which is not there"),
    )
    yield (
        "the run directory is a file",
        State(_run_is_file, refused="cannot be made"),
    )


def _to_other_disk(name: str) -> Do:
    def do(run: SmallRun) -> None:
        disk = run.path.with_name("disk")
        disk.mkdir()
        shutil.move(run.path / name, disk / "there")
        (run.path / name).symlink_to(disk / "there")

    return do


def _off(run: SmallRun) -> None:
    _to_other_disk("b")(run)
    run.path.with_name("disk").rename(run.path.with_name("off"))


def _run_is_link(run: SmallRun) -> None:
    link = run.path.with_name("link")
    link.symlink_to(run.path)
    run.path = link


def _run_is_link_to_nothing(run: SmallRun) -> None:
    run.path = run.path.with_name("link")
    run.path.symlink_to("nowhere")


def _run_is_file(run: SmallRun) -> None:
    run.path = run.path.with_name("file")
    run.path.write_text("mine")


def outside() -> Iterator[tuple[str, State]]:
    def vocabulary(text: str, *, keeps_time: bool = False) -> Do:
        def do(run: SmallRun) -> None:
            path = run.outside / "vocabulary"
            before = path.stat()
            path.write_text(text)
            if keeps_time:
                os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

        return do

    yield "what a stage reads is changed", State(vocabulary("maybe"), ran="bc")
    yield (
        "what a stage reads is changed, time and size kept",
        State(vocabulary("YES NO", keeps_time=True), ran="bc"),
    )
    yield "what a stage reads is touched", State(lambda run: os.utime(run.outside / "vocabulary"))
    yield (
        "what a stage reads is gone",
        State(
            lambda run: run.outside.rename(run.outside.with_name("gone")),
            refused="outside: no such folder or file",
            mend=lambda run: run.outside.with_name("gone").rename(run.outside),
        ),
    )
    yield (
        "a link in it leads nowhere",
        State(
            lambda run: (run.outside / "link").symlink_to("nowhere"),
            refused="outside/link: a link to nowhere, which is not there",
            mend=lambda run: (run.outside / "link").unlink(),
        ),
    )
    yield (
        "a link in it leads back to it, a FIFO lies in it",
        State(
            lambda run: (
                (run.outside / "loop").symlink_to("."),
                os.mkfifo(run.outside / "fifo"),
            )
        ),
    )
    yield (
        "a folder behind a link in it is changed",
        State(lambda run: (_linked_folder(run), (run.path / "b").exists()), ran="b"),
    )
    yield (
        "a name in it is not UTF-8",
        State(
            lambda run: (run.outside / os.fsdecode(b"m\xff")).write_text(""),
            refused=r"outside/m\\udcff: the file's name is not UTF-8",
            mend=lambda run: (run.outside / os.fsdecode(b"m\xff")).unlink(),
        ),
    )


def _linked_folder(run: SmallRun) -> None:
    more = run.outside.with_name("more")
    more.mkdir()
    (more / "words").write_text("one")
    (run.outside / "more").symlink_to(more)
    run.go()
    (more / "words").write_text("two")


def names() -> Iterator[tuple[str, State]]:
    for name in ("line\nbreak", "ü🙂", "\x1b[2J", " ", MANIFEST):
        yield f"a stage writes {name!r}", State(_writes(name.encode()), ran="bc")
    yield (
        "a stage writes a name that is not UTF-8",
        State(
            _unnameable,
            refused=r"\.b\.finished/model/m\\udcff: the file's name is not UTF-8",
            mend=lambda run: renamed(".b.finished/model/m\udcff", ".b.finished/model/m")(run),
            ran="c",  # what b made was not lost
        ),
    )
    yield "the run directory's name is odd", State(_odd_name)


def _writes(name: bytes) -> Do:
    def do(run: SmallRun) -> None:
        run.extra_name = name
        shutil.rmtree(run.path / "b")

    return do


def _unnameable(run: SmallRun) -> None:
    _writes(b"m\xff")(run)
    with suppress(RunDirectoryError):
        run.go()
    run.extra_name = b"m"


def _odd_name(run: SmallRun) -> None:
    run.path = run.path.rename(run.path.with_name("ü \n\x1b[2J \u202e'\""))
