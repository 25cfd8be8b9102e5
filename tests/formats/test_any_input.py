"""Of any records, whatever is wrong with some: each is used or skipped, and nothing is raised."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from support.anthropic_runs import booked
from support.bad_inputs import GOOD, SAMPLE, line
from support.foreign_runs import inspect_header
from support.mangled import mangled
from support.tau2_bench_runs import simulation

from w2stree import InvalidInput
from w2stree.formats import FORMATS
from w2stree.formats.reading import Imported, read_files
from w2stree.trajectories.json_lines import begins_array

SAMPLES = GOOD | {"tau2_bench": simulation(), "messages of blocks": booked()}
NOISE = st.lists(
    st.sampled_from(
        [b"{", b'"a"', b":", b"1", b",", b"[", b"\xff", b"\0", b"NaN", b"\xef\xbb\xbf"]
    ),
    min_size=1,
    max_size=6,
).map(b"".join)
"""No end of an object: a torn line that went on would be one record with the next."""


def lines_of(name: str) -> st.SearchStrategy[list[bytes]]:
    good = line(SAMPLES[name])
    return st.lists(
        st.just(good)
        | mangled([SAMPLES[name]]).map(line)
        | st.integers(1, len(good) - 2).map(lambda size: good[:size] + b"\n")
        | NOISE.map(lambda noise: noise + b"x\n"),
        max_size=4,
    )


def read(content: bytes, *, is_packed: bool, on_error: str) -> Imported:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "a.jsonl"
        file.write_bytes(gzip.compress(content) if is_packed else content)
        imported = read_files(file, on_error=on_error)
        assert len(list(imported.reading.trajectories)) == len(imported.reading.places)
        return imported


def test_every_format_that_has_one_record_a_line_is_among_them() -> None:
    whole = {"inspect", "opentelemetry"}  # a log, and spans of which several make a run
    assert {name.split()[0] for name in SAMPLES} == {known.name for known in FORMATS} - whole


@pytest.mark.parametrize("name", SAMPLES)
@given(data=st.data())
@settings(max_examples=40)
def test_what_is_read_is_used_or_skipped(name: str, data: st.DataObject) -> None:
    lines = data.draw(lines_of(name))
    is_packed = data.draw(st.booleans())
    content = line(SAMPLES[name]) + b"".join(lines)
    imported = read(content, is_packed=is_packed, on_error="skip")
    num_used = len(imported.reading.trajectories) + imported.reading.num_repeated
    if name != "verifiers traces":  # of which a line may be several runs, or none
        assert num_used + len(imported.skipped) == 1 + len(lines)
    for of_each_run in ("reward", "prompt"):
        found: dict[str, Any] = imported.found.get(of_each_run, {})
        assert sum(found.values()) <= len(imported.reading.trajectories)
    try:
        read(content, is_packed=is_packed, on_error="stop")
    except InvalidInput as error:
        assert imported.skipped
        assert "a.jsonl" in str(error)
    else:
        assert not imported.skipped


@pytest.mark.parametrize("name", SAMPLES)
@given(data=st.data())
@settings(max_examples=20)
def test_whatever_comes_first(name: str, data: st.DataObject) -> None:
    lines = data.draw(lines_of(name))
    imported = read(b"".join(lines), is_packed=False, on_error="skip")
    if lines and not imported.reading.trajectories and name != "verifiers traces":
        assert imported.skipped


@pytest.mark.parametrize("name", SAMPLES)
@given(
    noise=st.lists(
        NOISE.map(lambda noise: noise + b"x\n") | st.sampled_from([b"3\n", b"[1]\n"]), max_size=3
    ),
    count=st.integers(1, 2),
)
@example(noise=[b"\xff\xff\xff\xffx\n"], count=1)  # as a table of Arrow begins
@settings(max_examples=20)
def test_what_stands_before_records_costs_none_of_them(
    name: str, noise: list[bytes], count: int
) -> None:
    assume(not noise or not begins_array(noise[0]))  # which is one text to its end
    content = b"".join(noise) + line(SAMPLES[name]) * count
    imported = read(content, is_packed=False, on_error="skip")
    assert len(imported.skipped) == len(noise)
    if name != "verifiers traces":
        assert len(imported.reading.trajectories) + imported.reading.num_repeated == count


@given(data=st.data())
def test_a_record_over_lines_that_a_torn_one_precedes(data: st.DataObject) -> None:
    """Whatever is put together, every line that is a record by itself is read."""
    good = line(SAMPLES["w2stree"])
    torn = good[: data.draw(st.integers(1, len(good) - 2))] + b"\n"
    spread = json.dumps(SAMPLES["w2stree"], indent=1).encode() + b"\n"
    pieces = data.draw(st.lists(st.sampled_from([good, torn, spread]), max_size=5))
    imported = read(good + b"".join(pieces), is_packed=False, on_error="skip")
    assert len(imported.reading.trajectories) == 1 + pieces.count(good)
    if torn != b"{\n":
        assert len(imported.skipped) == pieces.count(torn) + pieces.count(spread)


@given(samples=st.lists(mangled([SAMPLE]), max_size=4))
@settings(max_examples=40)
def test_every_sample_of_a_log_is_used_or_skipped(samples: list[Any]) -> None:
    with TemporaryDirectory() as folder:
        log = Path(folder) / "a.eval"
        with zipfile.ZipFile(log, "w") as packed:
            packed.writestr("header.json", json.dumps(inspect_header()))
            for i, sample in enumerate(samples):
                packed.writestr(f"samples/{i}_epoch_1.json", json.dumps(sample))
        imported = read_files(log, on_error="skip")
    num_skipped = len(imported.skipped)
    assert len(imported.reading.trajectories) + num_skipped == max(1, len(samples))
