"""GenAI spans: which of them are one run, what scores it, and what is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from support.any_runs import RUNS
from support.foreign_run import PROMPT, STEPS, THOUGHT
from support.genai_spans import flat_span, genai_spans, otlp_export

from w2stree import InvalidInput, Trajectory
from w2stree.formats.reading import read_files, read_trajectories
from w2stree.formats.writing import write_trajectories


def write(folder: Path, spans: list[dict[str, Any]]) -> Path:
    file = folder / "spans.jsonl"
    file.write_text("".join(json.dumps(span) + "\n" for span in spans), encoding="utf-8")
    return file


def another(spans: list[dict[str, Any]], trace: str) -> list[dict[str, Any]]:
    return [json.loads(json.dumps(span).replace("0x4bf9", trace)) for span in spans]


def test_traces_that_stand_among_one_another_are_two_runs(tmp_path: Path) -> None:
    one, other = genai_spans(), another(genai_spans(), "0x77")
    mixed = [span for pair in zip(one, other, strict=True) for span in pair]
    runs = read_trajectories(write(tmp_path, mixed))
    assert [(run.prompt, run.steps) for run in runs] == [(PROMPT, STEPS)] * 2
    assert [run.info["traces"] for run in runs] == [["4bf9"], ["77"]]
    assert runs[0].origin.policy == "helper"
    assert runs[0].info["messages"] == {"2": [THOUGHT]}


def test_traces_of_one_conversation_are_one_run(tmp_path: Path) -> None:
    last, first, tool, root = genai_spans()
    (moved,) = another([last], "0x77")
    for span in (first, moved):
        span["attributes"]["gen_ai.conversation.id"] = "conv"
    (run,) = read_trajectories(write(tmp_path, [first, tool, root, moved]))
    assert (run.steps, run.info["traces"]) == (STEPS, ["4bf9", "77"])


def test_spans_of_something_else_are_no_runs(tmp_path: Path) -> None:
    http = another(genai_spans()[:1], "0x99")[0] | {"attributes": {"http.method": "GET"}}
    assert len(read_trajectories(write(tmp_path, [http, *genai_spans()]))) == 1


def test_an_export_may_be_empty_and_spread_over_lines(tmp_path: Path) -> None:
    export = otlp_export()
    scopes = export["resourceSpans"][0]["scopeSpans"][0]
    lines: list[dict[str, Any]] = [{"resourceSpans": []}]
    for span in scopes["spans"]:
        lines.append({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    lines.append({"resourceLogs": export["resourceLogs"]})
    (run,) = read_trajectories(write(tmp_path, lines))
    assert (run.prompt, run.steps, run.total_return) == (PROMPT, STEPS, 0.5)


def test_an_evaluation_may_name_the_answer_alone(tmp_path: Path) -> None:
    export = otlp_export()
    (score,) = export["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    del score["traceId"], score["spanId"]
    with pytest.raises(InvalidInput, match="no reward at"):
        read_trajectories(write(tmp_path, [export]))
    named = {"key": "gen_ai.response.id", "value": {"stringValue": "resp_1"}}
    score["attributes"].append(named)
    export["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"].append(named)
    assert read_trajectories(write(tmp_path, [export]))[0].total_return == 0.5


def test_what_was_said_may_stand_in_an_event(tmp_path: Path) -> None:
    spans = genai_spans()
    for span in spans[:2]:
        details = {"name": "gen_ai.client.inference.operation.details"}
        details["attributes"] = span["attributes"]
        operation = span["attributes"]["gen_ai.operation.name"]
        span |= {"attributes": {"gen_ai.operation.name": operation}, "events": [details]}
    assert read_trajectories(write(tmp_path, spans))[0].steps == STEPS


def test_an_agents_own_span_stands_for_calls_without_words(tmp_path: Path) -> None:
    last, first, tool, root = genai_spans()
    root["attributes"] |= {
        name: last["attributes"].pop(name)
        for name in ("gen_ai.input.messages", "gen_ai.output.messages")
    }
    for name in ("gen_ai.input.messages", "gen_ai.output.messages"):
        del first["attributes"][name]
    (run,) = read_trajectories(write(tmp_path, [last, first, tool, root]))
    assert run.steps == STEPS


def test_what_an_agent_asked_another_is_no_turn_of_its_own(tmp_path: Path) -> None:
    spans = genai_spans()
    inner = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "searcher"}
    asked = spans[1]["attributes"] | {"gen_ai.input.messages": [said("user", "Search.")]}
    spans.append(flat_span("invoke_agent searcher", "c1", "b3", 3, inner))
    spans.append(flat_span("chat m", "c2", "c1", 3, asked))
    read = read_files(write(tmp_path, spans))
    assert read.reading.trajectories[0].steps == STEPS
    assert read.found["left out"] == {"calls of agents that an agent asked": 1}


def said(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def asked_aside(span_id: str, parent: str | None, second: int, *texts: str) -> dict[str, Any]:
    """A call that is none of the run's: its user's and its assistant's words in turn."""
    roles = ("user", "assistant")
    messages = [said(roles[i % 2], text) for i, text in enumerate(texts)]
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "small",
        "gen_ai.input.messages": messages[:-1],
        "gen_ai.output.messages": messages[-1:],
    }
    return flat_span("chat small", span_id, parent, second, attributes)


def served() -> list[dict[str, Any]]:
    """The run beneath the span of a request, which is nothing of an agent's."""
    spans = genai_spans()
    spans[3]["parent_id"] = "0xf0"
    return [*spans, flat_span("POST /chat", "f0", None, 0, {"http.method": "POST"})]


@pytest.mark.parametrize("second", [0, 9])
def test_calls_beside_the_agent_are_not_the_run(second: int, tmp_path: Path) -> None:
    """A router or a guardrail before it, a title after it."""
    title = asked_aside("d1", "f0", second, "Name this: what is the weather?", "Weather")
    score = {"gen_ai.evaluation.name": "Short", "gen_ai.evaluation.score.value": 1}
    title["events"] = [{"name": "gen_ai.evaluation.result", "attributes": score}]
    spans = served()
    del spans[3]["attributes"]["gen_ai.agent.name"]
    read = read_files(write(tmp_path, [title, *spans]))
    (run,) = read.reading.trajectories
    assert (run.prompt, run.steps, run.total_return) == (PROMPT, STEPS, 0.5)
    assert run.origin.policy == "m"
    assert run.info["evaluations"] == {"Right": 0.5, "Short": 1}
    assert read.found["left out"] == {"calls outside of any agent": 1}


def test_what_is_said_of_a_call_beside_the_agent_is_not_said_of_the_run(tmp_path: Path) -> None:
    """A guardrail's score is no return, nor its task the run's."""
    guard = asked_aside("d1", "f0", 0, "Is this harmful? What is the weather?", "No.")
    guard["attributes"] |= {"score": 0.125, "task_id": "guard"}
    spans = served()
    spans[3]["events"] = []
    file = write(tmp_path, [guard, *spans])
    with pytest.raises(InvalidInput, match=r"no reward at attributes\.reward"):
        read_trajectories(file)
    (run,) = read_trajectories(file, reward="attributes.score")
    assert (run.task_id, run.total_return) == ("t1", 0.125)


def test_an_agents_own_words_count_before_calls_beside_it(tmp_path: Path) -> None:
    last, first, tool, root, request = served()
    names = ("gen_ai.input.messages", "gen_ai.output.messages")
    said_at_last = {name: last["attributes"].pop(name) for name in names}
    first["attributes"] = {"gen_ai.operation.name": "chat"}
    spans = [last, first, tool, root, request, asked_aside("d1", "f0", 9, "Name this.", "It")]
    with pytest.raises(InvalidInput, match=r"no call of its model has gen_ai\.output\.messages"):
        read_trajectories(write(tmp_path, spans))
    root["attributes"] |= said_at_last
    assert read_trajectories(write(tmp_path, spans))[0].steps == STEPS


def test_an_agent_that_a_tool_asked_is_not_the_run(tmp_path: Path) -> None:
    """Where the run's own agent has no span: it calls its model in the request's."""
    spans = served()
    spans[3]["attributes"] = {"task_id": "t1"}
    inner = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "searcher"}
    spans.append(flat_span("invoke_agent searcher", "c1", "b3", 3, inner))
    spans.append(asked_aside("c2", "c1", 3, "Search.", "Found."))
    read = read_files(write(tmp_path, spans))
    (run,) = read.reading.trajectories
    assert (run.steps, run.origin.policy) == (STEPS, "m")
    assert read.found["left out"] == {"calls of agents that an agent asked": 1}


def test_a_model_that_a_tool_asked_is_not_the_agents(tmp_path: Path) -> None:
    summary = asked_aside("c1", "b3", 3, "Sum up this page.", "Rain.")
    read = read_files(write(tmp_path, [*genai_spans(), summary]))
    assert read.reading.trajectories[0].steps == STEPS
    assert read.found["left out"] == {"calls that a tool made": 1}


def test_two_conversations_of_which_one_is_outside_are_refused(tmp_path: Path) -> None:
    one = asked_aside("d1", "f0", 1, "Hi.", "Hello.")
    other = asked_aside("d2", "f0", 2, "Hi.", "Hello.", "Go on.", "No.")
    told = r"jsonl:7: goes on with .*jsonl:6, and both are outside of the agents .*; take the spans"
    with pytest.raises(InvalidInput, match=told):
        read_trajectories(write(tmp_path, [*served(), one, other]))
    assert read_trajectories(write(tmp_path, [*served(), other]))[0].steps == STEPS


def test_a_call_whose_parent_is_not_there_has_to_fit_the_run(tmp_path: Path) -> None:
    spans = served()
    spans[0]["parent_id"] = "0xee"
    assert read_trajectories(write(tmp_path, spans))[0].steps == STEPS
    with pytest.raises(InvalidInput, match="is not that of the last call"):
        read_trajectories(write(tmp_path, [*spans, asked_aside("d1", "ee", 0, "Hi.", "Yes.")]))


def test_words_in_log_records_stand_where_their_spans_do(tmp_path: Path) -> None:
    spans = served()
    logs = []
    for span in spans[:2]:
        words = {k: v for k, v in span["attributes"].items() if "messages" in k or "system" in k}
        span["attributes"] = {k: v for k, v in span["attributes"].items() if k not in words}
        logs.append(
            {
                "event_name": "gen_ai.client.inference.operation.details",
                **{name: span["context"][name] for name in ("trace_id", "span_id")},
                "timestamp": span["start_time"],
                "attributes": {"gen_ai.operation.name": "chat"} | words,
            }
        )
    title = asked_aside("d1", "f0", 9, "Name this.", "Weather")
    read = read_files(write(tmp_path, [*spans, *logs, title]))
    assert read.reading.trajectories[0].steps == STEPS
    assert read.found["left out"] == {"calls outside of any agent": 1}


OTHERS = {
    "OpenInference": {
        "openinference.span.kind": "LLM",
        "llm.input_messages.0.message.role": "user",
        "llm.output_messages.0.message.content": "Rain.",
    },
    "OpenLLMetry": {"llm.request.type": "chat", "gen_ai.prompt.0.role": "user"},
    "Vercel": {"ai.operationId": "ai.generateText.doGenerate", "ai.prompt.messages": "[]"},
    "MLflow": {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.spanInputs": "{}"},
}


@pytest.mark.parametrize("name", OTHERS)
def test_calls_by_other_conventions_are_told(name: str, tmp_path: Path) -> None:
    call = flat_span("openai", "e1", "a1", 4, OTHERS[name])
    (trace,) = another([call], "0x77")
    told = rf"trace 77: its calls of models are written by the conventions of {name}"
    with pytest.raises(InvalidInput, match=rf"spans\.jsonl:1: {told}.*leave them out \(on_error"):
        read_trajectories(write(tmp_path, [trace]))
    read = read_files(write(tmp_path, [*genai_spans(), trace]), on_error="skip")
    assert (len(read.reading.trajectories), len(read.skipped)) == (1, 1)
    within = read_files(write(tmp_path, [*genai_spans(), call]))
    assert within.reading.trajectories[0].steps == STEPS
    (left,) = within.found["left out"]
    assert left.startswith(f"calls by the conventions of {name}")


def test_a_trace_without_its_root_says_that_it_is_in_another_file(tmp_path: Path) -> None:
    *spans, root = genai_spans()
    told = (
        r"no reward at .*; the span that holds them \(a1\) is not in this file: where a trace was"
    )
    with pytest.raises(InvalidInput, match=told):
        read_trajectories(write(tmp_path, spans))
    root["events"] = []
    with pytest.raises(InvalidInput, match=r"no reward at [^;]*; [^;]*\)$"):
        read_trajectories(write(tmp_path, [*spans, root]))


def test_spans_that_hold_one_another_end(tmp_path: Path) -> None:
    spans = genai_spans()
    spans[3]["parent_id"] = "0xb1"
    assert read_trajectories(write(tmp_path, spans))[0].steps == STEPS


def test_a_tools_own_span_answers_the_last_call(tmp_path: Path) -> None:
    _, first, tool, root = genai_spans()
    tool["attributes"] |= {"gen_ai.tool.call.id": "c1", "gen_ai.tool.call.result": {"sky": "grey"}}
    (run,) = read_trajectories(write(tmp_path, [first, tool, root]))
    assert run.steps[0].observation == '{"sky": "grey"}'
    assert [call.result for call in run.steps[0].tool_calls] == ['{"sky": "grey"}', None]


def test_a_turn_that_a_limit_ended_is_cut(tmp_path: Path) -> None:
    spans = genai_spans()
    spans[1]["attributes"]["gen_ai.output.messages"][0]["finish_reason"] = "length"
    run = read_trajectories(write(tmp_path, spans))[0]
    assert [step.is_cut for step in run.steps] == [True, False]


def test_a_run_whose_root_failed_says_nothing_of_its_task(tmp_path: Path) -> None:
    spans = genai_spans()
    spans[0]["status"] = {"status_code": "ERROR"}  # a call within it, which was made again
    assert read_trajectories(write(tmp_path, spans))[0].status == "done"
    spans[3]["status"] = {"status_code": "ERROR"}
    spans[3]["attributes"]["error.type"] = "timeout"
    spans[3]["events"] = []
    run = read_trajectories(write(tmp_path, spans))[0]
    assert (run.status, run.origin.error) == ("error", "timeout")


def test_a_score_among_the_attributes_counts_where_nothing_was_evaluated(tmp_path: Path) -> None:
    spans = genai_spans()
    spans[3]["events"] = []
    spans[3]["attributes"]["reward"] = 0.25
    file = write(tmp_path, spans)
    assert read_trajectories(file)[0].total_return == 0.25
    spans[3]["attributes"]["eval.score"] = 0.75
    file = write(tmp_path, spans)
    assert read_trajectories(file, reward="attributes.eval.score")[0].total_return == 0.75


def test_equal_runs_are_written_as_two_traces(tmp_path: Path) -> None:
    run = Trajectory("t", PROMPT, STEPS, 1.0, "truncated")
    write_trajectories(tmp_path / "a.jsonl", [run, run], format="opentelemetry")
    given = read_files(tmp_path / "a.jsonl")
    assert given.reading.trajectories == [run, run]
    with pytest.raises(InvalidInput, match=r"a\.parquet: spans are written as OTLP lines"):
        write_trajectories(tmp_path / "a.parquet", [run], format="opentelemetry")


@given(run=RUNS)
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_any_run_is_read_back_equal_or_refused(run: Trajectory, tmp_path: Path) -> None:
    try:
        write_trajectories(tmp_path / "a.jsonl", [run], format="opentelemetry")
    except InvalidInput as error:
        assert str(error)
        return
    assert read_trajectories(tmp_path / "a.jsonl") == [run]
