"""Rules on rows as a model reads them, by this package's own tokenisation and by stock TRL's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.linting import stock_trl
from w2stree.linting.finding import Finding, Rule, Severity, found
from w2stree.linting.given import Conversations, Preferences, Runs, Tokens
from w2stree.rows.rows import PreferenceRow
from w2stree.rows.tokenized import IGNORED, tokenize_preferences, tokenize_sft
from w2stree.shorten import shorten
from w2stree.trajectories.answers import with_answers
from w2stree.trajectories.trajectory import Trajectory
from w2stree.turns.chat import ChatFormat

_SHOWN_REASON = 300


@dataclass(frozen=True, slots=True)
class Model:
    """What rows are read by: a tokenizer, and how many tokens a row may have."""

    tokenizer: Any
    max_length: int | None
    """What is asked for."""
    positions: int | None = None
    """What the model has; None where no model is known, or it has no limit."""

    @property
    def limit(self) -> int | None:
        """Of w2stree's training: longer rows are left out whole."""
        limits = [x for x in (self.max_length, self.positions) if x is not None]
        return min(limits) if limits else None

    @property
    def stock_limit(self) -> int:
        """Of stock TRL's: longer rows are cut."""
        return self.max_length or stock_trl.DEFAULT_MAX_LENGTH

    def chat(self) -> ChatFormat:
        """Raises `InvalidInput` for a template that no training here takes."""
        return ChatFormat(self.tokenizer)


def template_refused(reason: str, places: Sequence[str], unit: str) -> list[Finding]:
    return found(
        Rule.TEMPLATE_REFUSED,
        Severity.ERROR,
        places,
        len(places),
        unit,
        says=f"cannot be written by the chat template: {shorten(reason, _SHOWN_REASON)}",
        effect="w2stree train refuses the model; a stock trainer would train on other contexts "
        "than the model acts in",
        fix="--chat-template with one that passes (docs/models.md)",
    )


# Preferences --------------------------------------------------------------------------------------


def preference_token_rules(rows: Preferences, model: Model) -> Iterator[Finding]:
    try:
        chat = model.chat()
    except InvalidInput as error:
        yield from template_refused(str(error), rows.places, rows.unit)
    else:
        yield from _own_pairs(rows, chat, model)
    yield from _stock_pairs(rows, model)


def _own_pairs(rows: Preferences, chat: ChatFormat, model: Model) -> Iterator[Finding]:
    refused: dict[str, list[str]] = {}
    lengths: list[tuple[str, int]] = []
    untaught, equal = [], []
    for row, place in zip(rows.items, rows.places, strict=True):
        try:
            (ids,) = tokenize_preferences([row], chat, max_length=None)
        except InvalidInput as error:
            refused.setdefault(str(error), []).append(place)
            continue
        assert ids is not None, "None stands for a row that exceeds a length"
        chosen, rejected = ids["chosen_ids"], ids["rejected_ids"]
        lengths.append((place, len(ids["prompt_ids"]) + max(len(chosen), len(rejected))))
        if not (any(ids["chosen_mask"]) and any(ids["rejected_mask"])):
            untaught.append(place)
        elif chosen == rejected:
            equal.append(place)
    for reason, places in refused.items():
        yield from template_refused(reason, places, rows.unit)
    yield from _too_long(lengths, model, rows.unit)
    yield from found(
        Rule.NO_TRAINABLE_TOKEN,
        Severity.ERROR,
        untaught,
        len(rows),
        rows.unit,
        says="have a side without a token to learn: no turn in it has an action",
        effect="w2stree train leaves them out; a stock trainer teaches turns without an action",
        fix="nothing, or leave them out",
    )
    yield from found(
        Rule.EQUAL_TOKENS,
        Severity.ERROR,
        equal,
        len(rows),
        rows.unit,
        says="have sides of other letters and the same tokens",
        effect="nothing is learned from them (a loss of ln 2, no gradient)",
        fix="leave them out; the template trims, or the vocabulary lacks, what differs",
    )


def _stock_pairs(rows: Preferences, model: Model) -> Iterator[Finding]:
    pairs = []
    for row, place, record in zip(rows.items, rows.places, rows.records, strict=True):
        pair = _stock_pair(row, model.tokenizer, is_read=record is not None)
        if pair is not None:
            pairs.append((place, pair))
    limit = model.stock_limit
    asked = "asked for" if model.max_length else "TRL's default"
    dropped = [place for place, pair in pairs if pair.is_dropped(limit)]
    cut = [place for place, pair in pairs if pair.is_cut(limit)]
    yield from found(
        Rule.CUT_BY_TRL,
        Severity.WARNING,
        [*dropped, *cut],
        len(rows),
        rows.unit,
        says=f"exceed {limit:,} tokens ({asked}) in stock TRL's writing: {len(dropped):,} by their "
        "prompt alone",
        effect=f"stock DPOTrainer drops the {len(dropped):,} behind a progress bar and cuts the "
        f"ends of {len(cut):,}; w2stree train leaves out whole what exceeds its own limit",
        fix="max_length of the longest row in DPOConfig, or rows with less history",
    )
    yield from found(
        Rule.EQUAL_AFTER_CUT,
        Severity.ERROR,
        [place for place, pair in pairs if pair.is_equal(limit)],
        len(rows),
        rows.unit,
        says=f"have one chosen and rejected side in their first {limit:,} tokens ({asked})",
        effect="stock DPOTrainer learns nothing from them (a loss of ln 2, no gradient), and says "
        "nothing",
        fix="a greater max_length in DPOConfig",
    )
    apart = [(place, pair) for place, pair in pairs if not pair.is_prefix]
    yield from found(
        Rule.PROMPT_NOT_A_PREFIX,
        Severity.ERROR,
        [place for place, _ in apart],
        len(rows),
        rows.unit,
        says="have a prompt that the chat template writes otherwise where an answer follows",
        effect="stock DPOTrainer leaves the prompt's end out: it trains on another context than "
        "the model acts in",
        fix="--chat-template with one whose prompt is a prefix (docs/models.md)",
    )


def _stock_pair(row: PreferenceRow, tokenizer: Any, *, is_read: bool) -> stock_trl.StockPair | None:
    try:
        return stock_trl.stock_pair(row, tokenizer, is_read=is_read)
    except Exception:  # whatever a template raises: `template-refused` says it
        return None


# Demonstrations -----------------------------------------------------------------------------------


def conversation_token_rules(rows: Conversations, model: Model) -> Iterator[Finding]:
    try:
        chat = model.chat()
    except InvalidInput as error:
        yield from template_refused(str(error), rows.places, rows.unit)
    else:
        yield from _own_conversations(rows, chat, model)
    yield from _stock_conversations(rows, model)


def _own_conversations(rows: Conversations, chat: ChatFormat, model: Model) -> Iterator[Finding]:
    refused: dict[str, list[str]] = {}
    lengths: list[tuple[str, int]] = []
    untaught = []
    for run, place in zip(rows.items, rows.places, strict=True):
        try:
            tokens = tokenize_sft([run], chat, max_length=None)
        except InvalidInput as error:
            refused.setdefault(str(error), []).append(place)
            continue
        lengths += [(place, len(row["input_ids"])) for row in tokens.rows]
        if tokens.num_untaught:
            untaught.append(place)
    for reason, places in refused.items():
        yield from template_refused(reason, places, rows.unit)
    yield from _too_long(lengths, model, rows.unit)
    yield from found(
        Rule.NO_TRAINABLE_TOKEN,
        Severity.ERROR,
        untaught,
        len(rows),
        rows.unit,
        says="have no turn with an action: no token is learned",
        effect="w2stree train leaves them out; a stock trainer teaches turns without an action",
        fix="nothing, or leave them out",
    )


def _stock_conversations(rows: Conversations, model: Model) -> Iterator[Finding]:
    chats = []
    for run, place, record in zip(rows.items, rows.places, rows.records, strict=True):
        if any(step.tool_calls for step in run.steps) or not run.steps:
            continue
        turns = stock_trl.side_messages(with_answers(run), record is not None)
        chat = stock_trl.messages(run.prompt, ()) + turns
        try:
            length = len(stock_trl.token_ids(model.tokenizer, chat, generate=False))
        except Exception:  # `template-refused` says it
            continue
        chats.append((place, chat, length))
    yield from _cut_by_sft([(p, n) for p, _, n in chats], model, len(rows), rows.unit)
    if any(record is None for record in rows.records):
        return  # made here, and no stock trainer's yet
    masked, why, fix = _masked([(p, chat) for p, chat, _ in chats], model.tokenizer)
    yield from found(
        Rule.NO_ASSISTANT_MASK,
        Severity.WARNING,
        masked,
        len(rows),
        rows.unit,
        says=f"have no token that assistant_only_loss leaves: {why}",
        effect="stock SFTTrainer refuses assistant_only_loss=True, or masks all in silence (other "
        "trainers, earlier versions); without it the environment's answers are learned",
        fix=fix,
    )


def _masked(
    chats: Sequence[tuple[str, list[dict[str, str]]]], tokenizer: Any
) -> tuple[list[str], str, str]:
    """Which rows have an assistant mask of zeros alone, why, and what helps."""
    other = "rows of ids and labels (sft_dataset(tokenizer=…)), or w2stree train sft"
    if not stock_trl.has_generation_marks(tokenizer):
        if stock_trl.training_template(tokenizer):
            return [], "", ""  # SFTTrainer takes that one instead, by itself
        places = [place for place, _ in chats]
        return places, "the chat template has no generation marks", other
    places = [p for p, chat in chats if not stock_trl.has_assistant_token(tokenizer, chat)]
    return places, "the chat template's generation marks hold none of their turns", other


def _cut_by_sft(
    lengths: Sequence[tuple[str, int]], model: Model, total: int, unit: str
) -> list[Finding]:
    limit = model.stock_limit
    asked = "asked for" if model.max_length else "TRL's default"
    return found(
        Rule.CUT_BY_TRL,
        Severity.WARNING,
        [place for place, length in lengths if length > limit],
        total,
        unit,
        says=f"exceed {limit:,} tokens ({asked}); the longest has "
        f"{max((n for _, n in lengths), default=0):,}",
        effect="stock SFTTrainer cuts their ends, and drops those of which no label is left; "
        "w2stree train leaves out whole what exceeds its own limit",
        fix="SFTConfig(max_length=None), or a greater one",
    )


# Token rows ---------------------------------------------------------------------------------------


def token_row_rules(rows: Tokens, model: Model | None) -> Iterator[Finding]:
    yield from _labelled_observations(rows, model)
    if model is None:
        return
    lengths = [(p, len(r.input_ids)) for p, r in zip(rows.places, rows.items, strict=True)]
    yield from _too_long(lengths, model, rows.unit)
    yield from _cut_by_sft(lengths, model, len(rows), rows.unit)


def _labelled_observations(rows: Tokens, model: Model | None) -> list[Finding]:
    header = _after_turn(model) if model else []

    def has_labelled(row: Any) -> bool:
        if IGNORED not in row.labels:
            return True
        return bool(header) and _holds(row.labels, header)

    return found(
        Rule.OBSERVATIONS_IN_MASK,
        Severity.ERROR,
        rows.where(has_labelled),
        len(rows),
        rows.unit,
        says="label what others said: every token, or the beginning of a user's message",
        effect="the environment's answers are learned, as if the agent were to write them",
        fix="make them anew with labels on the agent's turns alone (sft_dataset(tokenizer=…))",
    )


def _after_turn(model: Model) -> list[int]:
    """The ids of a turn's end and of all that the template writes before the user's next word; none
    where these are not to be told from a turn that ends with a line break."""
    try:
        chat = model.chat()
    except InvalidInput:
        return []
    one, other = chat.observation_ids("a"), chat.observation_ids("b")
    num_shared = next(
        (i for i, (x, y) in enumerate(zip(one, other, strict=False)) if x != y), len(one)
    )
    header = one[:num_shared]
    return [chat.end_ids[-1], *header] if model.tokenizer.decode(header).strip() else []


def _holds(ids: Sequence[int], part: Sequence[int]) -> bool:
    size, first = len(part), part[0]
    return any(
        ids[i] == first and list(ids[i : i + size]) == list(part)
        for i in range(len(ids) - size + 1)
    )


# Runs ---------------------------------------------------------------------------------------------


def sampled_id_rules(runs: Runs, model: Model) -> list[Finding]:
    """Runs that keep the ids they were sampled in."""
    try:
        fingerprint = model.chat().fingerprint()
    except InvalidInput:
        return []

    def is_foreign(run: Trajectory) -> bool:
        has_ids = any(step.token_ids is not None for step in run.steps)
        return has_ids and run.origin.tokenizer != fingerprint

    return found(
        Rule.FOREIGN_TOKEN_IDS,
        Severity.NOTE,
        runs.finished.where(is_foreign),
        len(runs.finished),
        runs.unit,
        says="keep token ids of another tokenizer, or of one that is not named",
        effect="their words are tokenised again, perhaps otherwise than they were sampled",
        fix="nothing, where another model learns; else train with the tokenizer and template that "
        "sampled",
    )


# Lengths ------------------------------------------------------------------------------------------


def _too_long(lengths: Sequence[tuple[str, int]], model: Model, unit: str) -> list[Finding]:
    limit = model.limit
    if limit is None:
        return []
    long = [place for place, length in lengths if length > limit]
    longest = max((length for _, length in lengths), default=0)
    is_asked = model.max_length == limit
    whose = "asked for" if is_asked else "the positions the model has"
    return found(
        Rule.TOO_LONG,
        Severity.ERROR if len(long) == len(lengths) else Severity.WARNING,
        long,
        len(lengths),
        unit,
        says=f"exceed {limit:,} tokens ({whose}); the longest has {longest:,}",
        effect="w2stree train leaves them out whole: mostly long runs, failures",
        fix=f"--max-length {longest}"
        if is_asked and (model.positions is None or longest <= model.positions)
        else "a model with more positions, or rows with less history",
    )
