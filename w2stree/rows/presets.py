"""The column names of other trainers: which rows each takes, and how it is told to.

Each follows one version, whose reader of data was read: TRL 1.16.0 (docs/dataset_formats), verl
0.8.0.dev at b178a3c (utils/dataset), OpenRLHF 0.11.0 (datasets/), LLaMA-Factory 0.9.6.dev at
ff6d4d1 (data/README.md, data/converter.py), Axolotl 0.18.0 at 067b021 (prompt_strategies/).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.rows.chat import Passage, Passages, places, roles_of, steps_in
from w2stree.rows.columns import BESIDE, Column, Kind, Shown, each
from w2stree.rows.rows import is_taught
from w2stree.shorten import visible
from w2stree.trajectories.trajectory import Trajectory

KINDS: Mapping[Kind, str] = {
    "preference": "preferences",
    "judged": "judged turns or runs (KTO)",
    "question": "prompts alone (GRPO)",
    "messages": "conversations (SFT)",
    "tokens": "conversations as token ids (SFT)",
    "preference_tokens": "preferences as token ids",
    "advantage": "turns with their advantages",
    "advantage_tokens": "runs as token ids, each with its turn's advantage",
}
"""In words."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of one kind of rows for one trainer."""

    own: tuple[Column, ...]
    """The trainer's; those of `BESIDE` follow."""
    settings: str
    """What the trainer is told, so that it finds them in FILE, or FOLDER; see `use`."""
    is_one_message: bool = False
    """It compares single messages: rows of longer continuations are left out."""
    takes_tool_calls: bool = True
    must_alternate: bool = False
    """It leaves out, with a warning, conversations in which two of one side follow each other."""
    dataset_info: Mapping[str, Any] | None = None
    """LLaMA-Factory's description of the file, but for its name."""

    def columns(self, kind: Kind) -> tuple[Column, ...]:
        names = {column.name for column in self.own}
        return (*self.own, *(column for column in BESIDE[kind] if column.name not in names))

    def use(self, *, file: str, folder: str = "FOLDER") -> str:
        """The settings, with the names of both."""
        names = {"FILE": file, "FOLDER": folder}
        return re.sub(r"\b(FILE|FOLDER)\b", lambda match: names[match[0]], self.settings)

    @property
    def is_choosy(self) -> bool:
        """Whether there are rows that it cannot show."""
        return self.is_one_message or self.must_alternate or not self.takes_tool_calls

    def refuses(self, passages: Sequence[Passage]) -> str | None:
        """Why a row of these cannot be shown so; None where it can."""
        if self.is_one_message and any(p.end - p.begin != 1 for p in passages[1:]):
            return "of more than one turn, where this trainer reads one message"
        if not self.takes_tool_calls and any(
            step.tool_calls for passage in passages for step in passage.run.steps
        ):
            return "with tool calls, which this trainer does not read there"
        if self.must_alternate and not _alternates(passages):
            return "whose messages are not of user and assistant in turn"
        return None


@dataclass(frozen=True, slots=True)
class Preset:
    """What a trainer reads."""

    name: str
    layouts: Mapping[Kind, Layout]
    lacks: Mapping[Kind, str]
    """Why there are no rows of the other kinds."""
    endings: tuple[str, ...] = ()
    """Of files that it opens; none: of all."""

    def check_ending(self, name: str) -> None:
        """Raises `InvalidInput` for a file that the trainer does not open."""
        if self.endings and not name.lower().endswith(self.endings):
            raise InvalidInput(
                f"{visible(name)}: {self.name} opens {', '.join(self.endings)}; give the file such "
                "an ending, or a folder's name with / at its end"
            )

    def layout(self, kind: Kind) -> Layout:
        """Raises `InvalidInput` with the reason where there is none."""
        if kind in self.layouts:
            return self.layouts[kind]
        raise InvalidInput(f"{self.name}: no {KINDS[kind]}: {self.lacks[kind]}")


def preset_of(name: str) -> Preset:
    """Raises `InvalidInput` naming those that there are."""
    if name not in PRESETS:
        raise InvalidInput(f"no trainer {name!r} is known; use one of {', '.join(PRESETS)}")
    return PRESETS[name]


def _alternates(passages: Sequence[Passage]) -> bool:
    roles = [
        role
        for run, begin, end in passages[:2]  # a history, and one of the sides
        for role in roles_of(run)[begin:end]
    ]
    if roles[:1] == ["system"]:
        del roles[0]
    return all(role == ("user", "assistant")[i % 2] for i, role in enumerate(roles))


def _passage(i: int) -> Callable[[Shown], Passages]:
    return lambda shown: shown.passages[i]


def _mask(i: int, *, keeps_all: bool) -> Callable[[Shown], list[list[int]]]:
    """By message: 1 where the agent speaks and is to be learned from. A chosen turn without an
    action is not to be taught; a rejected one is judged like others."""

    def mask(run: Trajectory, begin: int, end: int) -> list[int]:
        at, learned = places(run), [0] * (end - begin)
        for i in steps_in(run, begin, end):
            learned[at[i] - begin] = 1 if keeps_all else int(is_taught(run.steps[i]))
        return learned

    def masks(shown: Shown) -> list[list[int]]:
        passages = zip(*shown.passages[i], strict=True)
        if keeps_all:
            return [
                [1] if end - begin == 1 else mask(run, begin, end) for run, begin, end in passages
            ]
        return [mask(*passage) for passage in passages]

    return masks


def _ids(name: str, of: str | None = None) -> Column:
    """A column of token ids or masks; `of`: under that name in the row."""
    return Column(name, "integers", lambda shown: [ids[of or name] for ids in shown.ids])


_WEIGHTS = Column("advantages", "numbers", lambda shown: [ids["advantages"] for ids in shown.ids])


_MESSAGES = Column("messages", "messages", _passage(0))
_PROMPT = Column("prompt", "messages", _passage(0))
_SIDES = (
    _PROMPT,
    Column("chosen", "messages", _passage(1)),
    Column("rejected", "messages", _passage(2)),
    Column("chosen_mask", "integers", _mask(1, keeps_all=False)),
    Column("rejected_mask", "integers", _mask(2, keeps_all=True)),
)
_ONE_EACH = (
    _MESSAGES,
    Column("chosen", "message", _passage(1)),
    Column("rejected", "message", _passage(2)),
)
_LABEL = Column("label", "truth", each("is_wanted"))
_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}


def _info(columns: Mapping[str, str], **more: Any) -> Mapping[str, Any]:
    return {"formatting": "sharegpt", **more, "columns": columns, "tags": _TAGS}


_NOT_HERE = "its data readers have no such rows"
_TOKENS_ELSEWHERE = f"{_NOT_HERE}; use trl"
_NO_ADVANTAGES: Mapping[Kind, str] = {
    "advantage": _NOT_HERE,
    "advantage_tokens": _TOKENS_ELSEWHERE,
}

_TRL = Preset(
    "trl",
    {
        "preference": Layout(_SIDES, "DPOTrainer; trl dpo --dataset_name FOLDER"),
        "judged": Layout(
            (_PROMPT, Column("completion", "messages", _passage(1)), _LABEL),
            "KTOTrainer; trl kto --dataset_name FOLDER",
        ),
        "question": Layout((_PROMPT,), "GRPOTrainer, with a reward function or an environment"),
        "messages": Layout(
            (_MESSAGES,),
            "SFTTrainer; trl sft --dataset_name FOLDER --assistant_only_loss, where the chat "
            "template has generation marks; without it the environment's answers are learned too",
        ),
        "tokens": Layout(
            (_ids("input_ids"), _ids("labels")), "SFTTrainer with SFTConfig(max_length=None)"
        ),
        "preference_tokens": Layout(
            tuple(
                _ids(name)
                for name in (
                    *("prompt_ids", "chosen_ids", "chosen_mask", "rejected_ids", "rejected_mask"),
                )
            ),
            "a trainer of your own: stock DPOTrainer tokenizes anew",
        ),
        "advantage": Layout(
            (_PROMPT, Column("completion", "messages", _passage(1))),
            "a trainer of your own: GRPOTrainer plays anew and reads no advantages of a data set; "
            "with --tokenizer rows are what its rollout_func returns",
        ),
        "advantage_tokens": Layout(
            (_ids("prompt_ids"), _ids("completion_ids"), _ids("env_mask"), _WEIGHTS),
            "what a rollout_func of GRPOTrainer returns, with logprobs: None; advantages by token "
            "reach its loss through a subclass (docs/training.md, Online trainers)",
        ),
    },
    {},
)
_VERL = Preset(
    "verl",
    {
        "messages": Layout((_MESSAGES,), "data.train_files=FILE data.messages_key=messages"),
        "question": Layout(
            (
                Column("data_source", "text", lambda shown: ["w2stree" for _ in shown.rows]),
                _PROMPT,
                Column("ability", "text", lambda shown: ["agent" for _ in shown.rows]),
                Column(
                    "reward_model",
                    {"style": "text", "ground_truth": "text"},
                    lambda shown: [
                        {"style": "rule", "ground_truth": row.run.task_id} for row in shown.rows
                    ],
                ),
                Column(
                    "extra_info",
                    {"index": "integer", "task_id": "text"},
                    lambda shown: [
                        {"index": number, "task_id": row.run.task_id}
                        for number, row in zip(shown.numbers, shown.rows, strict=True)
                    ],
                ),
            ),
            "data.train_files=FILE data.prompt_key=prompt, with a reward function that "
            "knows the task by extra_info.task_id",
        ),
        "advantage_tokens": Layout(
            (
                Column("uid", "text", each("run.task_id")),
                _ids("prompts", "prompt_ids"),
                _ids("responses", "completion_ids"),
                _ids("response_mask", "env_mask"),
                _WEIGHTS,
            ),
            "a loop of your own around verl's actor, padded into a DataProto: its trainers play "
            "anew and read no advantages of a file (docs/training.md, Online trainers)",
        ),
    },
    {
        "preference": "verl has no trainer of preferences",
        "preference_tokens": "verl has no trainer of preferences",
        "judged": "verl has no trainer of judged rows",
        "tokens": _TOKENS_ELSEWHERE,
        "advantage": "verl's batches are of token ids: give --tokenizer",
    },
    (".parquet",),
)
_OPENRLHF = Preset(
    "openrlhf",
    {
        "preference": Layout(
            _SIDES,
            "train_dpo --data.dataset FILE --data.prompt_key prompt --data.chosen_key chosen "
            "--data.rejected_key rejected --data.apply_chat_template",
        ),
        "messages": Layout(
            (_MESSAGES,),
            "train_sft --data.dataset FILE --data.input_key messages --data.multiturn "
            "--data.apply_chat_template",
        ),
        "question": Layout(
            (_PROMPT,), "train_ppo_ray --data.input_key prompt --data.apply_chat_template"
        ),
    },
    {
        **_NO_ADVANTAGES,
        "judged": "OpenRLHF 0.11 has no KTO trainer",
        "tokens": _TOKENS_ELSEWHERE,
        "preference_tokens": _TOKENS_ELSEWHERE,
    },
    (".jsonl", ".parquet", ".arrow"),
)
_LLAMA_FACTORY = Preset(
    "llama-factory",
    {
        "preference": Layout(
            _ONE_EACH,
            "dataset: NAME, by the entry in dataset_info.json; stage: dpo",
            is_one_message=True,
            takes_tool_calls=False,
            must_alternate=True,
            dataset_info=_info(
                {"messages": "messages", "chosen": "chosen", "rejected": "rejected"}, ranking=True
            ),
        ),
        "judged": Layout(
            (
                Column(
                    "messages",
                    "messages",
                    lambda shown: shown.passages[0]._replace(ends=shown.passages[1].ends),
                ),
                Column("kto_tag", "truth", each("is_wanted")),
            ),
            "dataset: NAME, by the entry in dataset_info.json; stage: kto",
            is_one_message=True,
            takes_tool_calls=False,
            must_alternate=True,
            dataset_info=_info({"messages": "messages", "kto_tag": "kto_tag"}),
        ),
        "messages": Layout(
            (_MESSAGES,),
            "dataset: NAME, by the entry in dataset_info.json; stage: sft",
            takes_tool_calls=False,
            must_alternate=True,
            dataset_info=_info({"messages": "messages"}),
        ),
    },
    {
        **_NO_ADVANTAGES,
        "question": "LLaMA-Factory's prompts come with answers",
        "tokens": _TOKENS_ELSEWHERE,
        "preference_tokens": _TOKENS_ELSEWHERE,
    },
    (".jsonl", ".parquet", ".arrow"),
)
_AXOLOTL = Preset(
    "axolotl",
    {
        "preference": Layout(
            _ONE_EACH,
            "rl: dpo; datasets: path: FILE, ds_type: json or parquet, type: chat_template.default",
            is_one_message=True,
            takes_tool_calls=False,
        ),
        "messages": Layout(
            (_MESSAGES,),
            "datasets: path: FILE, ds_type: json or parquet, type: chat_template, "
            "field_messages: messages",
        ),
        "tokens": Layout(
            (
                _ids("input_ids"),
                Column(
                    "attention_mask",
                    "integers",
                    lambda shown: [[1] * len(ids["input_ids"]) for ids in shown.ids],
                ),
                _ids("labels"),
            ),
            "datasets: path: FILE, ds_type: json or parquet, type: (empty)",
        ),
        "question": Layout(
            (_PROMPT,), "rl: grpo; datasets: path: FILE, type: a transform of yours"
        ),
    },
    {
        **_NO_ADVANTAGES,
        "judged": "its KTO formats are of one text and its answer, not of conversations",
        "preference_tokens": _TOKENS_ELSEWHERE,
    },
)
PRESETS: Mapping[str, Preset] = {
    preset.name: preset for preset in (_TRL, _VERL, _OPENRLHF, _LLAMA_FACTORY, _AXOLOTL)
}
