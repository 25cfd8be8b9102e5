"""ETO's runs, and TraTree's after it: explored ones, a file each, and the expert's, a list.

    outputs/weak-explore-0/webshop/12.json
        {"meta": {"steps": 1, "reward": 0.5, "finished": true, "success": true,
                  "terminate_reason": "success", "error": null},
         "conversations": [{"from": "human", "value": "You are web shopping. …"},    instruction
                           {"from": "gpt", "value": "OK"},
                           …                                                         one example
                           {"from": "human", "value": "Instruction: Find me …"},     the task
                           {"from": "gpt", "value": "Thought: …\\nAction: search[…]"},
                           {"from": "human", "value": "Observation:\\n…"}]}
    data/webshop_sft.json
        [{"id": "12", "conversations": [instruction, OK, task, turns …], "reward": 1.0}, …]

Source: github.com/Yifan-Song793/ETO at a2fc5da, `eval_agent/utils/datatypes.py` (the record),
`eval_agent/envs` (what is set when) and `construct_preference.py` (which runs are of one task).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.formats.conversation import Said, read_conversation, run_of
from w2stree.formats.file_name import name_of_file
from w2stree.formats.format import Format
from w2stree.formats.human_gpt import parts_of, turns_of
from w2stree.formats.left_over import FIELD, of_info, restored, with_left_over
from w2stree.formats.messages import by_number, of_system, system_before
from w2stree.formats.reader import Reader, Record, beside
from w2stree.trajectories import fields
from w2stree.trajectories.answers import roles_heard
from w2stree.trajectories.origin import UNKNOWN, Origin
from w2stree.trajectories.trajectory import Message, Status, Trajectory, refuse_wordless

_META = ("steps", "reward", "finished", "success", "terminate_reason", "error")
_ENOUGH = 3  # of them: what is missing or wrong is then told
_OK = "OK"
_AFTER_OK = 3  # instruction, OK, task
_CUT = ("max_steps", "exceeding maximum input length")


def recognises(record: Any) -> bool:
    if not isinstance(record, Mapping):
        return False
    given = turns_of(record.get("conversations"))
    return _is_explored(record) or (given is not None and _is_opened_by_ok(given))


def runs(record: Record, where: str, reader: Reader) -> Iterator[Trajectory]:
    given = fields.array(record.get("conversations"), f"{where}: conversations")
    parts = parts_of(given, f"{where}: conversations")
    meta = _meta(record, where)
    system = system_before(parts, record, where)
    num_prompt = _num_prompt([said for said, _ in parts], meta, where, reader)
    if num_prompt is not None:
        num_prompt += len(system)
    parts = [*system, *parts]
    said = [one for one, _ in parts]
    conversation = read_conversation(said, where, reader, num_prompt=num_prompt)
    status, origin = _ending(record, meta, reader)
    reward = reader.reward(record, where, ("meta.reward", "reward"), status=status)
    task_id = _task_id(record, meta, where, reader, conversation.prompt)
    read = ("conversations", "meta", *of_system(record), FIELD)
    info = beside(record, read, {"id": task_id, "reward": reward})
    known = {"steps": len(conversation.steps), "reward": reward}
    kept = {k: v for k, v in beside(meta, (), known).items() if v is not None}
    run = run_of(
        conversation,
        where,
        task_id=task_id,
        total_return=reward,
        status=status,
        origin=origin,
        info=info | by_number(parts) | ({"meta": kept} if kept else {}),
    )
    yield restored(run, record.get(FIELD), where, reader)


def record_of(trajectory: Trajectory) -> Record:
    where = f"task {fields.shown(trajectory.task_id)}"
    _refuse_other_roles(trajectory, where)
    refuse_wordless(trajectory.steps, where)
    said = [Said(message.role, message.content) for message in trajectory.prompt]
    for step in trajectory.steps:  # each turn has one answer there, were it empty
        said += (Said("assistant", step.response), Said("user", step.observation))
    record: dict[str, Any] = {
        **of_info(trajectory),
        "id": trajectory.task_id,
        "meta": _meta_of(trajectory),
        "conversations": [
            {"from": "gpt" if m.role == "assistant" else "human", "value": m.text} for m in said
        ],
    }
    return with_left_over(record, trajectory, runs)


def _is_explored(record: Mapping[str, Any]) -> bool:
    meta = record.get("meta")
    return (
        isinstance(meta, Mapping)
        and len(meta.keys() & set(_META)) >= _ENOUGH
        and "conversations" in record
    )


def _is_opened_by_ok(given: Sequence[Mapping[str, Any]]) -> bool:
    """And without the flags of AgentGym's, whose runs begin so too."""
    return (
        len(given) >= _AFTER_OK
        and [m.get("from") for m in given[:_AFTER_OK]] == ["human", "gpt", "human"]
        and given[1].get("value") == _OK
        and not any("loss" in m for m in given)
    )


def _meta(record: Record, where: str) -> Mapping[str, Any]:
    meta = record.get("meta")
    return {} if meta is None else fields.mapping(meta, f"{where}: meta")


def _num_prompt(
    said: Sequence[Said], meta: Mapping[str, Any], where: str, reader: Reader
) -> int | None:
    """Every step of ETO's adds two messages, and whatever ends the run adds none."""
    if not meta:
        return min(_AFTER_OK, len(said))
    if reader.choices.prompt is not None:
        return None
    steps = meta.get("steps")
    if not isinstance(steps, int) or isinstance(steps, bool):
        raise InvalidInput(
            f"{where}: meta.steps is {fields.shown(steps)}, which says where the prompt ends; "
            "choose how many messages are the task's (prompt=, --prompt)"
        )
    end = len(said) - 2 * steps
    if steps < 0 or end < 1 or (end < len(said) and said[end].role != "assistant"):
        raise InvalidInput(
            f"{where}: meta.steps is {steps}, and its {len(said)} messages do not end with as many "
            "turns and answers; choose how many messages are the task's (prompt=, --prompt)"
        )
    return end


def _ending(record: Record, meta: Mapping[str, Any], reader: Reader) -> tuple[Status, Origin]:
    if not meta:
        return reader.ending(record, "")
    reason = meta.get("terminate_reason")
    said = reason if isinstance(reason, str) else ""
    if meta.get("reward") is None and reader.choices.reward is None:
        reader.note("status", "error, for nothing was rewarded")
        return "error", Origin(error=said or "nothing was rewarded")
    if said in _CUT or meta.get("finished") is False:
        reader.note("status", "truncated, by meta.terminate_reason")
        return "truncated", UNKNOWN if said == "max_steps" else Origin(truncated_by=said or None)
    reader.note("status", "done, by meta.terminate_reason")
    return "done", UNKNOWN


def _task_id(
    record: Record,
    meta: Mapping[str, Any],
    where: str,
    reader: Reader,
    opening: Sequence[Message],
) -> str:
    """ETO tells ALFWorld's tasks by the game's folder, which an explored run has as its error."""
    if reader.choices.task is not None:
        return reader.task_id(record, where, (), opening)
    game = "meta.error" if meta else "game_file"
    named = {
        **({"id": record.get("id")} if meta else {}),
        game: _game(meta.get("error") if meta else record.get("game_file")),
        "id": record.get("id"),
        "the file's name": name_of_file(where, ".json"),
    }
    return reader.task_id(named, where, tuple(named), opening)


def _game(path: Any) -> str | None:
    """`…/<game>` of the expert's, `…/<game>/game.tw-pddl` of an explored run."""
    if not isinstance(path, str) or "/" not in path:
        return None
    *_, folder, name = path.split("/")
    return folder if name.startswith("game.") else name


def _refuse_other_roles(trajectory: Trajectory, where: str) -> None:
    roles = [message.role for message in trajectory.prompt]
    if roles != ["user", "assistant"] * (len(roles) // 2) + ["user"]:
        raise InvalidInput(
            f"{where}: its prompt is of {', '.join(roles) or 'no messages'}; ETO's begins and ends "
            "with the user, in turn with the assistant: write chat messages (messages)"
        )
    if any(step.tool_calls for step in trajectory.steps):
        raise InvalidInput(
            f"{where}: it has tool calls, which have no place there: write chat messages (messages)"
        )
    if "system" in roles_heard(trajectory):
        raise InvalidInput(
            f"{where}: the system speaks between two turns, which has no place there: write chat "
            "messages (messages)"
        )


def _meta_of(trajectory: Trajectory) -> dict[str, Any]:
    known = trajectory.info.get("meta")
    kept = dict(known) if isinstance(known, Mapping) else {}
    reason = {
        "done": "success",
        "truncated": trajectory.origin.truncated_by or "max_steps",
        "error": trajectory.origin.error,
    }[trajectory.status]
    made = {
        "finished": True,
        "success": trajectory.status == "done",
        "terminate_reason": reason,
        "error": None,
    }
    reward = None if trajectory.status == "error" else trajectory.total_return
    return made | kept | {"steps": len(trajectory.steps), "reward": reward}


FORMAT = Format(
    name="eto",
    title="ETO's and TraTree's runs",
    recognises=recognises,
    runs=runs,
    record_of=record_of,
    within=("sharegpt",),
)
