"""`open_forest` and `Forest.save` where paths are no files, and files change under the reader."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from support.comparisons import assert_same_forest

from w2stree import Forest, open_forest
from w2stree.errors import ForestFileError, InvalidInput
from w2stree.forest import build_forest_from_texts

pytestmark = [
    pytest.mark.filterwarnings("ignore::w2stree.IdenticalTrajectories"),
    pytest.mark.skipif(os.name != "posix", reason="pipes, links and truncation as on POSIX"),
]


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # to open it would wait for a writer
    with pytest.raises(ForestFileError, match="/pipe: a pipe, socket or device, and no file"):
        open_forest(tmp_path / "pipe")


def test_no_forest_is_put_in_the_place_of_a_pipe(tmp_path: Path, forest: Forest) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(InvalidInput, match=f"/{path.name}: a pipe, socket or device, and no"):
            forest.save(path)
    assert pipe.is_fifo()


def test_a_private_forest_stays_private(saved: Path, forest: Forest) -> None:
    saved.chmod(0o600)
    forest.save(saved)
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null"])
def test_a_device_is_refused_at_once(path: str) -> None:
    with pytest.raises(ForestFileError, match=f"{path}: a pipe, socket or device, and no file"):
        open_forest(path)


def test_an_open_forest_needs_its_file_no_longer(saved: Path, forest: Forest) -> None:
    opened = open_forest(saved)
    with saved.open("r+b") as file:
        file.write(b"x" * saved.stat().st_size)  # in place
    assert_same_forest(forest, opened)
    os.truncate(saved, 0)
    assert_same_forest(forest, opened)
    assert opened.digest() == forest.digest()


def test_a_file_that_is_cut_while_it_is_read(tmp_path: Path) -> None:
    """Whole or a `ForestFileError`, however often: no signal."""
    many = [f"text {i}" * 20 for i in range(30_000)]
    columns = [[t] for t in many], [["ok"]] * len(many), [0.5] * len(many)
    forest = build_forest_from_texts(["t"] * len(many), *columns)
    path, digest = tmp_path / "f", forest.digest()
    forest.save(path)
    content = path.read_bytes()
    stop = threading.Event()

    def cut() -> None:
        while not stop.is_set():
            os.truncate(path, len(content) // 3)
            path.write_bytes(content)

    cutting = threading.Thread(target=cut)
    cutting.start()
    try:
        num_refused = 0
        for _ in range(3000):
            try:
                assert open_forest(path).digest() == digest
            except ForestFileError:
                num_refused += 1
            if num_refused >= 20:
                break
    finally:
        stop.set()
        cutting.join()
    assert num_refused >= 20


def test_no_more_is_read_of_a_file_than_tells_that_it_is_no_forest(tmp_path: Path) -> None:
    (tmp_path / "zeros").touch()
    os.truncate(tmp_path / "zeros", 2**40)  # a terabyte that is not there
    with pytest.raises(ForestFileError, match="byte 0: expected the mark of a forest file"):
        open_forest(tmp_path / "zeros")


@pytest.mark.parametrize("name", ["x" * 250, "x" * 255, "ü" * 127])
def test_names_as_long_as_the_system_allows(tmp_path: Path, forest: Forest, name: str) -> None:
    forest.save(tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert open_forest(tmp_path / name).digest() == forest.digest()


def test_a_link_is_followed_to_where_it_leads(tmp_path: Path, forest: Forest) -> None:
    elsewhere = tmp_path / "large disk"
    elsewhere.mkdir()
    link = tmp_path / "weak.forest"
    link.symlink_to(elsewhere / "weak.forest")
    for _ in range(2):  # the file is not there yet, and then it is
        forest.save(link)
        assert link.is_symlink() and (elsewhere / "weak.forest").is_file()
        assert open_forest(link).digest() == forest.digest()
    assert [p.name for p in elsewhere.iterdir()] == ["weak.forest"]


def test_links_in_a_circle_are_an_os_error(tmp_path: Path, forest: Forest) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(OSError, match="symbolic links"):
        forest.save(tmp_path / "a")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]
