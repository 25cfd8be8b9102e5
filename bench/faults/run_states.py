"""Run directories in every state somebody may find one in, and what must come of each.

A state is refused, by name, with nothing changed; or the command goes on, and then every stage
holds what follows from what it reads.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.faults.small_run import SmallRun, snapshot
from w2stree.errors import RunDirectoryError
from w2stree.experiment.hashes import MANIFEST

Do = Callable[[SmallRun], object]


@dataclass(frozen=True, slots=True)
class State:
    """`do` brings a finished run into it. Then the stages of `ran` run; or the command is refused
    with words that match `refused`, and after `mend`, with `force`, goes on as `ran` says.

    `keeps`: a folder elsewhere, of which nothing may be changed.
    """

    do: Do
    ran: str = ""
    refused: str = ""
    mend: Do | None = None
    force: Sequence[str] = ()
    keeps: str = ""


def try_state(folder: Path, state: State) -> str:
    """What is wrong of the rule; nothing where it holds."""
    run = SmallRun.make(folder)
    state.do(run)
    elsewhere = folder / state.keeps if state.keeps else folder / "nothing"
    kept = snapshot(elsewhere)
    if state.refused:
        before = run.contents()
        try:
            run.go()
            return "was not refused"
        except RunDirectoryError as error:
            said = str(error)
        if not re.search(state.refused, said, re.DOTALL):
            return f"said: {said}"
        if re.search(rf"delete {re.escape(str(run.path))}( |$)", said):
            return f"advised to delete the run: {said}"
        if run.contents() != before:
            return "was refused, and changed something"
        if state.mend is not None:
            state.mend(run)
        elif not state.force:
            return ""
    ran = run.go(state.force)
    if ran != state.ran:
        return f"ran {ran!r} instead of {state.ran!r}"
    if not run.is_right():
        return "left a wrong result"
    if snapshot(elsewhere) != kept:
        return "changed what lies outside the run"
    return "" if run.go() == "" else "was redone once more"


def states() -> dict[str, State]:
    """Every state, by name."""
    return dict(
        pair
        for group in (_configurations, _manifests, _results, _links, _leftovers, _outside, _names)
        for pair in group()
    )


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


def _bytes(name: str, content: bytes) -> Do:
    return lambda run: (run.path / name).write_bytes(content)


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


def _replaced(name: str, make: Callable[[Path], object]) -> Do:
    def do(run: SmallRun) -> None:
        path = run.path / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        make(path)

    return do


def _lost(*names: str) -> Do:
    def do(run: SmallRun) -> None:
        for name in names:
            path = run.path / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return do


def _configurations() -> Iterator[tuple[str, State]]:
    back = r"config\.json.*untouched.*config.*b?/manifest\.json|config\.json.*a/manifest\.json"
    for what, content in _NO_JSON.items():
        yield (
            f"config.json is {what}",
            State(_bytes("config.json", content), refused=back, mend=_config),
        )
        yield (
            f"config.json is {what}, no results",
            State(_without_results(_bytes("config.json", content)), ran="abc"),
        )
    yield (
        "config.json is torn beside a journal",
        State(
            _journal_alone(_bytes("config.json", b"{")),
            refused=r"untouched.*new --run-dir",
            mend=_config,
            ran="abc",
        ),
    )
    yield (
        "config.json is lost",
        State(_lost("config.json"), refused=r"has results but no config\.json", mend=_config),
    )
    yield (
        "config.json is lost beside a journal",
        State(
            _journal_alone(_lost("config.json")),
            refused=r"has results but no config\.json.*new --run-dir",
            mend=_config,
            ran="abc",
        ),
    )
    yield (
        "config.json is a folder",
        State(_replaced("config.json", Path.mkdir), refused=r"has results but no config\.json"),
    )
    yield (
        "config.json is a link that leads nowhere",
        State(
            _replaced("config.json", lambda path: path.symlink_to("nowhere")),
            refused=r"has results but no config\.json",
        ),
    )
    yield (
        "another configuration",
        State(_bytes("config.json", b'{"seed": 2}'), refused="seed: 2 there, 1 now"),
    )
    yield (
        "another configuration, no results",
        State(_without_results(_bytes("config.json", b'{"seed": 2}')), ran="abc"),
    )
    for left in (".config.json.0123456789abcdef.partial", ".config.json.partial", ".lock"):
        yield (
            f"killed at the start: {left} alone",
            State(_without_results(_start_killed(left)), ran="abc"),
        )
    yield (
        "a thesis and no configuration",
        State(
            _without_results(_replaced("config.json", lambda p: p.with_name("thesis").mkdir())),
            refused="not a run directory",
        ),
    )


def _start_killed(left: str) -> Do:
    def do(run: SmallRun) -> None:
        for path in list(run.path.iterdir()):
            path.unlink()
        (run.path / left).write_text('{"se')

    return do


def _manifests() -> Iterator[tuple[str, State]]:
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
                _bytes(f"b/{MANIFEST}", content),
                refused=r"b/manifest\.json: .*--force b",
                force=("b",),
                ran="b",
            ),
        )
    yield (
        "a manifest is lost",
        State(
            _lost(f"b/{MANIFEST}"),
            refused=r"/b: has no manifest\.json",
            mend=lambda run: shutil.rmtree(run.path / "b"),
            ran="b",
        ),
    )


def _edited(name: str, text: str, *, keeps_time: bool = False) -> Do:
    def do(run: SmallRun) -> None:
        path = run.path / name
        before = path.stat()
        path.write_text(text)
        if keeps_time:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    return do


def _results() -> Iterator[tuple[str, State]]:
    changed = r"b/result\.txt is not what the stage b wrote.*--force b"
    edits = {
        "edited": _edited("b/result.txt", "by hand"),
        "edited, its time kept": _edited("b/result.txt", "by hand", keeps_time=True),
        "edited, time and size kept": _edited("b/result.txt", "B [a plain]yes no", keeps_time=True),
        "emptied": _edited("b/result.txt", ""),
        "edited after it was seen": _seen_then(_edited("b/result.txt", "B [a plain]yes no")),
        "replaced by a link to another file": _replaced(
            "b/result.txt", lambda path: path.symlink_to(path.parents[1] / "a" / "result.txt")
        ),
    }
    for what, do in edits.items():
        yield f"a result is {what}", State(do, refused=changed, force=("b",), ran="b")
    yield (
        "the first result is edited, the last lost",
        State(
            lambda run: (_edited("a/result.txt", "by hand")(run), _lost("c")(run)),
            refused=r"a/result\.txt is not what",
            force=("a",),
            ran="ac",
        ),
    )
    yield (
        "a result is edited and the model beside it lost",
        State(
            lambda run: (_edited("b/result.txt", "by hand")(run), _lost("b/model")(run)),
            refused=changed,
            force=("b",),
            ran="b",
        ),
    )
    for what, do in {
        "lost": _lost("b/result.txt"),
        "lost, with its model": _lost("b/model"),
        "a folder": _replaced("b/result.txt", Path.mkdir),
        "a FIFO": _replaced("b/result.txt", os.mkfifo),
    }.items():
        yield f"a result is {what}", State(do, ran="b")
    yield "a stage is lost", State(_lost("b"), ran="b")
    yield "all stages but the last are lost", State(_lost("a", "b"), ran="ab")
    yield "a result is touched", State(lambda run: os.utime(run.path / "b" / "result.txt"))
    yield "copied (cp -r)", State(_copied())
    yield "copied without the models", State(_copied("model"), ran="abc")
    yield "copied without hidden files", State(_copied(".*"))
    yield "moved", State(_moved)
    for where in ("b/notes.md", "b/model/added_tokens.json"):
        yield (
            f"a file of somebody's in {where}",
            State(
                _bytes(where, b"mine"),
                refused=rf"{where}: the stage b did not write this",
                mend=_lost(where),
            ),
        )
    yield (
        "a file of somebody's in a stage that is out of date",
        State(
            lambda run: (
                _bytes("b/notes.md", b"mine")(run),
                (run.outside / "vocabulary").write_text("maybe"),
            ),
            refused=r"b/notes\.md: the stage b did not write this",
            mend=_lost("b/notes.md"),
            ran="bc",
        ),
    )
    yield "a hidden file in a stage", State(_bytes("b/.DS_Store", b"\0"))
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


def _links() -> Iterator[tuple[str, State]]:
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
                _edited("b/result.txt", "by hand", keeps_time=True)(run),
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
            _replaced("b", lambda path: path.symlink_to("b")),
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


def _renamed(name: str, to: str) -> Do:
    return lambda run: (run.path / name).rename(run.path / to)


def _draft(run: SmallRun) -> None:
    """The stage had ended, and its files were not hashed yet."""
    manifest = run.path / "b" / MANIFEST
    text = manifest.read_text()
    manifest.write_text(re.sub(r'"outputs": \{[^}]*\}', '"rest": 0', text))
    _renamed("b", ".b.finished")(run)


def _copy(name: str, to: str) -> Do:
    return lambda run: shutil.copytree(run.path / name, run.path / to)


def _leftovers() -> Iterator[tuple[str, State]]:
    yield "a stage was being made", State(_copy("a", ".b.partial"))
    yield "a file where a stage is made", State(_bytes(".b.partial", b"half"))
    yield "the old result is left beside the new one", State(_copy("b", ".b.old"))
    yield (
        "the old result is left half deleted",
        State(lambda run: (_copy("b", ".b.old")(run), (run.path / ".b.old" / MANIFEST).unlink())),
    )
    yield "the old result alone is left", State(_renamed("b", ".b.old"))
    yield "a finished result without its place", State(_renamed("b", ".b.finished"))
    yield "a finished result beside the old one", State(_copy("b", ".b.finished"))
    yield (
        "a finished result, the old one renamed away",
        State(lambda run: (_copy("b", ".b.finished")(run), _renamed("b", ".b.old")(run))),
    )
    yield "a finished result that is not hashed", State(_draft)
    yield (
        "a finished result without a manifest",
        State(
            lambda run: (_renamed("b", ".b.finished")(run), _lost(f".b.finished/{MANIFEST}")(run)),
            refused=r"\.b\.finished/manifest\.json: No such file.*keep what you need",
            mend=lambda run: shutil.rmtree(run.path / ".b.finished"),
            ran="b",
        ),
    )
    yield (
        "a stage's place is taken by a file",
        State(
            _replaced("b", lambda path: path.write_text("mine")),
            refused="run/b: no stage made this file",
            mend=_lost("b"),
            ran="b",
        ),
    )
    yield (
        "a stage's place is taken by somebody's folder",
        State(
            _replaced("b", lambda path: (path.mkdir(), (path / "mine").write_text(""))),
            refused=r"run/b: has no manifest\.json",
            mend=_lost("b"),
            ran="b",
        ),
    )
    yield "a stage's folder is empty", State(_replaced("b", Path.mkdir), ran="b")
    for what, content in _NO_JSON.items():
        yield f"what was hashed is {what}", State(_bytes(".hashes.json", content))
    yield (
        "the lock is a folder",
        State(_replaced(".lock", Path.mkdir), refused=r"\.lock: the run cannot be locked"),
    )
    yield (
        "the lock is a FIFO",
        State(_replaced(".lock", os.mkfifo), refused=r"\.lock: is no file"),
    )
    yield (
        "the lock is a link to somebody's file",
        State(_lock_is_link, refused=r"\.lock: the run cannot be locked", keeps="mine"),
    )


def _lock_is_link(run: SmallRun) -> None:
    mine = run.path.with_name("mine")
    mine.mkdir()
    (mine / "file").write_text("do not touch")
    _replaced(".lock", lambda path: path.symlink_to(mine / "file"))(run)


def _outside() -> Iterator[tuple[str, State]]:
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


def _writes(name: bytes) -> Do:
    def do(run: SmallRun) -> None:
        run.extra_name = name
        shutil.rmtree(run.path / "b")

    return do


def _names() -> Iterator[tuple[str, State]]:
    for name in ("line\nbreak", "ü🙂", "\x1b[2J", " ", MANIFEST):
        yield f"a stage writes {name!r}", State(_writes(name.encode()), ran="bc")
    yield (
        "a stage writes a name that is not UTF-8",
        State(
            _unnameable,
            refused=r"\.b\.finished/model/m\\udcff: the file's name is not UTF-8",
            mend=lambda run: _renamed(".b.finished/model/m\udcff", ".b.finished/model/m")(run),
            ran="c",  # what b made was not lost
        ),
    )
    yield "the run directory's name is odd", State(_odd_name)


def _unnameable(run: SmallRun) -> None:
    _writes(b"m\xff")(run)
    with suppress(RunDirectoryError):
        run.go()
    run.extra_name = b"m"


def _odd_name(run: SmallRun) -> None:
    run.path = run.path.rename(run.path.with_name("ü \n\x1b[2J \u202e'\""))
