"""`w2stree.lint`: what training would drop, cut or mis-mask, before anything is trained.

path ──kind_of──> preference rows ─────────────────────────┐
                  conversations                            ├─> rules ──> Findings
                  token rows                               │
                  trajectories ──> runs ─> forest ─> pairs ┘
                  a saved forest ──────────┘
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput, MissingDependency
from w2stree.forest.build import build_forest, open_forest
from w2stree.forest.forest import Forest
from w2stree.forest.merging import Merging
from w2stree.forest.openings import Openings, check_openings
from w2stree.forest.read_back import PathTrajectories
from w2stree.formats.messages import verdict_in
from w2stree.formats.reading import Imported, read_files
from w2stree.linting import row_rules, token_rules
from w2stree.linting.finding import Finding, Findings, Rule, sorted_findings
from w2stree.linting.forest_rules import best_paths, forest_rules
from w2stree.linting.given import (
    Given,
    Preferences,
    Records,
    Runs,
    conversations_of,
    preferences_of,
    shown,
    tokens_of,
)
from w2stree.linting.run_rules import mixed_scales, run_rules
from w2stree.linting.token_rules import Model
from w2stree.policies.pretrained import pretrained
from w2stree.rows.row_files import (
    Kind,
    kind_of,
    kind_of_columns,
    parts_of,
    read_rows,
    runs_or_both_reasons,
)
from w2stree.rows.rows import Completion, PreferenceRow, preference_rows
from w2stree.shorten import quoted, visible
from w2stree.training.models import load_tokenizer
from w2stree.training.positions import num_positions
from w2stree.trajectories.returns import ReturnRange, threshold_in
from w2stree.trajectories.trajectory import Trajectory

MOST_PAIRS = 100_000
"""Pairs of a forest that are looked into; of more, as many are drawn."""

_SHOWN_ACTION = 40
_OF_TOKENS = (
    *(Rule.TEMPLATE_REFUSED, Rule.PROMPT_NOT_A_PREFIX, Rule.TOO_LONG, Rule.CUT_BY_TRL),
    *(Rule.EQUAL_AFTER_CUT, Rule.EQUAL_TOKENS, Rule.NO_ASSISTANT_MASK, Rule.FOREIGN_TOKEN_IDS),
)


def lint(
    source: str
    | Path
    | Sequence[str | Path]
    | Iterable[Trajectory]
    | Forest
    | Iterable[Mapping[str, Any]],
    *,
    model: str | Path | None = None,
    tokenizer: Any = None,
    chat_template: str | Path | None = None,
    max_length: int | None = None,
    completion: Completion = "step",
    min_gap: float = 0.0,
    success_threshold: float = 1.0,
    return_range: ReturnRange | None = None,
    merging: Merging | None = None,
    openings: Openings = "equal",
    places: Sequence[str] | None = None,
) -> Findings:
    """What is wrong with runs or rows, as far as it can be told before training.

    `source`: runs (a path as `read_trajectories` takes it, of any format; trajectories, a forest, a
    saved one) or rows (a path as `w2stree train` takes it, or the folder of a data set; a
    `datasets.Dataset`, a list of records): preference rows, conversations, token rows. Of several
    paths, training data and a test, tasks that stand in both are found. `places` names the items of
    what is no path.

    `model` is a directory with a tokenizer, and perhaps a `config.json`, whose positions are then
    the limit of a row; or `tokenizer` is an open one. Without either, rules that need one are not
    asked (`Findings.not_run`), and nothing but NumPy is needed; with one, transformers is, and no
    torch. `max_length` is the limit that is asked for, of w2stree's and of stock TRL's training;
    of stock TRL's it is 1,024 unless given, TRL's default.

    Of runs the pairs of at least `min_gap` are made rows by `completion`, and the best path of each
    task is looked at, as `w2stree train` does; `merging` is the rule of their forest, `openings`
    whether the runs of a task may be asked in other words, both as in `build_forest`. What failed
    is told by `success_threshold`, a share of `return_range` ([0, 1] unless stated).

    Raises `InvalidInput` for what is neither, for files that cannot be read at all, for a directory
    without a tokenizer and for options out of range, `OSError`, and `MissingDependency`. Cost: of
    rows O(text); of runs that of the forest, six times or so for the normalisers where answers
    differ, and of at most `MOST_PAIRS` rows.
    """
    if max_length is not None and max_length < 1:
        raise InvalidInput(f"max_length is {max_length}; give at least 1")
    check_openings(openings)
    asked = _Asked(
        model=_model(model, tokenizer, chat_template, max_length),
        completion=completion,
        min_gap=min_gap,
        success=threshold_in(return_range, success_threshold),
        return_range=return_range,
        merging=merging,
        openings=openings,
    )
    if isinstance(source, str | Path):
        return _of_paths([Path(source)], asked)
    if isinstance(source, Forest):
        return _of_forest(source, asked)
    items: list[Any] = list(source)
    if items and all(isinstance(item, str | Path) for item in items):
        return _of_paths(list(map(Path, items)), asked)
    names = list(places) if places is not None else None
    if items and isinstance(items[0], Mapping):
        where = names or [f"rows[{i}]" for i in range(len(items))]
        return _of_records(_kind_of_record(items[0]), Records(items, where), asked)
    for i, item in enumerate(items):
        if not isinstance(item, Trajectory):
            raise InvalidInput(
                f"source[{i}] is {type(item).__name__}; give trajectories, or rows as mappings"
            )
    return _of_runs(items, names or [f"runs[{i}]" for i in range(len(items))], asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the caller set."""

    model: Model | None
    completion: Completion
    min_gap: float
    success: float
    return_range: ReturnRange | None
    merging: Merging | None
    openings: Openings


def _model(
    directory: str | Path | None,
    tokenizer: Any,
    chat_template: str | Path | None,
    max_length: int | None,
) -> Model | None:
    if directory is None:
        if chat_template is not None:
            raise InvalidInput("chat_template is of a model's directory: give model= too")
        return None if tokenizer is None else Model(tokenizer, max_length)
    if tokenizer is not None:
        raise InvalidInput("model and tokenizer are both given; give one")
    try:
        from transformers import AutoConfig
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"rows as a model reads them need {error.name}: pip install 'w2stree[train]'"
        ) from None
    positions = None
    if (Path(directory) / "config.json").is_file():
        positions = num_positions(pretrained(AutoConfig, directory))
    return Model(load_tokenizer(directory, chat_template), max_length, positions)


# By what is given ---------------------------------------------------------------------------------


def _of_paths(given: Sequence[Path], asked: _Asked) -> Findings:
    paths = [part for path in given for part in parts_of(path)]
    try:
        kinds = [kind_of(path) for path in paths]
    except InvalidInput as error:  # rows are not all that there is
        return _of_read(runs_or_both_reasons(lambda: read_files(*paths), error), asked)
    for path, kind in zip(paths, kinds, strict=True):
        if kind is not kinds[0] or (kind is Kind.FOREST and len(paths) > 1):
            raise InvalidInput(
                f"{visible(str(paths[0]))}: {kinds[0].value}; {visible(str(path))}: {kind.value}: "
                "give one kind at a time, and one forest"
            )
    if kinds[0] is Kind.FOREST:
        return _of_forest(open_forest(paths[0]), asked)
    if kinds[0] is Kind.TRAJECTORIES:
        return _of_read(read_files(*paths), asked)
    records: list[Mapping[str, Any]] = []
    places: list[str] = []
    files: list[str] = []
    for path in paths:
        rows = read_rows(path)
        records += rows.records
        places += rows.places
        files += [str(path)] * len(rows.records)
    if kinds[0] is Kind.CONVERSATIONS and any(map(verdict_in, records)):
        return _of_read(read_files(*paths), asked)
    return _of_records(kinds[0], Records(records, places, files if len(paths) > 1 else ()), asked)


def _of_read(imported: Imported, asked: _Asked) -> Findings:
    reading = imported.reading
    return _of_runs(reading.trajectories, reading.places, asked)


def _kind_of_record(record: Mapping[str, Any]) -> Kind:
    return kind_of_columns(list(record), "rows[0]")


def _of_records(kind: Kind, records: Records, asked: _Asked) -> Findings:
    findings: list[Finding] = []
    model = asked.model
    if kind is Kind.PREFERENCES:
        rows, refused = preferences_of(records)
        findings += row_rules.preference_rules(rows)
        findings += mixed_scales(_returns_of(rows))
        unit = rows.unit
        if model and len(rows):
            findings += token_rules.preference_token_rules(rows, model)
    elif kind is Kind.CONVERSATIONS:
        chats, refused = conversations_of(records)
        findings += row_rules.conversation_rules(chats, asked.success)
        unit = chats.unit
        if model and len(chats):
            findings += token_rules.conversation_token_rules(chats, model)
    else:
        tokens, refused = tokens_of(records, len(model.tokenizer) if model else None)
        findings += row_rules.token_rules_without_tokenizer(tokens)
        findings += token_rules.token_row_rules(tokens, model)
        unit = tokens.unit
    findings += row_rules.refused_rows(refused, len(records), unit)
    skipped = {"refused": len(refused)}
    return _findings(findings, unit, len(records), skipped, asked)


def _returns_of(rows: Preferences) -> dict[str, list[float]]:
    """By task, where rows say both."""
    returns: dict[str, list[float]] = {}
    for i, row in enumerate(rows.items):
        if row.task_id and rows.says(i, "chosen_return") and rows.says(i, "rejected_return"):
            returns.setdefault(row.task_id, []).extend((row.chosen_return, row.rejected_return))
    return returns


def _of_runs(trajectories: Sequence[Trajectory], places: Sequence[str], asked: _Asked) -> Findings:
    if not trajectories:
        raise InvalidInput("nothing to lint: there are no runs and no rows")
    runs = Runs(trajectories, places, [None] * len(trajectories), "runs")
    findings = list(run_rules(runs, asked.return_range, asked.openings))
    if asked.model:
        findings += token_rules.sampled_id_rules(runs, asked.model)
    apart = _asked_differently(runs) if asked.openings == "equal" else set()
    kept = [run for run in runs.finished.items if run.task_id not in apart]
    notes = []
    if apart:
        notes.append(
            f"no forest is made of the {len(apart):,} tasks that are asked in different words, "
            "unless openings are any"
        )
    if kept:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tasks without pairs: rules of their own say it
            forest = build_forest(kept, merging=asked.merging, openings=asked.openings)
        findings += _forest_findings(forest, asked, notes, is_worded=_is_worded(kept))
    skipped = {"ended in an error": len(runs) - len(runs.finished)}
    return _findings(findings, runs.unit, len(runs), skipped, asked, notes)


def _of_forest(forest: Forest, asked: _Asked) -> Findings:
    trajectories = list(forest.trajectories)
    has_texts = not isinstance(forest.trajectories, PathTrajectories)
    places = [f"forest.trajectories[{i}]" for i in range(len(trajectories))]
    runs = Runs(trajectories, places, [None] * len(trajectories), "runs", has_texts=has_texts)
    findings = list(run_rules(runs, asked.return_range, asked.openings))
    notes = []
    if not has_texts:
        notes.append(
            "a saved forest keeps no prompts and no words: rules on rows and tokens are not asked; "
            "lint the runs it was built from"
        )
    is_worded = has_texts and _is_worded(trajectories)
    findings += _forest_findings(forest, asked, notes, is_worded=is_worded)
    return _findings(findings, runs.unit, len(runs), {}, asked, notes)


def _asked_differently(runs: Runs) -> set[str]:
    items = runs.finished.items
    return {
        task for task, where in runs.by_task.items() if len({items[i].prompt for i in where}) > 1
    }


def _is_worded(trajectories: Sequence[Trajectory]) -> bool:
    """Whether rows can be made of them; what hinders is a finding of its own."""
    return all(run.prompt for run in trajectories)


def _forest_findings(
    forest: Forest, asked: _Asked, notes: list[str], *, is_worded: bool
) -> list[Finding]:
    findings = list(forest_rules(forest, asked.success))
    if not is_worded:
        return findings
    rows = _rows_of(forest, asked, notes)
    findings += row_rules.preference_rules(rows)
    paths = [run for run in best_paths(forest) if all(step.is_worded for step in run.steps)]
    demonstrations = Given(
        paths, [shown(run.task_id) for run in paths], [None] * len(paths), "best paths"
    )
    if asked.model and len(rows):
        findings += token_rules.preference_token_rules(rows, asked.model)
    if asked.model and paths:
        findings += token_rules.conversation_token_rules(demonstrations, asked.model)
    return findings


def _rows_of(forest: Forest, asked: _Asked, notes: list[str]) -> Preferences:
    """The rows that `w2stree train dpo` would make."""
    num_pairs = forest.count_pairs(asked.min_gap)
    if num_pairs > MOST_PAIRS:
        pairs = forest.sample_pairs(MOST_PAIRS, seed=0, min_gap=asked.min_gap)
        notes.append(f"of {num_pairs:,} pairs {MOST_PAIRS:,} were drawn and looked into")
    else:
        pairs = forest.pairs(asked.min_gap)
    rows = preference_rows(pairs, asked.completion)
    places = [_place(row) for row in rows]
    unit = f"preference rows ({asked.completion})"
    return Given(rows, places, [None] * len(rows), unit)


def _place(row: PreferenceRow) -> str:
    """Of a row that is made here."""
    chosen, rejected = (
        quoted(side.steps[row.begin].action, _SHOWN_ACTION) for side in (row.chosen, row.rejected)
    )
    return f"{shown(row.task_id)}, step {row.begin + 1}: {chosen} over {rejected}"


def _findings(
    findings: Sequence[Finding],
    kind: str,
    num_given: int,
    skipped: Mapping[str, int],
    asked: _Asked,
    notes: Sequence[str] = (),
) -> Findings:
    why = "they need a tokenizer: give --model DIR, or model="
    return Findings(
        sorted_findings(findings),
        kind=kind,
        num_given=num_given,
        skipped={reason: count for reason, count in skipped.items() if count},
        not_run={} if asked.model else {str(rule): why for rule in _OF_TOKENS},
        notes=tuple(notes),
    )
