"""Lines of a gzip file by offset: the same as reading it whole, without holding it."""

from __future__ import annotations

import gzip
import random
import tracemalloc
from pathlib import Path

import pytest

from w2stree.environments.alfworld.gzip_lines import GzipLines
from w2stree.errors import InvalidInput


def write(path: Path, lines: list[bytes], *, end: bytes = b"\n") -> GzipLines:
    path.write_bytes(gzip.compress(b"\n".join(lines) + end))
    return GzipLines(path)


@pytest.mark.parametrize("end", [b"\n", b""])
def test_every_line_is_found_again_in_any_order(tmp_path: Path, end: bytes) -> None:
    rng = random.Random(0)
    # Random bytes do not compress: the lines lie across many of the chunks read at once.
    lines = [rng.randbytes(rng.randrange(1, 40_000)).hex().encode() for _ in range(60)]
    lines[7] = b""
    lines[8] = rng.randbytes(300_000).hex().encode()
    file = write(tmp_path / "a.gz", lines, end=end)
    found = list(file.scan())
    assert [line for _, line in found] == lines
    assert len(file._marks) > 5
    rng.shuffle(found)
    assert all(file.line(offset) == line for offset, line in found)


def test_the_text_is_not_held(tmp_path: Path) -> None:
    rng = random.Random(1)
    lines = [rng.randbytes(5_000).hex().encode() for _ in range(800)]  # 8 MB of text
    file = write(tmp_path / "a.gz", lines)
    del lines
    tracemalloc.start()
    for _ in file.scan():
        pass
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 3e6
    assert peak < 5e6


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-20],
        lambda data: data + data,
        lambda data: data[:500] + b"\0\0\0\0" + data[504:],
        lambda data: b"no gzip file at all",
    ],
    ids=["torn", "two members", "overwritten", "text"],
)
def test_damage_is_named(tmp_path: Path, damage: object) -> None:
    path = tmp_path / "a.gz"
    write(path, [random.Random(2).randbytes(2_000).hex().encode()])
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(InvalidInput, match=r"a\.gz: (cut short|not a whole gzip file)"):
        list(GzipLines(path).scan())
