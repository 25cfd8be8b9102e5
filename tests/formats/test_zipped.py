"""Zips of JSON: whatever bytes are wrong in one, it is read or refused."""

from __future__ import annotations

import json
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.zstd_zip import write_zstd_zip

from w2stree import InvalidInput
from w2stree.formats.zipped import members
from w2stree.trajectories.reading_limits import ReadingLimits

MEMBERS = {
    "header.json": b'{"version": 2}',
    "samples/1_epoch_1.json": json.dumps([1] * 40).encode(),
}


def write(file: Path, kind: str, given: dict[str, bytes] = MEMBERS) -> bytes:
    if kind == "zstd":
        write_zstd_zip(file, given)
    else:
        method = zipfile.ZIP_DEFLATED if kind == "deflated" else zipfile.ZIP_STORED
        with zipfile.ZipFile(file, "w", method) as packed:
            for name, content in given.items():
                packed.writestr(name, content)
    return file.read_bytes()


@pytest.mark.parametrize("kind", ["stored", "deflated", "zstd"])
@given(data=st.data())
@settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    max_examples=100,
)
def test_damaged_bytes_are_refused_by_the_file(
    kind: str, data: st.DataObject, tmp_path: Path
) -> None:
    file = tmp_path / "log.eval"
    content = bytearray(write(file, kind))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file.write_bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))])
    try:
        list(members(file))
    except InvalidInput as error:
        assert str(error).startswith(str(file))


@pytest.mark.parametrize("kind", ["stored", "deflated", "zstd"])
def test_a_member_that_is_too_large_is_refused(kind: str, tmp_path: Path) -> None:
    write(tmp_path / "log.eval", kind)
    read = dict(members(tmp_path / "log.eval"))
    assert [place.rpartition(": ")[2] for place in read] == list(MEMBERS)
    limits = ReadingLimits(line_mib=1)
    write(tmp_path / "log.eval", kind, MEMBERS | {"samples/0.json": b" " * (1 << 20) + b"10"})
    told = r"log\.eval: samples/0\.json: more than 1 MiB, the limit line_mib: raise it"
    with pytest.raises(InvalidInput, match=told):
        list(members(tmp_path / "log.eval", limits=limits))
    skipped: list[str] = []
    assert dict(members(tmp_path / "log.eval", limits=limits, skip=skipped.append)) == read
    assert len(skipped) == 1


def test_a_member_that_holds_more_than_it_says_is_refused_before_it_is_unpacked(
    tmp_path: Path,
) -> None:
    file = tmp_path / "log.eval"
    content = bytearray(write(file, "deflated", {"header.json": b" " * (64 << 20)}))
    size_at = content.rindex(b"PK\x01\x02") + 24  # in the zip's directory
    content[size_at : size_at + 4] = (10).to_bytes(4, "little")
    file.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInput, match=r"header\.json: a damaged member"):
            list(members(file))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
