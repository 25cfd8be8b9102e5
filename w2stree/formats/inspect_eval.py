"""Logs of Inspect AI: `.eval`, a zip of JSON, or one `.json`; a sample is a run.

    log.eval   header.json                 {"version": 2, "status": "success", "eval": {…}, …}
               samples/7_epoch_1.json      {"id": 7, "epoch": 1, "input": …, "target": "…",
                 "messages": [{"role": "user", "content": "What is the weather in Oslo?"},
                   {"role": "assistant", "source": "generate", "content": [
                      {"type": "reasoning", "reasoning": "…"}, {"type": "text", "text": "…"}],
                    "tool_calls": [{"id": "c1", "function": "weather",
                                    "arguments": {"city": "Oslo"}, "type": "function"}]},
                   {"role": "tool", "tool_call_id": "c1", "content": "Rain."}, …],
                 "scores": {"match": {"value": "C"}}, "limit": null, "error": null, …}
    log.json   the header with "samples": […]

Source: `inspect_ai` 0.3.285, log format version 2 (log/_log.py, log/_recorders/eval.py,
model/_chat_message.py, tool/_tool_call.py, scorer/_metric.py).
"""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.formats.call_ids import with_call_ids
from w2stree.formats.conversation import messages_of, read_conversation
from w2stree.formats.format import Format, Located
from w2stree.formats.inspect_messages import plain, said_of, unread_of, written
from w2stree.formats.inspect_scores import scored
from w2stree.formats.left_over import FIELD, left_over, restored
from w2stree.formats.placed import placed
from w2stree.formats.reader import Reader, Record, at
from w2stree.formats.tool_calls import refuse_broken
from w2stree.shorten import shorten, visible
from w2stree.trajectories import fields
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.replacing import replacing
from w2stree.trajectories.trajectory import Status, Step, Trajectory

UNREAD = "messages"
"""In `info`: by a message's number, from 0, what it has beside what is read."""

_LEFT_OUT = ("events", "events_data", "attachments", "timelines", "output")
"""The log of every call, and what it refers to; `output` is the last message once more."""

_OTHER_MEMBERS = ("header.json", "summaries.json", "reductions.json", "_journal/")
_OF_EVAL = ("task", "task_id", "task_version", "model", "run_id", "eval_id", "created")
_SCORE = ("scores.NAME.value",)  # where it would be, of a sample without one
_ATTACHMENT = "attachment://"
_SHOWN_COLUMNS = 100
_NAME_LENGTH = 100
_NO_FOLDERS = frozenset({"", ".", ".."})  # parts of a path
_TURN_LIMITS = ("message", "turn")  # of steps; another is told in the origin
_CUT = ("max_tokens", "model_length")
_LIMITS = {"length": "token", "context": "context"}
_EVAL = {
    "created": "1970-01-01T00:00:00+00:00",
    "task": "w2stree",
    "model": "unknown",
    "dataset": {},
    "config": {},
}
_MOMENT = (1980, 1, 1, 0, 0, 0)  # of every member, so that equal runs are equal files


def recognises(record: Any) -> bool:
    """A log or its header, or, gathered, a sample with its header."""
    if not isinstance(record, Mapping) or not isinstance(record.get("eval"), Mapping):
        return False
    return isinstance(record.get("sample"), Mapping) or {"version", "plan"} <= set(record)


def gather(records: Iterable[Located]) -> Iterator[Located]:
    """Each sample with the header of its log; a log without samples as it is."""
    log: Record = {}
    place, num_samples = "", 0
    for where, record in records:
        if recognises(record):
            log, place = (record, where) if not log else (log, place)
            given = record.get("samples")
            for i, sample in enumerate(given if isinstance(given, list | tuple) else ()):
                num_samples += 1
                yield f"{where}: samples[{i}]", _gathered(log, sample)
        elif ": samples/" in where and log:
            num_samples += 1
            yield where, _gathered(log, record)
        elif not any(f": {name}" in where for name in _OTHER_MEMBERS):
            yield where, record
    if log and not num_samples:
        yield place, log


def runs(record: Record, where: str, reader: Reader) -> Iterator[Trajectory]:
    with placed(where):
        if "sample" not in record:
            raise InvalidInput(
                "the log has no samples: it was written without them, or is not done"
            )
        sample = _resolved(record["sample"], record["sample"].get("attachments"))
        read = _run(record, sample, where, reader)
        yield restored(read, at(sample, f"metadata.{FIELD}"), where, reader)


def write(path: Path, trajectories: Iterable[Trajectory]) -> None:
    """A log that Inspect reads: one evaluation, a sample a run, an epoch an attempt at its task.

    Raises `InvalidInput` for another suffix than `.eval`, and for a run that cannot be written.
    """
    if path.suffix.lower() != ".eval":
        raise InvalidInput(f"{visible(str(path))}: logs of Inspect are written as .eval")
    epochs: Counter[str] = Counter()
    with replacing(path, "wb") as opened, zipfile.ZipFile(opened, "w") as packed:
        for trajectory in trajectories:
            epochs[trajectory.task_id] += 1
            sample = sample_of(trajectory, epochs[trajectory.task_id])
            _add(
                packed,
                f"samples/{_name(sample['id'], epochs.total())}_epoch_{sample['epoch']}.json",
                sample,
            )
        total = epochs.total()
        results = {"total_samples": total, "completed_samples": total, "scores": []}
        evaluation = {
            **_EVAL,
            # Without these read_eval_log_samples refuses the log.
            "dataset": {"samples": len(epochs), "sample_ids": list(epochs)},
            "config": {"epochs": max(epochs.values(), default=1)},
        }
        header = {"version": 2, "status": "success", "eval": evaluation, "plan": _PLAN}
        _add(packed, "_journal/start.json", {k: header[k] for k in ("version", "eval", "plan")})
        _add(packed, "header.json", header | {"results": results, "stats": {}})


_PLAN = {"name": "plan", "steps": [], "config": {}}


def sample_of(trajectory: Trajectory, epoch: int = 1) -> Record:
    """A sample that `runs` reads back equal, beside the header that `write` writes."""
    refuse_broken(trajectory, "Inspect")
    beside, own = (_object(trajectory.info.get(name)) for name in (UNREAD, "sample"))
    said = with_call_ids(messages_of(trajectory))
    messages = [written(m, i, beside, len(trajectory.prompt)) for i, m in enumerate(said)]
    metadata = {k: v for k, v in _object(own.get("metadata")).items() if k != FIELD}
    sample: dict[str, Any] = {
        "target": "",
        **own,
        "id": trajectory.task_id,
        "epoch": epoch,
        "input": messages[: len(trajectory.prompt)],
        "messages": messages,
        "scores": {"reward": {"value": trajectory.total_return}},
        "metadata": metadata,
    }
    if trajectory.status == "error" and not sample.get("error"):
        told = trajectory.origin.error or "unknown"
        sample["error"] = {"message": told, "traceback": "", "traceback_ansi": ""}
    if trajectory.status == "truncated" and not sample.get("limit"):
        kind = trajectory.origin.truncated_by
        sample["limit"] = {
            "type": _LIMITS.get(kind or "", "custom" if kind else "turn"),
            "limit": 0,
        }
    read = next(iter(runs({"eval": _EVAL, "sample": sample}, trajectory.task_id, Reader())))
    left = left_over(trajectory, read)
    if left is not None:
        sample["metadata"] = metadata | {FIELD: left}
    return sample


def _name(task_id: str, number: int) -> str:
    """As Inspect names a sample; with its number where the id does not fit a file's name, or leads
    out of the folder that a log is unpacked to ("../../x", "/x")."""
    shown = visible(task_id)[:_NAME_LENGTH]
    leads_away = not _NO_FOLDERS.isdisjoint(task_id.replace("\\", "/").split("/"))
    if shown == task_id and not leads_away:
        return task_id
    return f"{number}_{shown}".replace("/", "_").replace("\\", "_")


def _object(value: Any) -> Record:
    return value if isinstance(value, Mapping) else {}


def _add(packed: zipfile.ZipFile, name: str, value: Any) -> None:
    member = zipfile.ZipInfo(name, _MOMENT)
    member.compress_type = zipfile.ZIP_DEFLATED
    packed.writestr(member, json.dumps(value, allow_nan=False))


def _gathered(log: Record, sample: Any) -> Record:
    return {"eval": log.get("eval", {}), "sample": sample}


def _run(record: Record, sample: Record, where: str, reader: Reader) -> Trajectory:
    given = fields.array(sample.get("messages"), f"{where}: messages")
    messages = [fields.mapping(m, f"{where}: messages[{i}]") for i, m in enumerate(given)]
    said = [said_of(m, f"{where}: messages[{i}]") for i, m in enumerate(messages)]
    conversation = read_conversation(said, where, reader, num_prompt=_num_prompt(messages))
    status, origin = _ending(sample, reader)
    beside = {str(i): rest for i, m in enumerate(messages) if (rest := unread_of(m))}
    _note_left_out(sample, reader)
    return Trajectory(
        _task_id(record, sample, where, reader, conversation.prompt),
        conversation.prompt,
        _with_cut(conversation.steps, messages, sample),
        _reward(sample, where, reader, status),
        status,
        replace(origin, policy=_policy(record["eval"])),
        conversation.with_heard(
            _info(record, sample) | ({UNREAD: beside} if beside else {}), where
        ),
    )


def _num_prompt(messages: Sequence[Record]) -> int | None:
    """How many stand before the first that the model generated, where the log says which those
    are: turns of examples are the prompt's."""
    for i, message in enumerate(messages):
        if message.get("role") == "assistant" and message.get("source") == "generate":
            return i
    return None


def _with_cut(
    steps: tuple[Step, ...], messages: Sequence[Record], sample: Record
) -> tuple[Step, ...]:
    """The last turn hit a limit of its length, where it is what `output` was and that says so."""
    choices = _object(sample.get("output")).get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    was_cut = _object(first).get("stop_reason") in _CUT
    if not (was_cut and steps and messages[-1].get("role") == "assistant"):
        return steps
    return (*steps[:-1], replace(steps[-1], is_cut=True))


def _ending(sample: Record, reader: Reader) -> tuple[Status, Origin]:
    failed, limit = sample.get("error"), sample.get("limit")
    if failed is not None:
        reader.note("status", "error, by the field error")
        told = failed.get("message") if isinstance(failed, Mapping) else failed
        return "error", Origin(error=shorten(visible(str(told)), _SHOWN_COLUMNS))
    if limit is not None:
        reader.note("status", "truncated, by the field limit")
        kind = limit.get("type") if isinstance(limit, Mapping) else limit
        cut_by = None if kind in _TURN_LIMITS else shorten(visible(str(kind)), _SHOWN_COLUMNS)
        return "truncated", Origin(truncated_by=cut_by)
    reader.note("status", "done")
    return "done", Origin()


def _reward(sample: Record, where: str, reader: Reader, status: Status) -> float:
    """The one score's value, as a number; of several that scored the chosen one."""
    given = sample.get("scores")
    scores = {str(k): scored(v) for k, v in _object(given).items()}
    named = [f"scores.{k}.value" for k, v in scores.items() if _object(v).get("value") is not None]
    if reader.choices.reward is None and len(named) > 1:
        raise InvalidInput(
            f"{where}: {len(named)} scores: choose one (reward=, --reward-field): "
            f"{', '.join(map(visible, named))}"
        )
    if scores and not named and reader.choices.reward is None and status != "error":
        raise InvalidInput(
            f"{where}: not scored: NaN or null at {', '.join(map(visible, scores))}; leave it out "
            "(on_error=skip, --on-error skip), or say where its return is (reward=, --reward-field)"
        )
    return reader.reward({**sample, "scores": scores}, where, named or _SCORE, status=status)


def _task_id(record: Record, sample: Record, where: str, reader: Reader, opening: Any) -> str:
    """The sample's, of its task: samples of two tasks have the same numbers."""
    task_id = reader.task_id(sample, where, ("id",), opening)
    task = record["eval"].get("task")
    if reader.choices.task is None and isinstance(task, str) and task:
        return f"{task}/{task_id}"
    return task_id


def _policy(evaluation: Record) -> str | None:
    model = evaluation.get("model")
    return model if isinstance(model, str) else None


def _note_left_out(sample: Record, reader: Reader) -> None:
    for name in _LEFT_OUT:
        if sample.get(name):
            reader.note("left out", f"the sample's {name}")


def _info(record: Record, sample: Record) -> dict[str, Any]:
    skipped = (*_LEFT_OUT, "messages")
    kept = {k: plain(v) for k, v in sample.items() if k not in skipped and v is not None}
    if isinstance(kept.get("metadata"), dict):
        kept["metadata"].pop(FIELD, None)
    said = {k: record["eval"][k] for k in _OF_EVAL if record["eval"].get(k) is not None}
    return {"eval": plain(said), "sample": kept}


def _resolved(value: Any, attachments: Any) -> Any:
    """With the long texts that the log keeps once, in their places."""
    if not isinstance(attachments, Mapping) or not attachments:
        return value
    if isinstance(value, str) and value.startswith(_ATTACHMENT):
        return attachments.get(value.removeprefix(_ATTACHMENT), value)
    if isinstance(value, Mapping):
        return {k: v if k in _LEFT_OUT else _resolved(v, attachments) for k, v in value.items()}
    return [_resolved(v, attachments) for v in value] if isinstance(value, list | tuple) else value


FORMAT = Format(
    name="inspect",
    title="logs of Inspect AI",
    recognises=recognises,
    gather=gather,
    runs=runs,
    write=write,
    suffixes=(".eval",),
    writes_nan=True,
)
