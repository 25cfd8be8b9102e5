"""From pairs and paths to rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("datasets")

from support.tiny_models import BAD, GOOD, tiny_tokenizer, trajectory

from w2stree import preference_dataset, sft_dataset
from w2stree.errors import InvalidInput
from w2stree.forest.build import build_forest
from w2stree.training.rows import PreferenceRow, preference_rows, tokenize_preferences, tokenize_sft
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.trajectory import Message, Step, Trajectory
from w2stree.turns.chat import ChatFormat

pytestmark = pytest.mark.train


def test_step_and_suffix_rows_share_the_prompt_and_differ_after_it() -> None:
    pairs = build_forest([GOOD, BAD]).pairs()
    step = preference_dataset(pairs, completion="step")[0]
    suffix = preference_dataset(pairs, completion="suffix")[0]
    assert step["prompt"] == suffix["prompt"]
    assert [m["role"] for m in step["prompt"]] == ["user", "assistant", "user"]
    assert step["prompt"][-1]["content"] == "You take the knife."
    assert [m["content"] for m in step["chosen"]] == [GOOD.steps[1].response]
    assert [m["content"] for m in step["rejected"]] == [BAD.steps[1].response]
    assert [m["role"] for m in suffix["chosen"]] == ["assistant", "user", "assistant"]
    assert suffix["chosen"][-1]["content"] == GOOD.steps[-1].response


def test_rows_can_be_filtered_and_traced_to_their_divergence() -> None:
    forest = build_forest([GOOD, BAD])
    pairs = forest.pairs()
    for completion in ("step", "suffix"):
        row = preference_dataset(pairs, completion)[0]
        assert row["task_id"] == GOOD.task_id
        assert row["divergence"] == pairs.divergence[0]
        assert row["depth"] == forest.depth[row["divergence"]] == 1
        assert row["gap"] == GOOD.total_return - BAD.total_return


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


def test_actions_without_a_response_are_told_apart() -> None:
    bare = [
        Trajectory("t", (Message("user", "go"),), (Step(action, "ok"),), total_return, "done")
        for action, total_return in (("a", 1.0), ("b", 0.5), ("c", 0.0))
    ]
    pairs = build_forest(bare).pairs()
    for completion in ("step", "suffix"):
        assert len(preference_rows(pairs, completion)) == 3


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


def _actions_at_root(rows: list[PreferenceRow]) -> list[tuple[str, str]]:
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


def test_logs_that_kept_only_actions_get_rendered_turns() -> None:
    bare = Trajectory(
        "t", (Message("user", "go"),), (Step("look", "a room"), Step("leave", "out")), 1.0, "done"
    )
    messages = sft_dataset([bare])[0]["messages"]
    assert [m["content"] for m in messages] == ["go", "Action: look", "a room", "Action: leave"]
    rows = tokenize_sft([bare], ChatFormat(tiny_tokenizer()), max_length=512).rows
    assert any(label != -100 for label in rows[0]["labels"])


def test_too_long_rows_are_left_out_whole_and_counted() -> None:
    chat = ChatFormat(tiny_tokenizer())
    rows = preference_rows(build_forest([GOOD, BAD]).pairs(), "suffix")
    length = len(chat.prompt_ids(GOOD.prompt) + chat.steps_ids(GOOD.steps)[0])
    assert tokenize_sft([GOOD], chat, max_length=length).too_long == []
    assert tokenize_sft([GOOD], chat, max_length=length - 1).too_long == [GOOD]
    assert tokenize_preferences(rows, chat, max_length=length - 1) == [None]


@pytest.mark.filterwarnings("ignore::w2stree.IdenticalTrajectories")
def test_nothing_to_learn_from_is_an_error() -> None:
    with pytest.raises(InvalidInput, match="no preference rows"):
        preference_dataset(build_forest([GOOD, GOOD]).pairs())
    with pytest.raises(InvalidInput, match="no trajectories"):
        sft_dataset([])
    with pytest.raises(InvalidInput, match="completion is 'turn'"):
        preference_rows(build_forest([GOOD, BAD]).pairs(), "turn")  # type: ignore[arg-type]
