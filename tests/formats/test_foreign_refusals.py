"""Bad records of five tools: refused with one `InvalidInput` that names the place and the fix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.foreign_runs import WRITTEN, Written

from w2stree import InvalidInput
from w2stree.formats.reading import read_files, read_trajectories

BY_NAME = {f"{w.format}{w.suffix}": w for w in WRITTEN}

Change = Callable[[Any], Any]


def put(*path: Any, value: Any) -> Change:
    """The value at a path of keys; its last key appears where there is none."""

    def change(given: Any) -> Any:
        at = given
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value
        return given

    return change


def pair(kind: str, value: Any) -> list[dict[str, Any]]:
    return [{"key": "n", "value": {kind: value}}]


SAMPLE = "samples/7_epoch_1.json"
IMAGE = [{"type": "image", "source": {"media_type": "image/png", "path": "a.png"}}]
PICTURE = [{"type": "blob", "modality": "image", "content": "aGk="}]
CHAT = ("attributes", "gen_ai.output.messages")

REFUSED: list[tuple[str, Change, str]] = [
    ("atif.json", put("schema_version", value="ATIF-v2.0"),
     r"atif\.json: schema_version is 'ATIF-v2\.0'; ATIF-v1\.0 to ATIF-v1\.8 are read"),
    ("atif.json", put("continued_trajectory_ref", value="b.json"),
     r"\.json: goes on in 'b\.json', so its end is not here: read the last file of the run"),
    ("atif.json", put("steps", value={}), r"\.json: steps is dict; expected an array"),
    ("atif.json", put("steps", 0, value="x"), r"\.json: steps\[0\] is str; expected an object"),
    ("atif.json", put("steps", 1, "source", value="robot"),
     r"\.json: steps\[1\]: source is 'robot'; use system, user, agent"),
    ("atif.json", put("steps", 3, "message", value=IMAGE),
     r"\.json: steps\[3\]: message\[0\] is of the type 'image' and has no text; only texts"),
    ("atif.json", put("steps", 2, "tool_calls", 0, "arguments", value="{}"),
     r"\.json: steps\[2\]: tool_calls\[0\]\.arguments is str; expected an object"),
    ("atif.json", put("steps", 2, "tool_calls", 0, "function_name", value="a b"),
     r"\.json: steps\[2\]: tool_calls\[0\]: a tool's name is 'a b'; give a text without white"),
    ("atif.json", put("steps", 2, "observation", "results", 0, "source_call_id", value="c9"),
     r"\.json: message 3: a tool answers a call 'c9' that it did not make"),
    ("atif.json", put("steps", 2, "observation", value=[]),
     r"\.json: steps\[2\]: observation is list; expected an object"),
    ("atif.json", put("steps", 2, "metrics", "logprobs", value=[-0.5]),
     r"\.json: steps\[2\]: metrics: 2 token_ids but 1 logprobs; give one for each"),
    ("atif.json", put("steps", 2, "metrics", "completion_token_ids", value=["a", "b"]),
     r"\.json: steps\[2\]: metrics: token_ids\[0\] is 'a'; expected an integer"),
    ("atif.json", put("extra", "reward", value="high"),
     r"\.json: extra\.reward is 'high'; expected a finite number"),
    ("atif.json", put("extra", value={}), r"\.json: no reward at harbor_trial.*name one \(reward="),
    ("atif.json", put("extra", value=[]), r"\.json: extra is list; expected an object"),
    ("atif.json", put("extra", "w2stree", value={"of": "x"}),
     r"\.json: its field w2stree was written beside other messages.*: delete the field w2stree"),
    ("responses.jsonl", put("previous_response_id", value="resp_1"),
     r":1: previous_response_id says that what came before is kept by the server.*put them into"),
    ("responses.jsonl", put("conversation", value={"id": "c"}), r":1: conversation says that what"),
    ("responses.jsonl", put("input", 0, "role", value="robot"),
     r":1: input\[0\]: role is 'robot'; use user, system, developer, assistant"),
    ("responses.jsonl", put("input", 3, "arguments", value={"city": "Oslo"}),
     r":1: input\[3\]: arguments are \{'city': 'Oslo'\}; expected a JSON text"),
    ("responses.jsonl", put("input", 3, "name", value=None), r":1: input\[3\]: name is NoneType"),
    ("responses.jsonl", put("input", 5, "call_id", value=None),
     r":1: input\[5\]: call_id is NoneType; expected a string"),
    ("responses.jsonl", put("input", 5, "call_id", value="c9"), r"a tool answers a call 'c9' that"),
    ("responses.jsonl", put("input", 4, value={"type": "web_search_call", "id": "ws"}),
     r":1: input\[4\]: items of the type 'web_search_call' cannot be read: only message,"),
    ("responses.jsonl", put("input", 0, "content", value=[{"type": "input_image"}]),
     r":1: input\[0\]: content\[0\] is of the type 'input_image' and has no text"),
    ("responses.jsonl", put("instructions", value=["x"]), r":1: instructions is list; expected a"),
    ("responses.jsonl", put("reward", value=None), r":1: no reward at reward, .*its fields are"),
    ("verifiers.jsonl", put("reward", value=None), r":1: no reward at reward; its fields are"),
    ("verifiers.jsonl", put("reward", value=float("inf")), r":1: Infinity at .* is no number"),
    ("verifiers.jsonl", put("completion", 0, "tool_calls", 0, value="{"),
     r":1: completion\[0\]: tool_calls\[0\]: not valid JSON"),
    ("verifiers.jsonl", put("completion", 0, "tool_calls", value={}),
     r":1: completion\[0\]: tool_calls is dict; expected an array"),
    ("verifiers.jsonl", put("completion", 1, "tool_call_id", value="c9"), r"a call 'c9' that it"),
    ("verifiers.jsonl", put("completion", 0, "role", value="user"),
     r":1: completion|:1: after the prompt of 2 messages comes one of the user"),
    ("verifiers.jsonl", put("prompt", value=5), r":1: prompt is int; expected an array"),
    ("verifiers.traces.jsonl", put("traces", 0, "nodes", 2, "parent", value=5),
     r":1: traces\[0\]: nodes\[2\]\.parent is 5; expected the number of a node before it"),
    ("verifiers.traces.jsonl", put("traces", 0, "nodes", 2, "mask", value=[True]),
     r":1: traces\[0\]: nodes\[2\]: 3 token_ids and 1 marks in mask"),
    ("verifiers.traces.jsonl", put("traces", 0, "nodes", 2, "logprobs", value=[-1.0]),
     r":1: traces\[0\]: nodes\[2\]: 2 token_ids but 1 logprobs"),
    ("verifiers.traces.jsonl", put("traces", 0, "nodes", 0, "message", value=None),
     r":1: traces\[0\]: nodes\[0\]\.message is NoneType; expected an object"),
    ("verifiers.traces.jsonl", put("traces", 0, "rewards", value={"right": None}),
     r":1: traces\[0\]: no reward at reward; its fields are .*name one \(reward="),
    ("verifiers.traces.jsonl", put("traces", 0, "rewards", "right", value={"score": "x"}),
     r":1: traces\[0\]: rewards\.right\.score is 'x'; expected a finite number"),
    ("verifiers.traces.jsonl", put("traces", 0, "nodes", value={}), r"nodes is dict; expected an"),
    ("inspect.eval", put(SAMPLE, "messages", value=None),
     r"inspect\.eval: samples/7_epoch_1\.json: messages is NoneType; expected an array"),
    ("inspect.eval", put(SAMPLE, "messages", 2, "tool_calls", 0, "arguments", value="{}"),
     r"7_epoch_1\.json: messages\[2\]: tool_calls\[0\]\.arguments is str; expected an object"),
    ("inspect.eval", put(SAMPLE, "messages", 1, "content", value=[{"type": "image", "image": "x"}]),
     r"messages\[1\]: content\[0\]\[0\] is of the type 'image' and has no text"),
    ("inspect.eval", put(SAMPLE, "messages", 3, "tool_call_id", value="c9"), r"a call 'c9' that"),
    ("inspect.eval", put(SAMPLE, "messages", 3, "role", value="robot"), r"the role 'robot'; use"),
    ("inspect.eval", put(SAMPLE, "scores", "match", "value", value="well"),
     r"scores\.match\.value is 'well'; expected a finite number"),
    ("inspect.eval", put(SAMPLE, "scores", "match", "value", value=float("nan")),
     r"7_epoch_1\.json: not scored: NaN or null at match; leave it out \(on_error=skip"),
    ("inspect.eval", put(SAMPLE, value=[]), r"7_epoch_1\.json: no record of logs of Inspect AI"),
    ("inspect.json", put("samples", 0, "scores", value={"a": {"value": 1}, "b": {"value": 0}}),
     r"inspect\.json: samples\[0\]: 2 scores: choose one \(reward=.*scores\.a\.value, scores\.b"),
    ("inspect.json", put("samples", value=None), r"\.json: the log has no samples"),
    ("opentelemetry.jsonl", put(1, *CHAT, 0, "parts", 1, value=PICTURE[0]),
     r":2: gen_ai\.output\.messages\[0\]\.parts\[1\] is of the type 'blob'; only texts, tool"),
    ("opentelemetry.jsonl", put(1, *CHAT, value="["), r":2: gen_ai\.output\.messages: not valid"),
    ("opentelemetry.jsonl", put(1, *CHAT, value=[{"role": "assistant", "parts": []}] * 2),
     r":2: gen_ai\.output\.messages has 2 choices; which of them the run went on with"),
    ("opentelemetry.jsonl", put(1, *CHAT, 0, "parts", 1, "content", value="I do not."),
     r":2: its message 3 is not that of the last call \(.*:1\).*give each its own gen_ai\.conv"),
    ("opentelemetry.jsonl", put(1, *CHAT, 0, "role", value="robot"),
     r":2: gen_ai\.output\.messages\[0\]: role is 'robot'; use system, developer, user,"),
    ("opentelemetry.jsonl", put(1, *CHAT, 0, "role", value="user"), r"the role user calls a tool"),
    ("opentelemetry.jsonl", put(3, "events", value=[]),
     r": trace 4bf9: no reward at attributes\.reward, .*name one \(reward="),
    ("opentelemetry.jsonl", put(3, "events", 0, "attributes", value={
        "gen_ai.evaluation.name": "x", "gen_ai.evaluation.score.value": "high"}),
     r"evaluations\.x is 'high'; expected a finite number"),
    ("opentelemetry.jsonl", put(3, "events", value=3), r":4: events is int; expected an array"),
    ("opentelemetry.otlp.jsonl", put("resourceSpans", 0, "scopeSpans", 0, "spans", 0, value=3),
     r":1: .*spans\[0\] is int; expected an object"),
    ("opentelemetry.otlp.jsonl",
     put("resourceSpans", 0, "scopeSpans", 0, "spans", 0, "traceId", value=""),
     r":1: .*spans\[0\]: a span without traceId or spanId: of which run is not said"),
    ("opentelemetry.otlp.jsonl",
     put("resourceSpans", 0, "resource", "attributes", value=pair("intValue", "x")),
     r":1: resourceSpans\[0\]: attributes\[0\]\.value\.intValue is 'x'; expected an integer"),
    ("opentelemetry.otlp.jsonl",
     put("resourceSpans", 0, "resource", "attributes", value=pair("x", 1)),
     r":1: resourceSpans\[0\]: attributes\[0\]\.value has \['x'\]; expected stringValue"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "reason"), REFUSED)
def test_it_is_refused_by_its_place(name: str, change: Change, reason: str, tmp_path: Path) -> None:
    written: Written = BY_NAME[name]
    file = written.write(tmp_path, change(written.make()))
    with pytest.raises(InvalidInput, match=reason) as refused:
        read_trajectories(file)
    assert str(refused.value).startswith(str(file))


@pytest.mark.parametrize(
    ("name", "change", "reason"), [row for row in REFUSED if "Infinity" not in row[2]]
)  # what is no JSON is no record to skip
def test_or_it_is_skipped_and_told(name: str, change: Change, reason: str, tmp_path: Path) -> None:
    written = BY_NAME[name]
    file = written.write(tmp_path, change(written.make()))
    read = read_files(file, on_error="skip")
    assert read.skipped and not read.reading.trajectories


def test_spans_without_words_say_how_to_record_them(tmp_path: Path) -> None:
    written = BY_NAME["opentelemetry.jsonl"]
    spans = written.make()
    for span in spans:
        span["attributes"] = {
            k: v for k, v in span["attributes"].items() if not k.endswith(".messages")
        }
    with pytest.raises(InvalidInput, match=r"record what is said .*CAPTURE_MESSAGE_CONTENT"):
        read_trajectories(written.write(tmp_path, spans))


def test_several_evaluations_are_chosen_from(tmp_path: Path) -> None:
    written = BY_NAME["opentelemetry.jsonl"]
    spans = written.make()
    other = {"gen_ai.evaluation.name": "Kind", "gen_ai.evaluation.score.value": 1}
    spans[0]["events"] = [{"name": "gen_ai.evaluation.result", "attributes": other}]
    file = written.write(tmp_path, spans)
    with pytest.raises(InvalidInput, match=r"2 evaluations: choose one .*evaluations\.Kind, eval"):
        read_trajectories(file)
    assert read_trajectories(file, reward="evaluations.Kind")[0].total_return == 1.0
