"""From pairs and paths to rows."""

from __future__ import annotations

import pytest

pytest.importorskip("datasets")

from kitchen import BAD, GOOD, tiny_tokenizer, trajectory

from w2stree import preference_dataset, sft_dataset
from w2stree.chat import ChatFormat
from w2stree.dataset import preference_rows, tokenize_preferences, tokenize_sft
from w2stree.errors import InvalidInput
from w2stree.forest import build_forest
from w2stree.trajectory import Message, Step, Trajectory

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


def test_suffix_rows_with_equal_texts_count_once() -> None:
    pairs = build_forest([GOOD, GOOD, BAD, BAD]).pairs()
    assert len(pairs) == 4
    assert len(preference_rows(pairs, "suffix")) == 1


def test_step_rows_follow_the_mean_return_of_the_two_actions() -> None:
    def ending(action: str, last: str, total_return: float) -> Trajectory:
        return trajectory("task-1", [(action, "ok"), (last, "end")], total_return)

    better_on_average = [ending("slice", "a", 1.0), ending("slice", "b", 0.0)]
    steady = [ending("chop", "a", 0.3)]
    rows = preference_rows(build_forest([*better_on_average, *steady]).pairs(), "step")
    assert [(r.chosen[0].action, r.rejected[0].action) for r in rows if r.history == ()] == [
        ("slice", "chop")
    ]
    balanced = [ending("slice", "a", 1.0), ending("slice", "b", 0.0), ending("chop", "a", 0.5)]
    rows = preference_rows(build_forest(balanced).pairs(), "step")
    assert not [r for r in rows if r.history == ()], "equal means say nothing"


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
    assert tokenize_sft([GOOD], chat, max_length=length).num_too_long == 0
    assert tokenize_sft([GOOD], chat, max_length=length - 1).num_too_long == 1
    cut = tokenize_preferences(rows, chat, max_length=length - 1)
    assert cut.rows == []
    assert cut.num_too_long == 1


def test_nothing_to_learn_from_is_an_error() -> None:
    with pytest.raises(InvalidInput, match="no preference rows"):
        preference_dataset(build_forest([GOOD, GOOD]).pairs())
    with pytest.raises(InvalidInput, match="no trajectories"):
        sft_dataset([])
    with pytest.raises(InvalidInput, match="completion is 'turn'"):
        preference_rows(build_forest([GOOD, BAD]).pairs(), "turn")  # type: ignore[arg-type]
