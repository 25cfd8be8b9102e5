"""A reference's scores: computed once, kept by pack and model, never trusted unread."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")
import numpy as np  # noqa: E402
from peft import LoraConfig, get_peft_model  # noqa: E402
from support.token_trees import alone, pairs, token_model  # noqa: E402

from w2stree.errors import InvalidInput, ModelFailure  # noqa: E402
from w2stree.training.trees import reference  # noqa: E402
from w2stree.training.trees.reference import model_digest, reference_scores  # noqa: E402
from w2stree.training.trees.sequences import ScoredIds  # noqa: E402

pytestmark = pytest.mark.train


def small_model(**settings: Any) -> Any:
    return token_model(torch.float32, **settings)


def sequences() -> list[ScoredIds]:
    examples = pairs(np.random.default_rng(0), completion="suffix")
    return [s for e in examples for s in e.sequences]


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one for each pass of a model."""
    made: list[int] = []
    own = reference.scores

    def counted(*args: Any, **kwargs: Any) -> Any:
        made.append(1)
        return own(*args, **kwargs)

    monkeypatch.setattr(reference, "scores", counted)
    return made


@pytest.mark.parametrize("budget", [8, 10_000])
def test_they_are_the_scores_of_each_sequence_by_itself(budget: int) -> None:
    model = small_model()
    with torch.no_grad():
        expected = [alone(model, s).item() for s in sequences()]
    found = reference_scores(model, sequences(), max_pack_tokens=budget)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert all(w.grad is None for w in model.parameters())


def test_what_was_computed_is_read_and_the_same(tmp_path: Path, passes: list[int]) -> None:
    first = reference_scores(small_model(), sequences(), max_pack_tokens=30, cache=tmp_path)
    computed = len(passes)
    assert computed > 1 and len(list(tmp_path.iterdir())) == computed
    again = reference_scores(small_model(), sequences(), max_pack_tokens=30, cache=tmp_path)
    assert len(passes) == computed
    np.testing.assert_array_equal(again, first)


def test_another_model_or_other_sequences_are_computed(tmp_path: Path, passes: list[int]) -> None:
    given = sequences()

    def computes(model: Any, given: list[ScoredIds]) -> bool:
        passes.clear()
        reference_scores(model, given, max_pack_tokens=10_000, cache=tmp_path)
        return bool(passes)

    assert computes(small_model(), given) and not computes(small_model(), given)
    moved = small_model()
    with torch.no_grad():
        moved.lm_head.weight[0, 0] += 1e-3
    assert computes(moved, given)
    assert computes(small_model(rms_norm_eps=1e-3), given), "its configuration is another"
    assert computes(small_model(), given[1:])
    other = ScoredIds(given[0].ids, given[0].weight * 2, given[0].tree)
    assert computes(small_model(), [other, *given[1:]])


def test_a_model_is_named_by_what_its_scores_depend_on() -> None:
    model = get_peft_model(small_model(), LoraConfig(r=2, target_modules="all-linear"))
    named = model_digest(model)
    assert named == model_digest(model) != model_digest(small_model())
    with model.disable_adapter():
        assert model_digest(model) != named
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    assert model_digest(model) != named


def _damage(kept: dict[str, Any]) -> dict[str, bytes]:
    moved = {**kept, "scores": [kept["scores"][0] + 1, *kept["scores"][1:]]}
    return {
        "nothing": b"",
        "half": json.dumps(kept).encode()[: len(json.dumps(kept)) // 2],
        "no JSON": b"\xff\x00",
        "a list": b"[1, 2]",
        "another score": json.dumps(moved).encode(),
        "another model": json.dumps({**kept, "model": "other"}).encode(),
        "fewer scores": json.dumps({**kept, "scores": kept["scores"][1:]}).encode(),
        "no score": json.dumps({**kept, "scores": [float("nan")]}).encode(),
        "words": json.dumps({**kept, "scores": "all of them"}).encode(),
    }


@pytest.mark.parametrize("damage", list(_damage({"scores": [0.0]})))
def test_a_damaged_file_is_computed_anew_and_replaced(
    damage: str, tmp_path: Path, passes: list[int]
) -> None:
    first = reference_scores(small_model(), sequences(), max_pack_tokens=10_000, cache=tmp_path)
    [file] = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(_damage(json.loads(whole))[damage])
    passes.clear()
    again = reference_scores(small_model(), sequences(), max_pack_tokens=10_000, cache=tmp_path)
    assert passes and file.read_bytes() == whole
    np.testing.assert_array_equal(again, first)


def test_a_file_of_another_pack_in_its_place_is_not_trusted(
    tmp_path: Path, passes: list[int]
) -> None:
    reference_scores(small_model(), sequences(), max_pack_tokens=10_000, cache=tmp_path)
    [first] = tmp_path.iterdir()
    theirs = first.read_bytes()
    first.unlink()
    swapped = [sequences()[i] for i in (1, 0, *range(2, len(sequences())))]
    expected = reference_scores(small_model(), swapped, max_pack_tokens=10_000, cache=tmp_path)
    [second] = tmp_path.iterdir()
    second.write_bytes(theirs)
    passes.clear()
    found = reference_scores(small_model(), swapped, max_pack_tokens=10_000, cache=tmp_path)
    assert passes
    np.testing.assert_array_equal(found, expected)


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    given = sequences()
    with pytest.raises(InvalidInput, match=r"rows\[0\] has 5 tokens, the model 4 positions"):
        long = ScoredIds.of([1] * 5, [0, 0, 0, 0, 1])
        reference_scores(
            small_model(max_position_embeddings=4),
            [long, long],
            max_pack_tokens=9,
            sequences_a_row=2,
        )
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="scores cannot be kept there"):
        reference_scores(small_model(), given, max_pack_tokens=9, cache=tmp_path / "file")
    broken = small_model()
    with torch.no_grad():
        broken.lm_head.weight[0, 0] = torch.nan
    with pytest.raises(ModelFailure, match="are no finite numbers"):
        reference_scores(broken, given, max_pack_tokens=9, cache=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["file"], "and nothing of it is kept"
