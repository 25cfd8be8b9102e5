"""One run as other tools write it, field by field from their published schemas.

system     You help.
user       What is the weather in Oslo?
assistant  I look.  (thinking: Oslo is in Norway.)   weather {"city": "Oslo"}   clock {}
tool       Rain.    Noon.
assistant  It rains at noon.                                                    reward 0.5
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.foreign_run import ANSWER, NOON, RAIN, REWARD, SAID, SYSTEM, TASK, THOUGHT
from support.genai_spans import genai_spans, otlp_export


def atif_document() -> dict[str, Any]:
    """`Trajectory` of atif 1.8.0."""
    calls = [
        {"tool_call_id": "c1", "function_name": "weather", "arguments": {"city": "Oslo"}},
        {"tool_call_id": "c2", "function_name": "clock", "arguments": {}, "extra": {"retry": 1}},
    ]
    results = [
        {"source_call_id": "c1", "content": RAIN},
        {"source_call_id": "c2", "content": [{"type": "text", "text": NOON}]},
    ]
    return {
        "schema_version": "ATIF-v1.8",
        "session_id": "s1",
        "trajectory_id": "r1",
        "agent": {"name": "helper", "version": "1.0", "model_name": "m", "extra": {"k": 1}},
        "steps": [
            {"step_id": 1, "source": "system", "message": SYSTEM},
            {"step_id": 2, "source": "user", "message": [{"type": "text", "text": TASK}]},
            {
                "step_id": 3,
                "timestamp": "2026-01-02T03:04:05Z",
                "source": "agent",
                "model_name": "m",
                "reasoning_effort": "low",
                "message": SAID,
                "reasoning_content": THOUGHT,
                "tool_calls": calls,
                "observation": {"results": results},
                "metrics": {
                    "prompt_tokens": 9,
                    "completion_tokens": 2,
                    "completion_token_ids": [5, 7],
                    "logprobs": [-0.5, -0.25],
                },
                "llm_call_count": 1,
            },
            {"step_id": 4, "source": "agent", "message": ANSWER},
        ],
        "notes": "none",
        "final_metrics": {"total_steps": 4, "total_cost_usd": 0.01},
        "extra": {"task_id": "t1", "reward": REWARD},
    }


def responses_request() -> dict[str, Any]:
    """`ResponseInputItem` and `ResponseOutputItem` of openai 3.57.0."""
    summary = [{"type": "summary_text", "text": THOUGHT}]
    text = {"type": "output_text", "text": SAID, "annotations": []}
    answer = {"type": "output_text", "text": ANSWER, "annotations": []}
    shared = {"type": "message", "role": "assistant", "status": "completed"}
    return {
        "task_id": "t1",
        "reward": REWARD,
        "model": "m",
        "instructions": SYSTEM,
        "previous_response_id": None,
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": TASK}]},
            {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "x"},
            {**shared, "id": "msg_1", "content": [text]},
            {
                "type": "function_call",
                "id": "fc_1",
                "call_id": "c1",
                "name": "weather",
                "arguments": '{"city":"Oslo"}',
                "status": "completed",
            },
            {"type": "function_call", "call_id": "c2", "name": "clock", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": RAIN},
            {
                "type": "function_call_output",
                "call_id": "c2",
                "output": [{"type": "input_text", "text": NOON}],
            },
        ],
        "output": [{**shared, "id": "msg_2", "content": [answer]}],
    }


def verifiers_rollout() -> dict[str, Any]:
    """`RolloutOutput` of verifiers 0.1.14, its calls as `sanitize_tool_calls` leaves them."""
    calls = [
        json.dumps({"id": "c1", "name": "weather", "arguments": '{"city": "Oslo"}'}),
        json.dumps({"id": "c2", "name": "clock", "arguments": "{}"}),
    ]
    return {
        "example_id": 7,
        "prompt": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": TASK}],
        "completion": [
            {
                "role": "assistant",
                "content": SAID,
                "tool_calls": calls,
                "reasoning_content": THOUGHT,
            },
            {"role": "tool", "tool_call_id": "c1", "content": RAIN},
            {"role": "tool", "tool_call_id": "c2", "content": NOON},
            {"role": "assistant", "content": ANSWER},
        ],
        "reward": REWARD,
        "answer": "rain",
        "info": {"kind": "easy"},
        "error": None,
        "timing": {"total_ms": 3.0},
        "is_completed": True,
        "is_truncated": False,
        "stop_condition": "no_tools_called",
        "metrics": {"exact": 0.5},
        "exact": 0.5,
        "tool_defs": [],
    }


def verifiers_episode() -> dict[str, Any]:
    """`Episode` of verifiers 0.4.0, as `write_episode` leaves it (no nulls)."""
    calls = [
        {"id": "c1", "type": "function", "name": "weather", "arguments": '{"city": "Oslo"}'},
        {"id": "c2", "type": "function", "name": "clock", "arguments": "{}"},
    ]
    turn = {
        "role": "assistant",
        "content": SAID,
        "reasoning_content": THOUGHT,
        "tool_calls": calls,
    }
    nodes = [
        {"message": {"role": "system", "content": SYSTEM}, "token_ids": [1], "mask": [False]},
        {"parent": 0, "message": {"role": "user", "content": TASK}},
        {
            "parent": 1,
            "message": turn,
            "sampled": True,
            "timestamp": 1.5,
            "token_ids": [3, 5, 7],
            "mask": [False, True, True],
            "logprobs": [-0.5, -0.25],
        },
        {"parent": 1, "message": {"role": "assistant", "content": "Hm."}, "sampled": True},
        {"parent": 2, "message": {"role": "tool", "tool_call_id": "c1", "content": RAIN}},
        {"parent": 4, "message": {"role": "tool", "tool_call_id": "c2", "content": NOON}},
        {"parent": 5, "message": {"role": "assistant", "content": ANSWER}, "sampled": True},
    ]
    task = {"type": "Weather", "data": {"idx": 7, "prompt": TASK}, "key": "3f2a"}
    agent = {"config": {}, "name": "agent", "trainable": True}
    rewards = {"right": {"score": 0.25, "weight": 2.0}, "style": {"score": 1.0, "weight": 0.0}}
    trace = {
        "version": 1,
        "id": "tr1",
        "task": task,
        "agent": agent,
        "nodes": nodes,
        "rewards": rewards,
        "metrics": {"turns": 2.0},
        "is_completed": True,
        "ok": True,
        "stop_condition": "agent_completed",
        "errors": [],
    }
    judge = trace | {"agent": {"config": {}, "name": "judge", "trainable": False}, "nodes": []}
    return {
        "id": "e1",
        "env": {"id": "weather"},
        "task": task,
        "ok": True,
        "errors": [],
        "traces": [trace, judge],
    }


def inspect_header() -> dict[str, Any]:
    """`EvalLog` of inspect_ai 0.3.285 without its samples."""
    evaluation = {
        "created": "2026-01-02T03:04:05+00:00",
        "task": "weather",
        "model": "openai/m",
        "run_id": "r1",
        "dataset": {"name": "d", "samples": 1},
        "config": {"epochs": 1},
    }
    plan = {"name": "plan", "steps": [{"solver": "generate", "params": {}}], "config": {}}
    return {"version": 2, "status": "success", "eval": evaluation, "plan": plan}


def inspect_sample() -> dict[str, Any]:
    """`EvalSample` of inspect_ai 0.3.285; its longest text stands among the attachments."""
    calls = [
        {"id": "c1", "function": "weather", "arguments": {"city": "Oslo"}, "type": "function"},
        {"id": "c2", "function": "clock", "arguments": {}, "view": {"format": "text"}},
    ]
    content = [
        {"type": "reasoning", "reasoning": THOUGHT, "signature": "s", "redacted": False},
        {"type": "text", "text": SAID},
    ]
    return {
        "id": 7,
        "epoch": 1,
        "input": TASK,
        "target": "rain",
        "messages": [
            {"id": "m1", "role": "system", "content": SYSTEM},
            {"id": "m2", "role": "user", "content": "attachment://0a1b", "source": "input"},
            {
                "id": "m3",
                "role": "assistant",
                "content": content,
                "source": "generate",
                "tool_calls": calls,
                "model": "m",
            },
            {
                "id": "m4",
                "role": "tool",
                "content": RAIN,
                "tool_call_id": "c1",
                "function": "weather",
            },
            {
                "id": "m5",
                "role": "tool",
                "content": "",
                "tool_call_id": "c2",
                "function": "clock",
                "error": {"type": "timeout", "message": NOON},
            },
            {"id": "m6", "role": "assistant", "content": ANSWER, "source": "generate"},
        ],
        "output": {"model": "m", "choices": [], "completion": ANSWER},
        "scores": {"match": {"value": "P", "answer": "rain", "history": []}},
        "metadata": {"level": 1},
        "store": {},
        "events": [{"event": "info", "data": 1}],
        "model_usage": {"m": {"input_tokens": 9, "output_tokens": 2}},
        "total_time": 1.5,
        "uuid": "u1",
        "attachments": {"0a1b": TASK},
        "limit": None,
        "error": None,
    }


@dataclass(frozen=True, slots=True)
class Written:
    """`make` is what one file of the tool holds; `task_id` and `has_ids` what is read of it."""

    format: str
    make: Callable[[], Any]
    task_id: str
    suffix: str
    has_ids: bool = False

    def write(self, folder: Path, value: Any = None) -> Path:
        given = self.make() if value is None else value
        file = folder / f"{self.format}{self.suffix}"
        if self.suffix == ".eval":
            with zipfile.ZipFile(file, "w") as packed:
                for name, member in given.items():
                    packed.writestr(name, json.dumps(member))
        else:
            lines = given if isinstance(given, list) else [given]
            file.write_text("".join(json.dumps(one) + "\n" for one in lines), encoding="utf-8")
        return file


def eval_file() -> dict[str, Any]:
    return {
        "_journal/start.json": {k: v for k, v in inspect_header().items() if k != "status"},
        "_journal/summaries/1.json": [{"id": 7, "epoch": 1}],
        "samples/7_epoch_1.json": inspect_sample(),
        "summaries.json": [{"id": 7, "epoch": 1}],
        "reductions.json": [],
        "header.json": inspect_header(),
    }


WRITTEN = [
    Written("atif", atif_document, "t1", ".json", has_ids=True),
    Written("responses", responses_request, "t1", ".jsonl"),
    Written("verifiers", verifiers_rollout, "7", ".jsonl"),
    Written("verifiers", verifiers_episode, "weather/7", ".traces.jsonl", has_ids=True),
    Written("inspect", eval_file, "weather/7", ".eval"),
    Written(
        "inspect", lambda: inspect_header() | {"samples": [inspect_sample()]}, "weather/7", ".json"
    ),
    Written("opentelemetry", genai_spans, "t1", ".jsonl"),
    Written("opentelemetry", otlp_export, "t1", ".otlp.jsonl"),
]
