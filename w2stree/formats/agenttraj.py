"""AgentGym's AgentTraj, and what its own inference writes.

    {"item_id": "webshop_6", "reward": 1.0, "success": 1, "conversations": [
      {"from": "human", "loss": null, "value": "You are web shopping. …"},     ┐
      {"from": "gpt", "loss": false, "value": "Ok."},                          │ prompt
      {"from": "human", "loss": null, "value": "WebShop [SEP] …"},             ┘
      {"from": "gpt", "loss": true, "value": "Thought:\\n…"},                  a step: to be learned
      {"from": "human", "loss": null, "value": "…"},
      {"from": "gpt", "loss": false, "value": "…"}, …]}                        a step: only read

Source: github.com/WooooDyy/AgentGym at 3ef9235, README, `controller/types.py` (the message),
`controller/task.py` (who says what) and `trainer/agentevol_trainer.py` (reward and success). The
trajectory set itself, AgentGym/AgentTraj-L, has no reward.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.formats.conversation import messages_of, read_conversation, run_of
from w2stree.formats.format import Format
from w2stree.formats.human_gpt import parts_of, turns_of
from w2stree.formats.human_gpt import record_of as message_record
from w2stree.formats.left_over import FIELD, of_info, restored, with_left_over
from w2stree.formats.messages import by_number, of_system, system_before
from w2stree.formats.reader import Reader, Record, beside
from w2stree.trajectories import fields
from w2stree.trajectories.answers import roles_heard
from w2stree.trajectories.trajectory import Trajectory

LEARNED = "learned_turns"
"""In `info`: of each step whether it is to be learned, where not all of them are."""


def learned_turns(trajectories: Iterable[Trajectory]) -> list[list[bool]] | None:
    """Of each trajectory's steps whether they are to be learned: what `tokenize_sft(learned=)`
    and `train_sft(learned=)` take; None where all of them are. Raises `InvalidInput` for flags of
    another number of steps."""
    flags = []
    for i, trajectory in enumerate(trajectories):
        given = trajectory.info.get(LEARNED)
        own = _flags(trajectory)
        if given is not None and own is None:
            raise InvalidInput(
                f"trajectories[{i}]: info[{LEARNED!r}] is no array of {len(trajectory.steps)} "
                "truths, one for each step"
            )
        flags.append([True] * len(trajectory.steps) if own is None else own)
    return None if all(map(all, flags)) else flags


def recognises(record: Any) -> bool:
    if not isinstance(record, Mapping) or "conversations" not in record:
        return False
    given = turns_of(record["conversations"])
    has_flags = bool(given) and any("loss" in message for message in given or ())
    return "item_id" in record or has_flags


def runs(record: Record, where: str, reader: Reader) -> Iterator[Trajectory]:
    if record.get("conversations") is None:
        raise InvalidInput(
            f"{where}: conversations is null: a task of AgentEval, which nobody has played; give "
            "runs of it"
        )
    given = fields.array(record["conversations"], f"{where}: conversations")
    parts = parts_of(given, f"{where}: conversations")
    loss = [_loss(message, f"{where}: conversations[{i}]") for i, message in enumerate(given)]
    system = system_before(parts, record, where)
    parts, loss = [*system, *parts], [False] * len(system) + loss
    said = [one for one, _ in parts]
    num_prompt = None if reader.choices.prompt is not None else _num_prompt(loss, where)
    conversation = read_conversation(said, where, reader, num_prompt=num_prompt)
    begin = len(conversation.prompt)
    flags = [loss[i] for i in range(begin, len(said)) if said[i].role == "assistant"]
    status, origin = reader.ending(record, where)
    reward = reader.reward(record, where, ("reward", "success"), status=status)
    task_id = reader.task_id(record, where, ("item_id",), conversation.prompt)
    known = {"item_id": task_id, "reward": reward, "success": float(reward == 1)}
    info = beside(record, ("conversations", *of_system(record), FIELD), known)
    read = run_of(
        conversation,
        where,
        task_id=task_id,
        total_return=reward,
        status=status,
        origin=origin,
        info=info | by_number(parts) | ({} if all(flags) else {LEARNED: flags}),
    )
    yield restored(read, record.get(FIELD), where, reader)


def record_of(trajectory: Trajectory) -> Record:
    where = f"task {fields.shown(trajectory.task_id)}"
    _refuse_what_has_no_place(trajectory, where)
    flags = iter(_flags(trajectory) or [True] * len(trajectory.steps))
    conversations: list[dict[str, Any]] = []
    for i, said in enumerate(messages_of(trajectory)):
        is_turn = said.role == "assistant"
        loss = (i >= len(trajectory.prompt) and next(flags)) if is_turn else None
        conversations.append(message_record(said) | {"loss": loss})
    record = {
        **of_info(trajectory, LEARNED),
        "item_id": trajectory.task_id,
        "conversations": conversations,
        "reward": trajectory.total_return,
        "success": int(trajectory.total_return == 1),
    }
    return with_left_over(record, trajectory, runs)


def _loss(message: Any, where: str) -> bool:
    flag = fields.mapping(message, where).get("loss")
    if flag is not None and not isinstance(flag, bool):
        raise InvalidInput(f"{where}: loss is {fields.shown(flag)}; expected true, false or null")
    if flag and message.get("from") != "gpt":
        raise InvalidInput(
            f"{where} is from {fields.shown(message.get('from'))} and its loss is true: only what "
            "gpt says is the agent's; set it to null"
        )
    return bool(flag)


def _num_prompt(loss: Sequence[bool], where: str) -> int:
    if True in loss:
        return loss.index(True)
    raise InvalidInput(
        f"{where}: no turn of gpt's has a loss that is true, so none is the agent's; choose how "
        "many messages are the task's (prompt=, --prompt)"
    )


def _flags(trajectory: Trajectory) -> list[bool] | None:
    given = trajectory.info.get(LEARNED)
    if not isinstance(given, list) or len(given) != len(trajectory.steps):
        return None
    return given if all(isinstance(flag, bool) for flag in given) else None


def _refuse_what_has_no_place(trajectory: Trajectory, where: str) -> None:
    for message in trajectory.prompt:
        if message.role not in ("user", "assistant"):
            raise InvalidInput(
                f"{where}: its prompt has a message of the {message.role}, for which AgentTraj has "
                "no place: write chat messages (messages)"
            )
    if any(step.tool_calls for step in trajectory.steps):
        raise InvalidInput(
            f"{where}: it has tool calls, for which AgentTraj has no place: write chat messages "
            "(messages)"
        )
    if "system" in roles_heard(trajectory):
        raise InvalidInput(
            f"{where}: the system speaks between two turns, for which AgentTraj has no place: "
            "write chat messages (messages)"
        )
    if not trajectory.steps or not (_flags(trajectory) or [True])[0]:
        reason = "its first turn is not to be learned" if trajectory.steps else "it has no turns"
        raise InvalidInput(
            f"{where}: {reason}, and AgentTraj's prompt ends at the first that is: write chat "
            "messages (messages)"
        )


FORMAT = Format(
    name="agenttraj",
    title="AgentGym's AgentTraj",
    recognises=recognises,
    runs=runs,
    record_of=record_of,
    within=("sharegpt",),
)
