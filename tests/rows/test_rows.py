"""From pairs and paths to rows."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("trl")

import torch
from support.tiny_models import BAD, GOOD, tiny_model, tiny_tokenizer, trajectory

from w2stree.errors import InvalidInput
from w2stree.forest.build import build_forest, open_forest
from w2stree.forest.merging import Merging
from w2stree.rows.questions import questions
from w2stree.rows.rows import PreferenceRow, PreferenceRows, preference_rows
from w2stree.rows.tokenized import IGNORED, tokenize_preferences, tokenize_sft
from w2stree.training.unshared.scoring import sequence_logprobs
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.returns import mean_return
from w2stree.trajectories.trajectory import Message, Step, Trajectory
from w2stree.turns.chat import ChatFormat
from w2stree.turns.react import UNPARSED

pytestmark = pytest.mark.train


def test_the_gap_of_a_step_row_is_the_mean_over_the_pairs_of_its_two_actions() -> None:
    runs = [
        trajectory("task-1", [(action, "ok"), (last, "end")], total_return)
        for action, last, total_return in (("a", "x", 1.0), ("a", "y", 0.25), ("b", "x", 0.5))
    ]
    pairs = build_forest(runs).pairs()
    assert sorted(pair.gap for pair in pairs if pair.depth == 0) == [0.25, 0.5]
    [row] = [row for row in preference_rows(pairs, "step") if not row.history]
    assert (row.turns(row.chosen)[0].action, row.gap) == ("a", 0.125)  # 0.625 on average, and 0.5


def test_suffix_rows_with_equal_texts_count_once() -> None:
    pairs = build_forest([GOOD, GOOD, BAD, BAD]).pairs()
    assert len(pairs) == 4
    assert len(preference_rows(pairs, "suffix")) == 1


def test_step_rows_with_equal_texts_count_once() -> None:
    twins = [replace(t, task_id="task-2") for t in (GOOD, BAD)]
    pairs = build_forest([GOOD, GOOD, BAD, BAD, *twins]).pairs()
    assert len(pairs) == 5
    for completion in ("step", "suffix"):
        assert len(preference_rows(pairs, completion)) == 1


def test_actions_without_words_give_rows_only_when_asked() -> None:
    """A log of actions does not know what the agent said."""
    prompt = (Message("user", "go"),)
    bare = [
        Trajectory("t", prompt, (Step(action, "ok"),), total_return, "done")
        for action, total_return in (("a", 1.0), ("b", 0.5), ("c", 0.0))
    ]
    for completion in ("step", "suffix"):
        pairs = build_forest(bare).pairs()
        silent = preference_rows(pairs, completion)
        assert (len(silent), silent.num_wordless) == (0, 3)
        rows = preference_rows(pairs, completion, render_actions=True)
        assert (len(rows), rows.num_wordless) == (3, 0)
        assert [r.turns(r.chosen)[0].response for r in rows[:1]] == ["Action: a"]
    chat = ChatFormat(tiny_tokenizer())
    found = tokenize_sft([*bare, GOOD], chat, max_length=512)
    assert (found.kept, found.num_wordless) == ([GOOD], 3)
    assert len(tokenize_sft(bare, chat, max_length=512, render_actions=True).rows) == 3


def test_a_pair_with_words_stands_for_those_without() -> None:
    """What a run without words earned counts; its turns are not shown."""
    said = [trajectory("t", [(a, "ok")], r) for a, r in (("a", 1.0), ("b", 0.5))]
    (bare,) = (replace(t, steps=(Step("a", "ok"),), total_return=0.9) for t in said[:1])
    [row] = preference_rows(build_forest([bare, *said]).pairs(), "step")
    assert row.turns(row.chosen)[0].response == said[0].steps[0].response
    assert (row.num_chosen, row.chosen_return, row.gap) == (2, 0.95, pytest.approx(0.45))


def test_rows_say_what_is_behind_each_side() -> None:
    def run(action: str, last: str, total_return: float) -> Trajectory:
        return trajectory("task-1", [(action, "ok"), (last, "end")], total_return)

    runs = [run("a", "x", 1.0), run("a", "y", 0.25), run("b", "x", 0.5)]
    [row] = [r for r in preference_rows(build_forest(runs).pairs(), "step") if not r.begin]
    assert (row.chosen_return, row.num_chosen) == (0.625, 2)
    assert (row.rejected_return, row.num_rejected) == (0.5, 1)
    again = replace(runs[2])
    rows = preference_rows(build_forest([*runs, again]).pairs(), "suffix")
    [row] = [r for r in rows if (r.chosen_return, r.rejected_return) == (1.0, 0.5)]
    assert (row.num_chosen, row.num_rejected) == (1, 2), "equal texts are one row of two runs"


def test_the_mean_of_returns_whose_sum_is_beyond_the_floats() -> None:
    most = 1.7e308

    def run(action: str, total_return: float) -> Trajectory:
        return trajectory("task-1", [(action, "ok")], total_return)

    runs = [run("a", most), run("a", most), run("a", most / 2), run("b", 0.0)]
    [row] = preference_rows(build_forest(runs).pairs(), "step")
    assert (row.chosen_return, row.num_chosen) == (pytest.approx(most * (5 / 6)), 3)
    [question] = questions(runs)
    assert question.mean_return == pytest.approx(most * (5 / 8))
    for value in (5e-324, 0.1, sys.float_info.max):
        assert mean_return([value] * 7) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize("completion", ["step", "suffix"])
@pytest.mark.parametrize(
    ("better_there", "num_rows", "gap"), [(1.0, 0, 0.0), (0.25, 1, 0.375), (2.0, 1, 0.5)]
)
def test_no_row_is_there_in_both_directions_across_tasks(
    completion: Any, better_there: float, num_rows: int, gap: float
) -> None:
    """Tasks that read alike are one task: what pays in one and costs in the other cancels."""
    here, there = (
        [trajectory(task, [(action, "Beep.")], r) for action, r in (("red", red), ("blue", blue))]
        for task, red, blue in (("session-1", 1.0, 0.0), ("session-2", 0.0, better_there))
    )
    rows = preference_rows(build_forest([*here, *there]).pairs(), completion)
    assert [(r.gap, r.num_chosen) for r in rows] == [(gap, 2)] * num_rows
    assert rows.num_undecided == 1 - num_rows
    if rows:
        better = "red" if better_there < 1.0 else "blue"
        assert rows[0].turns(rows[0].chosen)[0].action == better


def test_a_choice_is_pooled_across_tasks_whatever_was_thought() -> None:
    """Two tasks that read alike, at one state; the thoughts on the way differ."""
    here = [trajectory("1", [("go", "ok"), (a, "ok")], r) for a, r in (("red", 1.0), ("blue", 0.0))]
    there = [
        replace(
            trajectory("2", [("go", "ok"), (a, "ok")], r),
            steps=(Step("go", "ok", "Thought: hm.\nAction: go"), Step(a, "ok", f"Action: {a}")),
        )
        for a, r in (("red", 0.0), ("blue", 0.75))
    ]
    [row] = preference_rows(build_forest([*here, *there]).pairs(), "step")
    assert (row.turns(row.chosen)[0].action, row.gap, row.begin) == ("red", 0.125, 1)


def test_suffixes_that_did_well_once_and_badly_once_cancel() -> None:
    lucky, unlucky = (trajectory("t", [("a", o)], r) for o, r in (("won", 1.0), ("lost", 0.0)))
    steady = trajectory("t", [("b", "ok")], 0.5)
    rows = preference_rows(build_forest([lucky, unlucky, steady]).pairs(), "suffix")
    assert (len(rows), rows.num_undecided) == (0, 1)


@pytest.mark.parametrize("unit", [1.0, 1e6 / 7, 1e9 / 7])
def test_gaps_cancel_but_for_rounding_at_any_size(unit: float) -> None:
    """Both actions have a mean return of 0.2 units, not to the bit."""
    runs = [
        trajectory("t", [(action, "ok"), ("wait", f"{r}")], r * unit)
        for action, returns in (("a", (0.1, 0.3)), ("b", (0.05, 0.2, 0.35)))
        for r in returns
    ]
    rows = preference_rows(build_forest(runs).pairs(), "step")
    assert (len(rows), rows.num_undecided) == (0, 1)


@pytest.mark.parametrize("completion", ["step", "suffix"])
def test_sides_that_read_the_same_give_no_row(completion: Any) -> None:
    """Logs that name actions by number have other actions for one text."""
    runs = [
        replace(trajectory("t", [], r), steps=(Step(action, "ok", "I pick it."),))
        for action, r in (("choice 1", 1.0), ("choice 2", 0.0))
    ]
    rows = preference_rows(build_forest(runs).pairs(), completion)
    assert (len(rows), rows.num_alike) == (0, 1)


def test_pairs_of_two_forests_are_not_mistaken_for_one_another() -> None:
    forests = [
        build_forest(
            [trajectory("t", [(a, "ok"), (b, "ok")], r) for b, r in (("x", 1.0), ("y", 0.0))]
        )
        for a in "ab"
    ]
    pairs = [pair for forest in forests for pair in forest.pairs()]
    with pytest.raises(InvalidInput, match="pairs of several forests"):
        preference_rows(pairs, "step")


def test_step_rows_follow_the_mean_return_of_the_two_actions() -> None:
    def ending(action: str, last: str, total_return: float) -> Trajectory:
        return trajectory("task-1", [(action, "ok"), (last, "end")], total_return)

    better_on_average = [ending("slice", "a", 1.0), ending("slice", "b", 0.0)]
    steady = [ending("chop", "a", 0.3)]
    rows = preference_rows(build_forest([*better_on_average, *steady]).pairs(), "step")
    assert _actions_at_root(rows) == [("slice", "chop")]
    balanced = [ending("slice", "a", 0.2), ending("slice", "b", 0.6), ending("chop", "a", 0.4)]
    rows = preference_rows(build_forest(balanced).pairs(), "step")
    assert _actions_at_root(rows) == [], "equal means say nothing, whatever rounding says"


def _actions_at_root(rows: Sequence[PreferenceRow]) -> list[tuple[str, str]]:
    return [
        (r.turns(r.chosen)[0].action, r.turns(r.rejected)[0].action) for r in rows if not r.history
    ]


def test_sampled_ids_are_kept_by_the_tokenizer_that_sampled_them() -> None:
    tokenizer = tiny_tokenizer()
    chat = ChatFormat(tokenizer)
    letters = [i for c in "Action: look" for i in chat.encode(c)] + chat.end_ids
    assert letters != chat.encode("Action: look") + chat.end_ids
    step = Step("look", "a room", "Action: look", tuple(letters))

    def rows_of(fingerprint: str) -> list[int]:
        origin = Origin(tokenizer=fingerprint)
        sampled = Trajectory("t", (Message("user", "go"),), (step,), 1.0, "done", origin)
        return tokenize_sft([sampled], chat, max_length=512).rows[0]["input_ids"]

    own, foreign = rows_of(chat.fingerprint()), rows_of("another")
    assert own[-len(letters) :] == letters
    assert foreign[-len(letters) :] != letters
    assert tokenizer.decode(own) == tokenizer.decode(foreign)


def test_too_long_rows_are_left_out_whole_and_counted() -> None:
    chat = ChatFormat(tiny_tokenizer())
    rows = preference_rows(build_forest([GOOD, BAD]).pairs(), "suffix")
    length = len(chat.prompt_ids(GOOD.prompt) + chat.steps_ids(GOOD.steps)[0])
    assert tokenize_sft([GOOD], chat, max_length=length).too_long == []
    assert tokenize_sft([GOOD], chat, max_length=length - 1).too_long == [GOOD]
    assert tokenize_preferences(rows, chat, max_length=length - 1) == [None]


def test_an_unknown_completion_is_refused() -> None:
    with pytest.raises(InvalidInput, match="completion is 'turn'"):
        preference_rows(build_forest([GOOD, BAD]).pairs(), "turn")  # type: ignore[arg-type]


def test_a_row_needs_a_prompt(tmp_path: Any) -> None:
    forest = build_forest([GOOD, BAD])
    forest.save(tmp_path / "f")
    bare = open_forest(tmp_path / "f")
    chat = ChatFormat(tiny_tokenizer())
    for completion in ("step", "suffix"):
        with pytest.raises(InvalidInput, match=r"'task-1': .* no prompt.*trajectories="):
            preference_rows(bare.pairs(), completion)
    with pytest.raises(InvalidInput, match=r"'task-1': .* no prompt.*with_trajectories"):
        tokenize_sft(bare.search().best_trajectories(), chat, max_length=512)
    whole = bare.with_trajectories([GOOD, BAD])
    assert preference_rows(whole.pairs(), "step") == preference_rows(forest.pairs(), "step")


# Turns without an action ----------------------------------------------------------------------


def _rambling() -> Trajectory:
    steps = (Step("", UNPARSED, "Hm, let me see."), *GOOD.steps)
    return replace(GOOD, steps=steps)


def test_a_turn_without_an_action_is_context_and_not_taught() -> None:
    tokenizer = tiny_tokenizer()
    chat = ChatFormat(tokenizer)
    found = tokenize_sft([_rambling()], chat, max_length=512)
    taught = tokenize_sft([_rambling()], chat, max_length=512, teach_without_action=True)
    assert (found.num_untaught_turns, taught.num_untaught_turns) == (1, 0)
    assert found.rows[0]["input_ids"] == taught.rows[0]["input_ids"]
    assert _labelled(tokenizer, taught.rows[0]).startswith("Hm, let me see.<|end|>")
    agent = "".join(f"{step.response}<|end|>" for step in GOOD.steps)
    assert _labelled(tokenizer, found.rows[0]) == agent
    everything = tokenize_sft([_rambling()], chat, max_length=512, all_tokens=True)
    assert IGNORED not in everything.rows[0]["labels"]


def test_a_run_that_ended_in_an_error_gives_no_row() -> None:
    broken = replace(GOOD, status="error")
    found = tokenize_sft([broken, GOOD], ChatFormat(tiny_tokenizer()), max_length=None)
    assert (found.kept, found.num_errors) == ([GOOD], 1)
    assert found.notes()[0].startswith("1 trajectories are left out: they ended in an error")


def test_a_run_of_nothing_else_gives_no_row() -> None:
    silent = replace(GOOD, steps=_rambling().steps[:1])
    unbegun = replace(GOOD, steps=(), status="truncated")  # its opening was all that could be read
    chat = ChatFormat(tiny_tokenizer())
    found = tokenize_sft([silent, GOOD, unbegun], chat, max_length=512)
    assert (found.kept, found.num_untaught) == ([GOOD], 2)
    openings = tokenize_sft([unbegun], chat, max_length=512, all_tokens=True)
    assert openings.kept == [unbegun], "there is something to read in it"


def test_a_turn_without_an_action_is_not_chosen() -> None:
    pairs = build_forest([_rambling(), BAD]).pairs()
    rows = preference_rows(pairs, "step")
    assert (len(rows), rows.num_without_action) == (0, 1)
    tokenizer = tiny_tokenizer()
    [row] = tokenize_preferences(
        preference_rows(pairs, "suffix"), ChatFormat(tokenizer), max_length=512
    )
    assert row is not None
    scored = [i for i, keep in zip(row["chosen_ids"], row["chosen_mask"], strict=True) if keep]
    assert tokenizer.decode(scored) == "".join(f"{s.response}<|end|>" for s in GOOD.steps)
    worse = replace(_rambling(), total_return=-1.0)
    [row] = preference_rows(build_forest([BAD, worse]).pairs(), "step")
    assert row.turns(row.rejected)[0].action == "", "it may be rejected"


def test_a_suffix_of_such_turns_alone_is_not_chosen() -> None:
    silent = replace(GOOD, steps=(*GOOD.steps[:1], Step("", UNPARSED, "Hm.")), total_return=0.5)
    pairs = build_forest([silent, BAD]).pairs()
    rows = preference_rows(pairs, "suffix")
    assert (len(rows), rows.num_without_action) == (0, 1)
    [row] = preference_rows(build_forest([silent, GOOD]).pairs(), "suffix")
    assert row.turns(row.rejected)[0].action == "", "it may be rejected"


def _labelled(tokenizer: Any, row: dict[str, list[int]]) -> str:
    return str(tokenizer.decode([label for label in row["labels"] if label != IGNORED]))


# Histories that were merged by another rule than equality -------------------------------------


def _merged() -> tuple[list[Trajectory], PreferenceRows]:
    """Three runs whose first answers differ and count as one."""
    rule = Merging(min_similarity=0.9, embed=lambda texts: np.ones((len(texts), 2)), guard=None)
    runs = [
        trajectory("t", [("look", answer), (action, "ok"), ("leave", "out")], total_return)
        for answer, action, total_return in (
            ("It is dark.", "wait", 0.0),
            ("It is light.", "read", 1.0),
        )
    ]
    return runs, preference_rows(build_forest(runs, merging=rule).pairs(), "suffix")


def test_each_side_is_scored_under_its_own_history() -> None:
    (worse, better), rows = _merged()
    [row] = rows
    assert (row.begin, row.is_one_history) == (1, False)
    tokenizer = tiny_tokenizer()
    chat = ChatFormat(tokenizer)
    [ids] = tokenize_preferences(rows, chat, max_length=512)
    assert ids is not None
    for side, run in (("chosen", better), ("rejected", worse)):
        whole = ids["prompt_ids"] + ids[f"{side}_ids"]
        history, (turns, mask) = (
            chat.history_ids(run.prompt, run.steps[:1]),
            chat.steps_ids(run.steps[1:]),
        )
        assert whole == history + turns
        assert [0] * len(ids["prompt_ids"]) + ids[f"{side}_mask"] == [0] * len(history) + mask


def test_a_row_with_one_history_is_preferred_at_a_merged_node() -> None:
    runs, _ = _merged()
    rule = Merging(min_similarity=0.9, embed=lambda texts: np.ones((len(texts), 2)), guard=None)
    also_light = trajectory("t", [("look", "It is light."), ("wait", "ok")], 0.0)
    forest = build_forest([*runs, also_light], merging=rule)
    [row] = [r for r in preference_rows(forest.pairs(), "step") if r.begin == 1]
    assert (row.is_one_history, row.num_chosen, row.num_rejected) == (True, 1, 2)


def test_the_two_sides_of_a_merged_node_are_scored_as_they_were_played() -> None:
    """By the reference and, through the same batches, by the policy."""
    runs, rows = _merged()
    tokenizer = tiny_tokenizer()
    chat, model = ChatFormat(tokenizer), tiny_model(tokenizer).eval()
    ids = [row for row in tokenize_preferences(rows, chat, max_length=512) if row is not None]
    found = sequence_logprobs(model, ids, batch_size=2)
    for run, score in zip(runs, reversed(found[0]), strict=True):
        history = chat.history_ids(run.prompt, run.steps[:1])
        turns, mask = chat.steps_ids(run.steps[1:])
        with torch.inference_mode():
            logits = model(torch.tensor([history + turns])).logits[0, len(history) - 1 : -1]
        scores = logits.log_softmax(-1).gather(1, torch.tensor(turns)[:, None])[:, 0]
        own = float(scores[torch.tensor(mask, dtype=torch.bool)].sum())
        assert score == pytest.approx(own, abs=1e-4)
