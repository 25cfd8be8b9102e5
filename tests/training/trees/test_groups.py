"""Groups and advantages of a small forest, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("trl")
import numpy as np
from support.tiny_models import BAD, GOOD, WORSE, tiny_tokenizer, trajectory

from w2stree.errors import InvalidInput
from w2stree.forest.advantages import node_advantages
from w2stree.forest.build import build_forest
from w2stree.training.trees.advantages import advantage_examples
from w2stree.training.trees.groups import group_examples, group_rows
from w2stree.training.trees.objectives import Group, PolicyGradient
from w2stree.trajectories.trajectory import Step
from w2stree.turns.chat import ChatFormat
from w2stree.turns.react import render_turn

pytestmark = pytest.mark.train

# take knife ─┬─ slice carrot ── eat carrot    1.0
#             ├─ chop carrot ─── eat carrot    0.0   and again   0.4
#             └─ drop knife                    0.1
AGAIN = replace(BAD, total_return=0.4)
RUNS = [GOOD, BAD, WORSE, AGAIN]


def test_a_group_of_steps_has_a_member_for_each_action() -> None:
    [group] = group_rows(build_forest(RUNS), "step")
    assert [m.steps[1].action for m in group.members] == [
        "slice carrot", "chop carrot", "drop knife"
    ]  # fmt: skip
    assert group.returns == (1.0, 0.2, 0.1) and group.num_runs == (1, 2, 1)
    assert group.members[1] is AGAIN, "the best of its runs stands for it"
    assert (group.begin, group.end) == (1, 2)
    expected = np.exp(np.array(group.returns) / 0.5)
    np.testing.assert_allclose(group.target(0.5), expected / expected.sum())
    assert group.target(1e-6) == (1.0, 0.0, 0.0)


def test_a_group_of_suffixes_has_a_member_for_each_way_on() -> None:
    other = trajectory("task-1", [("take knife", "You take the knife."), ("wait", "Time.")], 0.9)
    [group] = group_rows(build_forest([*RUNS, other]), "suffix")
    assert group.members == (GOOD, other, AGAIN, WORSE)
    assert group.returns == (1.0, 0.9, 0.2, 0.1), "runs that read alike are one member"
    assert group.end is None


def test_examples_score_the_agent_s_turns_after_one_history() -> None:
    chat = ChatFormat(tiny_tokenizer())
    [group] = group_rows(build_forest(RUNS), "step")
    [example] = group_examples([group], chat, temperature=0.5, max_length=500)
    assert example is not None and example.target == group.target(0.5)
    history = chat.history_ids(GOOD.prompt, GOOD.steps[:1])
    for member, sequence in zip(group.members, example.sequences, strict=True):
        turn = chat.response_ids(member.steps[1])
        assert sequence.ids.tolist() == history + turn
        assert sequence.weight.tolist() == [0] * len(history) + [1] * len(turn)
    Group(beta=0.1).check([example])
    longest = max(len(s.ids) for s in example.sequences)
    assert group_examples([group], chat, temperature=0.5, max_length=longest - 1) == [None]
    with pytest.raises(InvalidInput, match="temperature is 0"):
        group_examples([group], chat, temperature=0, max_length=9)


def test_what_says_nothing_is_in_no_group() -> None:
    assert group_rows(build_forest([replace(GOOD, total_return=0.1), WORSE]), "step") == []
    wordless = trajectory("task-1", [("take knife", "You take the knife.")], 0.3)
    wordless = replace(wordless, steps=(*wordless.steps, Step("wait", "Time passes.")))
    mute = replace(
        wordless,
        steps=(wordless.steps[0], Step("", "Your reply had no action.", render_turn("Hm.", ""))),
    )
    forest = build_forest([*RUNS, wordless, mute])
    assert [len(g.members) for g in group_rows(forest, "step")] == [3]
    with pytest.raises(InvalidInput, match="use 'step' or 'suffix'"):
        group_rows(forest, "pairs")  # type: ignore[arg-type]


def test_advantages_are_differences_of_mean_returns() -> None:
    forest = build_forest(RUNS)
    found = dict(zip(zip(forest.depth.tolist(), forest.action_id.tolist(), strict=True),
                     node_advantages(forest).tolist(), strict=True))  # fmt: skip
    mean = (1.0 + 0.0 + 0.1 + 0.4) / 4
    of = {a: i for i, a in enumerate(forest.actions)}
    assert found[0, -1] == 0 and found[1, of["take knife"]] == 0
    assert found[2, of["slice carrot"]] == pytest.approx(1.0 - mean)
    assert found[2, of["chop carrot"]] == pytest.approx(0.2 - mean)
    assert found[2, of["drop knife"]] == pytest.approx(0.1 - mean)
    assert found[3, of["eat carrot"]] == 0


def test_runs_weigh_their_turns_by_advantages_and_end_at_the_last() -> None:
    chat = ChatFormat(tiny_tokenizer())
    forest = build_forest(RUNS)
    examples = advantage_examples(forest, chat, max_length=500)
    assert [e is not None for e in examples] == [True] * 4
    found = [e.sequences[0] for e in examples if e is not None]
    history = chat.history_ids(GOOD.prompt, GOOD.steps[:1])
    for run, sequence in zip(RUNS, found, strict=True):
        turn = chat.response_ids(run.steps[1])
        mean = {"slice carrot": 1.0, "chop carrot": 0.2, "drop knife": 0.1}[run.steps[1].action]
        assert sequence.ids.tolist() == history + turn
        expected = [0.0] * len(history) + [mean - 0.375] * len(turn)
        np.testing.assert_allclose(sequence.weight, expected, atol=1e-7)
    PolicyGradient().check([e for e in examples if e is not None])
    assert advantage_examples(forest, chat, max_length=len(history)) == [None] * 4


def test_a_run_of_no_advantage_is_one_token() -> None:
    chat = ChatFormat(tiny_tokenizer())
    alone = replace(GOOD, task_id="task-2")
    [*_, last] = advantage_examples(build_forest([GOOD, BAD, alone]), chat, max_length=500)
    assert last is not None
    assert len(last.sequences[0].ids) == 1 and not last.sequences[0].weight.any()
    assert last.tree == 1
