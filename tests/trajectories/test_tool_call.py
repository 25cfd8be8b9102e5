"""Tool calls in steps: one text for equal calls, in files and out, and nothing taken in silence."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2stree import InvalidInput, Message, Step, ToolCall, Trajectory, build_forest
from w2stree.trajectories.tool_call import action_of

OSLO = ToolCall("weather", '{"days": 2, "city": "Oslo"}', "call_1")
CLOCK = ToolCall("clock")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
CALLS = st.lists(
    st.builds(
        ToolCall,
        st.from_regex(r"[\w.\-(){}\"]+", fullmatch=True),
        st.dictionaries(st.text(), JSON, max_size=3).map(json.dumps)
        | st.text('{}"\n\\a: ', max_size=8),
        st.none() | st.text(min_size=1),
        st.none() | st.text(),
    ),
    max_size=3,
).map(tuple)


def trajectory(*steps: Step) -> Trajectory:
    return Trajectory("t", (Message("user", "Weather in Oslo?"),), steps, 1.0, "done")


def test_a_turn_of_calls_has_them_as_its_action() -> None:
    calls = (OSLO, CLOCK)
    key = 'weather {"city":"Oslo","days":2}\nclock {}'
    assert action_of(calls) == key
    step = Step(key, "Rain.", tool_calls=calls)
    assert step.response == "" and step.is_worded


def test_arguments_are_one_text_for_equal_objects() -> None:
    for written in ('{"a":1,"b":[ 2.50,"é"]}', ' {"b": [2.5, "\\u00e9"], "a": 1}\n'):
        assert ToolCall("f", written).arguments == '{"a":1,"b":[2.5,"é"]}'
    assert ToolCall("f", '{"a":1}') != ToolCall("f", '{"a":1.0}')


@given(CALLS)
def test_round_trip_of_any(calls: tuple[ToolCall, ...]) -> None:
    for call in calls:
        assert replace(call, arguments=call.arguments) == call, "canonical of canonical"
    run = trajectory(Step(action_of(calls), "ok", tool_calls=calls))
    assert Trajectory.from_json(run.to_json()) == run


@given(CALLS, CALLS)
def test_other_calls_have_another_key(one: tuple[ToolCall, ...], two: tuple[ToolCall, ...]) -> None:
    said = [[(call.name, call.arguments) for call in calls] for calls in (one, two)]
    assert (action_of(one) == action_of(two)) == (said[0] == said[1])


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("", "{}", "a tool's name is ''; give a text without white space"),
        ("two words", "{}", "a tool's name is 'two words'"),
        ("f", {"a": 1}, "f: arguments are dict; give the JSON text of an object"),
    ],
)
def test_calls_that_are_none_are_refused(name: str, arguments: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        ToolCall(name, arguments)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("", "f: arguments are '': empty; expected JSON"),
        ("[1]", r"f: arguments are '\[1\]'; give the JSON text of an object"),
        ('{"from": "OSL", "to": "CDG}', r"not valid JSON \(column 23: Unterminated string"),
        ('{"a":1,"a":2}', "the key 'a' is given twice in one object, in columns 2 and 8"),
        ('{"a":NaN}', "NaN at column 6 is no number of JSON"),
        ('{"a":1e999}', "inf is no number of JSON"),
        ('{"a":"\\ud83d"}', "surrogates not allowed"),
        ("[" * 100_000, "nested deeper than can be read"),
        ('{\n "a": 1', "not valid JSON"),
    ],
)
def test_what_a_model_wrote_wrongly_is_kept_to_the_letter(arguments: str, why: str) -> None:
    call = ToolCall("f", arguments)
    assert call.arguments == arguments == call.arguments_given()
    with pytest.raises(InvalidInput, match=why):
        call.parsed_arguments()
    run = trajectory(Step(action_of([call]), "Error", tool_calls=(call,)))
    assert Trajectory.from_json(run.to_json()) == run
    if "\n" not in arguments:
        assert run.steps[0].action == f"f {arguments}"


def test_a_broken_text_is_no_other_call_s_key() -> None:
    broken = [('{"x\nb {}',), ('{"x', "{}"), ('"{\\"x\\nb {}"',)]
    turns = [
        [ToolCall(name, text) for name, text in zip(("a", "b"), texts, strict=False)]
        for texts in broken
    ]
    assert len(set(map(action_of, turns))) == len(turns)


def test_a_step_has_no_other_action_than_its_calls() -> None:
    with pytest.raises(InvalidInput, match=r"action is 'go', but the step's tool calls make it"):
        Step("go", "", tool_calls=(CLOCK,))
    with pytest.raises(InvalidInput, match=r"tool_calls\[0\] is 'clock'; expected ToolCall"):
        Step("clock {}", "", tool_calls=("clock",))  # type: ignore[arg-type]
    listed = Step("clock {}", "", tool_calls=[CLOCK])  # type: ignore[arg-type]
    assert listed == Step("clock {}", "", tool_calls=(CLOCK,))


RECORD = {"task_id": "t", "prompt": [], "total_return": 1.0, "status": "done"}


def read(step: dict[str, object]) -> Step:
    record = {**RECORD, "steps": [{"observation": "", **step}]}
    return Trajectory.from_json(json.dumps(record)).steps[0]


def test_a_record_of_calls_needs_no_action() -> None:
    calls = [{"name": "weather", "arguments": '{"days":2, "city":"Oslo"}', "id": "call_1"}]
    assert read({"tool_calls": calls}) == Step(action_of([OSLO]), "", tool_calls=(OSLO,))
    filled = {"tool_calls": None, "is_cut": None, "reward": None, "action": "go"}
    assert read(filled) == Step("go", ""), "as tables fill what another row has"


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"tool_calls": {}}, r"steps\[0\]: tool_calls is dict; expected an array"),
        ({"tool_calls": [1]}, r"tool_calls\[0\]: the call is int; expected an object"),
        ({"tool_calls": [{"name": "f"}]}, r"tool_calls\[0\]: arguments is NoneType"),
        (
            {"tool_calls": [{"type": "function", "function": {}, "name": "f", "arguments": "{}"}]},
            r"unknown field 'function'; fields are name, arguments, id",
        ),
        (
            {"tool_calls": [{"name": "f", "arguments": "{}"}], "action": "go"},
            r"steps\[0\]: action is 'go', but the step's tool calls make it 'f \{\}'",
        ),
        ({"tool_calls": []}, "action is NoneType; expected a string"),
        ({"action": "go", "is_cut": 1}, "is_cut is 1; expected true or false"),
    ],
)
def test_records_of_calls_that_are_none_are_refused(step: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read(step)


def test_calls_merge_by_name_and_arguments() -> None:
    other = ToolCall("weather", '{"city":"Bergen","days":2}')
    again = ToolCall("weather", '{"city":"Oslo","days":2}', "call_9")
    runs = [
        trajectory(Step(action_of([call]), "ok", tool_calls=(call,)))
        for call in (OSLO, again, other)
    ]
    assert build_forest(runs)["t"].num_nodes == 3, "the root and two calls"


def test_steps_without_calls_are_written_as_before() -> None:
    written = trajectory(Step("go", "ok", "Action: go")).to_json()
    assert written == (
        '{"task_id":"t","prompt":[{"role":"user","content":"Weather in Oslo?"}],'
        '"steps":[{"action":"go","observation":"ok","response":"Action: go"}],'
        '"total_return":1.0,"status":"done","origin":{},"info":{}}'
    )


def test_a_cut_turn_stays_one() -> None:
    run = trajectory(Step("", "", "I wonder", (1, 2), is_cut=True))
    assert '"is_cut":true' in run.to_json()
    assert Trajectory.from_json(run.to_json()) == run
