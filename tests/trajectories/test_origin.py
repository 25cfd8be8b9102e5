"""How a rollout was made: typed, written once, and read from records that had it in `info`."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import episode

from w2stree import InvalidInput, Trajectory, read_trajectories
from w2stree.trajectories.frames import encode_frame
from w2stree.trajectories.journal import Journal, read_journal
from w2stree.trajectories.origin import Origin

FULL = Origin(
    3,
    1,
    7,
    2,
    0.7,
    0.9,
    "base",
    "openai(model=weak)",
    "ab12",
    "the server is down",
    "100 positions",
    raw_return=-3.5,
    num_tokens=12,
)

integers = st.integers(-(2**70), 2**70)
numbers = st.floats(allow_nan=False, allow_infinity=False)
origins = st.just(Origin()) | st.builds(
    Origin,
    sample_index=st.none() | integers,
    attempt=integers,
    seed=st.none() | integers,
    prefix_length=integers,
    temperature=st.none() | numbers,
    top_p=st.none() | numbers,
    model=st.none() | st.text(),
    policy=st.none() | st.text(),
    tokenizer=st.none() | st.text(),
    error=st.none() | st.text(),
    truncated_by=st.none() | st.text(),
    raw_return=st.none() | numbers,
    num_tokens=st.none() | integers,
)
# A user's own data may use our names for anything.
names = st.sampled_from([*Origin.__dataclass_fields__, "origin", "served_model", "note"])
values = st.none() | st.booleans() | integers | numbers | st.text() | st.lists(st.text())
infos = st.dictionaries(names | st.text(), values)


@given(origins, infos)
def test_round_trip_of_any(origin: Origin, info: dict[str, Any]) -> None:
    trajectory = replace(episode("ab", 1.0), origin=origin, info=info)
    line = trajectory.to_json()
    assert "\n" not in line
    assert Trajectory.from_json(line) == trajectory


@given(
    st.builds(
        replace,
        origins,
        sample_index=integers,
        truncated_by=st.none(),
        raw_return=st.none(),
        num_tokens=st.none(),
    ),
    st.dictionaries(st.text().filter(lambda n: n not in asdict(FULL)), values),
)
def test_a_record_of_0_1_0_has_it_in_info(origin: Origin, others: dict[str, Any]) -> None:
    said = {name: value for name, value in asdict(origin).items() if value is not None}
    record = json.loads(episode("ab", 1.0).to_json())
    del record["origin"]
    read = Trajectory.from_json(json.dumps({**record, "info": {**others, **said}}))
    assert read == replace(episode("ab", 1.0), origin=origin, info=others)
    assert Trajectory.from_json(read.to_json()) == read


def test_absent_values_are_left_out() -> None:
    def written(origin: Origin) -> Any:
        return json.loads(replace(episode("a", 1.0), origin=origin).to_json())["origin"]

    assert written(Origin()) == {}
    assert written(Origin(sample_index=0, attempt=0, error="")) == {"sample_index": 0, "error": ""}
    assert written(FULL) == asdict(FULL)


def test_its_fields_are_typed() -> None:
    line = old_line(sample_index=0, temperature=1)
    assert type(Trajectory.from_json(line).origin.temperature) is float


def test_another_s_info_stays_what_it_is() -> None:
    """Logs that are not ours have these names for their own things."""
    info = {"model": {"name": "large"}, "seed": "2026-01", "error": None, "policy": 3}
    read = Trajectory.from_json(old_line(**info, note=1))
    assert (read.origin, read.info) == (Origin(), {**info, "note": 1})
    assert Trajectory.from_json(old_line(policy="expert")).origin == Origin(policy="expert")
    told = Trajectory.from_json(old_line(tokenizer="f00d", model="large"))
    assert (told.origin, told.info) == (Origin(tokenizer="f00d"), {"model": "large"})


def old_line(**info: Any) -> str:
    record = json.loads(episode("a", 1.0).to_json())
    del record["origin"]
    return json.dumps({**record, "info": info})


WRONG = [
    ("sample_index", "0", "sample_index is '0'; expected an integer"),
    ("sample_index", True, "sample_index is True; expected an integer"),
    ("attempt", 1.0, r"attempt is 1\.0; expected an integer"),
    ("seed", [], r"seed is \[\]; expected an integer"),
    ("prefix_length", "2", "prefix_length is '2'; expected an integer"),
    ("temperature", "hot", "temperature is 'hot'; expected a finite number"),
    ("top_p", 10**400, "top_p is 1000.*; expected a finite number"),
    ("model", 1, "model is int; expected a string"),
    ("policy", {}, "policy is dict; expected a string"),
    ("tokenizer", 1, "tokenizer is int; expected a string"),
    ("error", ["x"], "error is list; expected a string"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_a_wrong_type_is_named(name: str, value: Any, message: str, tmp_path: Path) -> None:
    new = json.loads(episode("a", 1.0).to_json()) | {"origin": {name: value}}
    for line, place in (
        (json.dumps(new), r"^runs/x\.jsonl:7: origin: "),
        (old_line(**{"sample_index": 0, name: value}), r"^runs/x\.jsonl:7: info .*: "),
    ):
        with pytest.raises(InvalidInput, match=place + message):
            Trajectory.from_json(line, where="runs/x.jsonl:7")


def test_unknown_fields_are_refused() -> None:
    record = json.loads(episode("a", 1.0).to_json())
    with pytest.raises(InvalidInput, match=r"^x:1: origin: unknown field 'sample'; fields are sam"):
        Trajectory.from_json(json.dumps(record | {"origin": {"sample": 1}}), where="x:1")
    with pytest.raises(InvalidInput, match=r"^x:1: origin is list; expected an object"):
        Trajectory.from_json(json.dumps(record | {"origin": []}), where="x:1")


# As 0.1.0 wrote it.
OLD = (
    '{"task_id":"twc/train/3","prompt":[{"role":"user","content":"Cook."}],"steps":[{"action":'
    '"take knife","observation":"Taken.","response":"Action: take knife","token_ids":[1,2],'
    '"logprobs":[-0.5,-1.0],"reward":0.25}],"total_return":0.0,"status":"error","info":{'
    '"sample_index":3,"attempt":1,"seed":7,"prefix_length":2,"temperature":0.7,"top_p":0.9,'
    '"model":"base","policy":"openai","served_model":"weak","tokenizer":"ab12",'
    '"error":"the server is down"}}'
)


def test_files_of_0_1_0_are_read(tmp_path: Path) -> None:
    # 0.1.0 did not know these.
    since = {"truncated_by": None, "raw_return": None, "num_tokens": None}
    expected = replace(FULL, policy="openai", **since)
    (tmp_path / "trajectories.jsonl").write_text(f"{OLD}\n")
    (old,) = read_trajectories(tmp_path)
    assert old.origin == expected
    assert old.info == {"served_model": "weak"}


def test_a_journal_of_0_1_0_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "episodes.journal"
    old = Trajectory.from_json(OLD)
    path.write_bytes(encode_frame(OLD.encode()))
    with Journal(path) as journal:
        assert journal.keys == {("twc/train/3", 3, 1)}
        new = replace(old, status="done", origin=replace(old.origin, attempt=2, error=None))
        journal.append(new)
    assert read_journal(path).trajectories == (old, new)
    assert read_trajectories(path) == [new], "attempts of one sample, whoever wrote them"
    assert path.read_bytes().startswith(encode_frame(OLD.encode())), "what was there stays"
