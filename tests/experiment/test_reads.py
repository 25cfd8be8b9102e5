"""What stages read of a configuration: what they declare, and the keys that redo them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("matplotlib")

from w2stree.experiment.changes import changes, is_within, value_at, values
from w2stree.experiment.config import Config, load_config
from w2stree.experiment.run_directory import StageSpec
from w2stree.experiment.stage_graph import stages
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.view import View

pytestmark = pytest.mark.train

ALL_TRAINED = ("sft_weak", "pretrain", "sft_strong", "tree_dpo", "mcts_sft", "ceiling")


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config("miniature")


def specs(config: Config) -> list[StageSpec]:
    return [spec for spec, _ in stages(Context(config, Path("nowhere")))]


def redone(override: str) -> set[str]:
    """The stages that read what the override changes in the miniature; the report, which reads
    all, left out."""
    before = load_config("miniature")
    now = load_config("miniature", [override])
    was, is_now = before.model_dump(mode="json"), now.model_dump(mode="json")
    return {
        spec.name
        for spec in specs(now)
        if changes(was, is_now, of=spec.reads, but=now.may_change())
    } - {"report"}


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("tree_dpo.beta=0.2", {"tree_dpo"}),
        ("mcts_sft.min_return=0.1", {"mcts_sft"}),
        ("evaluate.num_bootstrap=77", set()),
        ("name=other", set()),
        ("weak.sft.num_epochs=3", {"sft_weak"}),
        ("strong.sft.num_epochs=3", {"sft_strong"}),
        ("strong.pretrain.optimisation.num_epochs=2", {"pretrain"}),
        ("strong.pretrain.max_steps=5", {"random_play"}),
        ("search.num_simulations=50", {"tree"}),
        ("num_trajectories=2", {"tree", "tree_dpo"}),
        ("merge.normalize_observation=sort_words", {"tree"}),
        ("tokenizer.vocab_size=500", {"tokenizer"}),
        ("recombine.budget_per_task=99", set()),  # no method here learns from recombined paths
        ("explore.max_attempts=7", set()),
        ("environment.num_processes=2", set()),
        ("environment.limits.deadline_s=77", set()),
        ("tasks.explore=3", {"tasks"}),
        ("tasks.seed=3", {"tasks", "random_play"}),
        ("max_length=900", set(ALL_TRAINED)),
        ("seeds.explore=3", {"explore"}),
        ("seeds.sft_weak=3", {"sft_weak"}),
        ("explore.samplings=[{temperature: 0.2}, {temperature: 0.3}]", {"explore"}),
        (
            "num_threads=1",
            {*ALL_TRAINED, "explore", *(f"evaluate_{m}" for m in ALL_TRAINED if m != "pretrain")},
        ),
    ],
)
def test_a_changed_key_redoes_the_stages_that_read_it(override: str, expected: set[str]) -> None:
    assert redone(override) == expected


def test_another_seed_redoes_whatever_draws() -> None:
    evaluations = {s.name for s in specs(load_config("miniature")) if s.name[:9] == "evaluate_"}
    assert redone("seed=1") == {"random_play", "explore", *ALL_TRAINED, *evaluations}


def keys_of(record: Any, at: str = "") -> Iterator[str]:
    if isinstance(record, dict) and record:
        for name, value in record.items():
            yield from keys_of(value, f"{at}.{name}".lstrip("."))
    else:
        yield at


def with_every_method(*overrides: str) -> Config:
    """The miniature with a section of each method that it does not compare."""
    given = load_config("miniature")
    absent = [m for m in given.known_methods if m not in given.methods()]
    trained = "{optimisation: {num_steps: 1, learning_rate: 0.001}}"
    sections = [f"{m.name}={'{}' if m.train is None else trained}" for m in absent]
    return load_config("miniature", [*sections, *overrides])


def test_more_tasks_to_test_on_redo_no_training() -> None:
    found = specs(with_every_method("failure_sft.mask=replay"))
    read_all = {spec.name for spec in found if "tasks" in spec.needs and not spec.files}
    assert read_all == {"random_play", "report"}, "which must know what is tested"


def test_every_key_redoes_something_or_is_known_to_change_nothing() -> None:
    """A key that no stage reads would be set in vain."""
    config = with_every_method()
    of_stages = {key for spec in specs(config) if spec.name != "report" for key in spec.reads}
    read = {*of_stages, *config.may_change(), "seed", "seeds", "name", "evaluate.num_bootstrap"}
    all_keys = set(keys_of(config.model_dump(mode="json")))
    assert [key for key in all_keys if not is_within(key, read)] == []
    nowhere = [key for key in of_stages if key.partition(".")[0] not in type(config).model_fields]
    assert nowhere == []


def view(config: Config, *keys: str) -> Any:
    return View(config, keys, "tree")


def test_a_view_shows_what_is_declared(config: Config) -> None:
    seen = view(config, "merge", "strong.pretrain.optimisation", "decoding.thought")
    assert seen.merge is config.merge
    assert seen.strong.pretrain.optimisation is config.strong.pretrain.optimisation  # type: ignore[union-attr]
    assert seen.decoding.thought == config.decoding.thought
    for read, key in (
        (lambda: seen.search, "search"),
        (lambda: seen.strong.pretrain.games, r"strong\.pretrain\.games"),
        (lambda: seen.strong.sft, r"strong\.sft"),
        (lambda: seen.decoding.actions, r"decoding\.actions"),
        (lambda: seen.seed, "seed"),
        (lambda: seen.seed_of("tree"), r"seeds\.tree"),
        (seen.methods, "environment"),
    ):
        with pytest.raises(LookupError, match=rf"the stage tree reads {key}, which"):
            read()


def test_a_file_that_says_which_tasks_there_are_is_read(config: Config) -> None:
    split = ["environment={name: scienceworld, split_file: eto.json}", "decoding={}"]
    by_name = {spec.name: spec for spec in specs(load_config("miniature", split))}
    assert by_name["tasks"].external == (Path("eto.json"),)
    assert specs(config)[0].external == ()


def test_a_section_that_is_absent_is_seen_to_be() -> None:
    config = load_config("miniature", ["strong.pretrain=null"])
    assert view(config, "strong.pretrain.optimisation").strong.pretrain is None


def test_methods_of_a_section_see_no_more_than_it_shows(config: Config) -> None:
    seen = view(config, "tree_dpo", "seeds.tree_dpo", "weak.sft")
    by_name = {method.name: method for method in config.known_methods}
    assert seen.settings(by_name["tree_dpo"]) is config.settings(by_name["tree_dpo"])
    assert seen.settings(by_name["sft_weak"]) is config.weak.sft
    assert seen.seed_of("tree_dpo") == 0
    with pytest.raises(LookupError, match="reads mcts_sft"):
        seen.settings(by_name["mcts_sft"])


def test_a_stage_reads_the_stages_it_needs_alone(config: Config, tmp_path: Path) -> None:
    context = Context(config, tmp_path)
    with context.reading(StageSpec("tree", ("explore",), reads=("merge",))):
        assert context.folder("explore") == tmp_path / "explore"
        for read in (
            lambda: context.trajectories("demonstrations"),
            lambda: context.model_dir("sft_weak"),
            context.parts,
        ):
            with pytest.raises(LookupError, match=r"the stage tree reads \w+, which .*needs"):
                read()
        for read in (context.pool, context.demonstrated, lambda: context.seed("tree")):
            with pytest.raises(LookupError, match="the stage tree reads "):
                read()
    assert context.config is config
    assert context.folder("sft_weak")


def test_seeds_of_stages() -> None:
    config = load_config("miniature", ["seed=3", "seeds={explore: 0}"])
    same, other = (load_config("miniature", [f"seed={seed}"]) for seed in (0, 3))
    folder = Path("nowhere")
    assert Context(config, folder).seed("explore") == Context(same, folder).seed("explore")
    assert Context(config, folder).seed("pretrain") == Context(other, folder).seed("pretrain")


def test_a_stage_that_draws_nothing_has_no_seed() -> None:
    message = r"seeds: 'tree' draws nothing with a seed of its own; .*explore.*tree_dpo.* do"
    with pytest.raises(ValueError, match=message):
        load_config("miniature", ["seeds.tree=1"])


def test_differences_by_key() -> None:
    def found(before: Any, now: Any, *of: str, but: Sequence[str] = ()) -> list[str]:
        return [str(change) for change in changes(before, now, of=of or ("",), but=but)]

    games = {"games": [{"n": 1}, {"n": 2}]}
    assert found(games, {"games": [{"n": 1}, {"n": 3}]}) == ["games[1].n: 2 there, 3 now"]
    assert found(games, {"games": [{"n": 1}]}) == [
        "games: [{'n': 1}, {'n': 2}] there, [{'n': 1}] now"
    ]
    assert found({"a": 1, "b": {"c": 1}}, {"a": 2, "b": {"c": 2}}, "b") == ["b.c: 1 there, 2 now"]
    assert found({"a": 1, "b": {"c": 1}}, {"a": 2, "b": {"c": 2}}, but=["b"]) == [
        "a: 1 there, 2 now"
    ]
    assert found({"a": float("nan")}, {"a": float("nan")}) == []
    assert found({"seed": 1}, {"seed": 2, "seeds": {"x": 1}}, "seeds.x", "seeds.y") == [
        "seeds.y: 1 there, 2 now"
    ]
    assert "\x1b" not in found({"a": "\x1b[2J"}, {"a": 1})[0]
    assert len(found({"a": "x" * 9999}, {"a": 1})[0]) < 200
    assert value_at({"seed": 0, "seeds": {"x": 0}}, "seeds.x") == 0
    assert is_within("games[1].n", ["games"]) and not is_within("gamesome", ["games"])
    read = values({"a": {"b": 1, "c": 2}, "d": 3}, of=("a",), but=("a.c",))
    assert read == {"a": {"b": 1}}
