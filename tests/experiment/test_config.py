"""Configurations: what is wrong is named by file and key."""

from __future__ import annotations

import copy
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

pytest.importorskip("pydantic")

import yaml

from w2stree.environments.options import TextWorldExpressOptions
from w2stree.errors import InvalidInput
from w2stree.experiment.config import load_config, shipped_configs
from w2stree.experiment.config.reading import recorded_today
from w2stree.experiment.config.tasks import Panel, TasksSection
from w2stree.experiment.config.yaml_text import parse_yaml
from w2stree.forest.merging import Merging
from w2stree.rollouts.exploration import PAPER_SAMPLINGS
from w2stree.turns.decoding import Decoding


@pytest.mark.parametrize("name", shipped_configs())
def test_shipped_configurations_are_valid(name: str) -> None:
    assert load_config(name).name == name


def test_overrides_reach_nested_keys() -> None:
    config = load_config("miniature", ["seed=5", "tree_dpo.beta=0.5", "explore.samplings.0=x"][:2])
    assert (config.seed, config.tree_dpo.beta) == (5, 0.5)


def test_the_merge_rule_is_a_section() -> None:
    assert load_config("miniature").merge == Merging()
    overrides = ["merge.min_similarity=0.9", "merge.embed=all-MiniLM-L6-v2", "merge.guard=null"]
    expected = Merging(min_similarity=0.9, embed="all-MiniLM-L6-v2", guard=None)
    assert load_config("miniature", overrides).merge == expected


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "tree_dpo.betta=0.5",
            r"tree_dpo.betta: no such key; did you mean beta\? known are .*min_gap, .*compl",
        ),
        ("colour=red", r"colour: no such key; known are name, seed, .*, ceiling, .*$"),
        ("environment=null", r"environment: is missing: .*methods are tested .* `w2stree train`"),
        ("seed=-1", r"seed: is -1; give a number of at least 0"),
        ("seed=x", r"seed: is 'x'; give a whole number"),
        ("weak=null", r"weak: is null; give keys and values"),
        ("weak.path=models/x", r"weak: give exactly one of path and architecture"),
        ("weak.architecture.max_length=64", r"weak.architecture.max_length is below max_length"),
        ("weak.architecture.num_heads=5", r"weak.architecture: .*even multiple of num_heads \(5\)"),
        ("weak.architecture.depth=5", r"weak.architecture.depth: no such key; known are hidden_s"),
        ("weak.sft={num_epochs: 1}", r"weak.sft.learning_rate: is missing"),
        ("weak.sft.batch_size=0", r"weak.sft: batch_size is 0; give at least 1"),
        ("weak.sft.adam_beta2=1", r"weak.sft: adam_beta2 is 1.0; give a number in \[0, 1\)"),
        ("weak.sft.scheduler=cosin", r"weak.sft.scheduler: is 'cosin'; did you mean cosine\?"),
        ("weak.sft.lora={rank: 8}", r"weak.sft.lora.rank: no such key; known are r, alpha"),
        ("weak.sft.lora={r: 0}", r"weak.sft.lora: r is 0; give at least 1"),
        ("weak.sft.lora=8", r"weak.sft.lora: is 8; give keys and values"),
        (
            "weak.sft.lora={target_modules: q_proj}",
            r"lora.target_modules: is 'q_proj'; give a list, or use one of all-linear$",
        ),
        (
            "weak.template_arguments={a: [1]}",
            r"template_arguments.a: is \[1\]; give true or .* text$",
        ),
        ("environment=twc", r"environment: is 'twc'; give keys and values"),
        ("environment={game: twc}", r"environment.name: is missing; use one of textworld_express"),
        ("environment.name=webshp", r"environment.name: is 'webshp'; did you mean webshop\? use"),
        ("environment.game=chess", r"environment: game is 'chess'; TextWorldExpress has cooking"),
        ("environment.max_steps=0", r"environment: max_steps is 0; give at least 1"),
        ("environment.gme=twc", r"environment.gme: no such key; did you mean game\?"),
        ("environment.params={a: b}", r"environment.params.a: is 'b'; give a whole number"),
        ("environment.deadline_s=9", r"environment.deadline_s: has moved: write environment.lim"),
        ("environment.limits={deadline: 9}", r"environment.limits.deadline: .*mean deadline_s\?"),
        ("environment.limits={deadline_s: 0}", r"environment.limits: deadline_s is 0.0; give"),
        (
            "tasks.demonstrations_from=runs.jsonl",
            r"tasks.demonstrations_from: has moved: write demonstrations$",
        ),
        ("prompt.thought=false", r"prompt.thought: has moved: write decoding.thought"),
        ("decoding.actions=fre", r"decoding.actions: is 'fre'; did you mean free\? use one of adm"),
        ("decoding.max_new_tokens=0", r"decoding: max_new_tokens is 0; give at least 1"),
        ("decoding=free", r"decoding: is 'free'; give keys and values"),
        ("explore.samplings=papr", r"explore.samplings: is 'papr'; give a list, .*, or paper for"),
        ("explore.samplings=[{top_p: 1}]", r"explore.samplings: has 1; give at least 2"),
        (
            "explore.samplings=[{}, {temperature: -1}]",
            r"^miniature: explore.samplings.1: temperature is -1.0; give a number >= 0$",
        ),
        ("tree_dpo.reference=strong", r"tree_dpo.reference: is 'strong'; use one of weak, start"),
        (
            "strong.pretrain.games=[{game: twc, episodes: 2000}]",
            r"strong.pretrain.games.0: 2000 tasks of one fold are asked for; twc has 1000",
        ),
        ("tasks.test_offset=850", r"tasks.test_offset: is gone: tasks are drawn by tasks.seed, a"),
        ("tasks.test=0", r"tasks: test is 0; give a number of tasks above 0, or panels, as \{new"),
        ("tasks.test=all", r"tasks: test is 'all'; give a number of tasks above 0, or panels"),
        ("tasks.test={new: {count: 5}}", r"tasks: test names panels, .*: leave test_split out"),
        ("tasks.test_split=val", r"tasks.test.test.split is 'val'; cookingworld has train, dev, t"),
        ("tasks.dev=0", r"tasks.dev.count: is 0; give a number above 0"),
        (
            "tasks={demonstrations: 1, explore: 1, test: {1: {count: 5}}}",
            r"test.1: is 1; give text",
        ),
        ("tasks.dev=true", r"tasks.dev.count: is true; give a whole number"),
        ("tasks.demonstrations=true", r"tasks.demonstrations: is true; give a whole number"),
        ("tasks.seed=true", r"tasks.seed: is true; give a whole number"),
        ("seed=true", r"seed: is true; give a whole number"),
        ("search.min_visits=false", r"search.min_visits: is false; give a whole number"),
        ("tasks.dev={split: x, count: 1}", r"tasks.dev.split is 'x'; cookingworld has train, d"),
        (
            "tasks={demonstrations: 1, explore: 1, test: {new: {split: train}}}",
            r"tasks.test.new.count: is missing",
        ),
        ("tasks={demonstrations: 1, explore: 1, test: {}}", r"tasks.test: has 0; give at least 1"),
        ("seed", r"override 'seed': write key.path=value"),
        ("merge.min_similarity=0.9", r"merge: .*min_similarity is given without embed"),
        ("merge.guard=os:remove", r"merge: .*guard='os:remove' is not known; .*'distinctions'"),
        ("merge.xi=0.9", r"merge.xi: "),
        ("seed.x=1", r"override 'seed.x=1': 'seed' is a value, not a section"),
        ("seed=[", r"override 'seed=\[': not valid YAML: .* at column 2"),
    ],
)
def test_bad_keys_and_values_are_named(override: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as refused:
        load_config("miniature", [override])
    assert len(str(refused.value).splitlines()) == 1
    assert "__pydantic_config__" not in str(refused.value)
    for theirs in ("Input should", "Value error", "pydantic.dev", "[type="):
        assert theirs not in str(refused.value)


def test_every_mistake_is_told() -> None:
    with pytest.raises(InvalidInput) as refused:
        load_config("miniature", ["seed=-1", "colour=red"])
    assert [line.split(":")[1] for line in str(refused.value).splitlines()] == [" seed", " colour"]


def test_samplings_may_be_the_paper_s() -> None:
    assert load_config("miniature", ["explore.samplings=paper"]).explore.samplings == (
        PAPER_SAMPLINGS
    )


def test_limits_are_laid_over_the_environment_s_own() -> None:
    limits = load_config("miniature", ["environment.limits.deadline_s=7"]).environment.limits
    assert limits == replace(TextWorldExpressOptions(game="twc").limits, deadline_s=7)


def test_decoding_is_laid_over_what_the_environment_allows() -> None:
    scienceworld = "environment={name: scienceworld}"
    listing = "environment={name: scienceworld, list_actions: true}"
    only_length = "decoding={max_new_tokens: 9}"
    assert load_config("miniature", [only_length]).decoding == Decoding("admissible", True, 9)
    assert load_config("miniature", [only_length, scienceworld]).decoding.actions == "free"
    assert load_config("miniature", [only_length, listing]).decoding.actions == "admissible"
    told = load_config("miniature", ["decoding={actions: admissible}", scienceworld]).decoding
    assert told == Decoding("admissible")
    absent = load_config("miniature", ["decoding={}"]).decoding
    assert absent == TextWorldExpressOptions(game="twc").decoding == Decoding("admissible")


def test_methods_are_left_out_for_want_of_actions_alone() -> None:
    scienceworld = "environment={name: scienceworld}"
    assert load_config("quickstart").methods_left_out() == (), "searched_sft is not asked for"
    (random,) = load_config("miniature", [scienceworld]).methods_left_out()
    assert random.name == "random"


def test_a_number_of_test_tasks_is_one_panel() -> None:
    miniature = load_config("miniature").tasks
    assert miniature.test == {"test": Panel(split="dev", count=6)}
    panels = "test: {new: {split: train, count: 5}, unseen: {count: 3}}"
    tasks = load_config("miniature", [f"tasks={{demonstrations: 2, explore: 4, {panels}}}"]).tasks
    assert tasks.test == {"new": Panel(split="train", count=5), "unseen": Panel(count=3)}
    assert tasks.test["unseen"].split == "test"
    assert tasks.most_of_one_fold() == 11
    for seven in ("7", "{count: 7}"):
        dev = load_config("miniature", [f"tasks.dev={seven}"]).tasks.dev
        assert dev == Panel(split="dev", count=7)
    alfworld = "environment={name: alfworld}"
    seen = load_config("miniature", [alfworld, "tasks.test_split=valid_seen"]).tasks
    assert seen.test["test"].split == "valid_seen"


def test_a_recorded_run_whose_test_tasks_had_numbers_is_not_read() -> None:
    config = load_config("miniature")
    old = config.model_dump(mode="json")
    old["tasks"] |= {"test": 6, "test_split": "dev", "test_offset": 0}
    with pytest.raises(InvalidInput, match=r"^config.json: tasks.test_offset: is gone"):
        recorded_today(config)(old)


def test_a_recorded_configuration_reads_as_it_was_recorded() -> None:
    config = load_config("miniature")
    recorded = config.model_dump(mode="json")
    assert recorded_today(config)(recorded) == recorded


def test_an_older_layout_reads_with_each_key_where_it_stands_today() -> None:
    config = load_config("miniature", ["decoding.thought=false", "environment.limits.deadline_s=9"])
    recorded = config.model_dump(mode="json")
    old = copy.deepcopy(recorded)
    old["prompt"]["thought"] = old["decoding"].pop("thought")
    old["environment"] |= old["environment"].pop("limits")
    for sampling in old["explore"]["samplings"]:
        del sampling["model"]
    del old["weak"]["sft"]["adam_beta2"]
    before = copy.deepcopy(old)
    assert recorded_today(config)(old) == recorded
    assert old == before, "what was read is left as it was"
    for record in ([], {"environment": 3}, {"prompt": {"thought": True}, "decoding": 5}):
        with pytest.raises(InvalidInput, match=r"^config.json: "):
            recorded_today(config)(record)


def test_a_guard_that_is_gone_matters_where_it_was_used_alone() -> None:
    config = load_config("miniature")
    recorded = config.model_dump(mode="json")
    old = {**recorded, "merge": {**recorded["merge"], "guard": "state_words"}}
    assert recorded_today(config)(old) == recorded
    old["merge"] |= {"min_similarity": 0.9, "embed": "all-MiniLM-L6-v2"}
    with pytest.raises(InvalidInput, match=r"guard='state_words' is not known"):
        recorded_today(config)(old)


def test_files_that_are_not_configurations_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("a: [1,\nb: 2")
    with pytest.raises(InvalidInput, match=r"run.yaml: not valid YAML.*line 2"):
        load_config(file)
    file.write_text("- just\n- a list\n")
    with pytest.raises(InvalidInput, match="expected keys and values, found list"):
        load_config(file)
    with pytest.raises(InvalidInput, match=r"no such file, and no shipped .*quickstart"):
        load_config(tmp_path / "absent.yaml")


SMALL = "name: x\nseed: 1\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (SMALL + "seed: 2\n", "the key 'seed' is given twice, in lines 2 and 3"),
        ("a: {b: 1, 'b': 2}", "the key 'b' is given twice, in columns 5 and 11"),
        ("<<: {a: 1}\n<<: {b: 1}", "the key '<<' is given twice, in lines 1 and 2"),
        ("a:\n  - &b [*b]", "the anchor at line 2, column 5 holds itself"),
        ("[" * 100_000, "nested deeper than 64 at column 65"),
        ("- " * 500 + "x", "nested deeper than 64 at column 129"),
        (
            "a: &a [1]\n"
            + "".join(
                f"{c}: &{c} [{', '.join(['*' + b] * 20)}]\n"
                for b, c in ("ab", "bc", "cd", "de", "ef", "fg", "gh")
            ),
            "more than 100000 values at line 5, column 4, with every anchor written out",
        ),
        ("a:\n\tb: 1", r"found character .*t' that cannot .* \(indent with spaces\) at line 2"),
        ("a: 1\n---\nb: 2", "but found another document at line 2, column 1"),
        ("a: 2026-02-30", "'2026-02-30' at column 4 is no timestamp that can be read; a text goes"),
        ("a: !!python/object/apply:os.getcwd []", "not valid YAML: could not determine a constr"),
        ("a: " + "1" * 5_000, "is no int that can be read"),
        ("a: '\0'", r"the character U\+0000 at column 5; write it as an escape in double quotes"),
        ("? [a]\n: 1", "the key at line 1, column 3 is no plain value"),
    ],
)
def test_yaml_is_read_strictly(content: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidInput, match=rf"run\.yaml: .*{told}"):
        load_config(file)


def test_encodings_of_yaml_are_read_or_named(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    for encoding, told in (
        ("utf-16", "this is UTF-16: convert it with iconv -f UTF-16 -t UTF-8"),
        ("latin-1", r"not UTF-8 at line 1, column 7 \(byte 0xe9\)"),
    ):
        file.write_bytes("name: é\nseed: 1\n".encode(encoding))
        with pytest.raises(InvalidInput, match=rf"run\.yaml: {told}"):
            load_config(file)
    whole = (resources.files("w2stree.experiment") / "configs/miniature.yaml").read_text()
    file.write_bytes(whole.replace("\n", "\r\n").encode("utf-8-sig"))
    assert load_config(file) == load_config("miniature")


def test_merge_keys_and_anchors_are_right() -> None:
    text = "a: &x {k: 1, j: 2}\nb: {<<: *x, k: 5}\nc: {<<: [*x, {z: 1}]}\nd: {<<: {<<: *x, k: 9}}\n"
    read = parse_yaml(text, "x")
    assert read == yaml.safe_load(text)
    assert read["b"] == {"k": 5, "j": 2}


def test_what_anchors_share_is_a_copy_at_each_place() -> None:
    shared = parse_yaml("a: &x {k: 1}\nb: *x", "x")
    shared["a"]["k"] = 2
    assert shared["b"] == {"k": 1}


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("search.exploration=.inf", r"search\.exploration: is inf; give a finite number"),
        (f"seed={2**32}", r"seed: is 4294967296; give a number below 4294967296"),
        (f"search.num_simulations={2**63}", r"is 9223372036854775808; give a number of at most"),
        ("search.exploration=inf", r"search\.exploration: is inf; give a finite number"),
        ("search.exploration=.nan", r"search\.exploration: is nan; give "),
        ("tree_dpo.min_gap=.inf", r"tree_dpo.*is inf; give a finite number"),
        ("weak.sft.learning_rate=.inf", r"weak\.sft: learning_rate is inf; give a number"),
        ("weak.sft.num_epochs=.inf", r"weak\.sft.*is inf; give a "),
        ("environment.limits.deadline_s=.inf", r"deadline_s is inf; give a finite number"),
        ('prompt.instruction="\\ud800 cook"', r"is '\\ud800 cook', with half a character"),
        ("seed=2026-13-01", "'2026-13-01' at column 1 is no timestamp"),
        ("search={min_visits: 1, min_visits: 2}", "given twice, in columns 2 and 17"),
    ],
)
def test_what_cannot_be_meant_is_refused_when_it_is_read(override: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        load_config("miniature", [override])


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["seed=1", "seed=2"], "override 'seed=2': 'seed=1' is given too"),
        (["search.min_visits=1", "search={}"], "override 'search={}': 'search.min_visits=1' is"),
    ],
)
def test_an_override_that_another_would_undo_is_refused(overrides: list[str], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        load_config("miniature", overrides)
    config = load_config("miniature", ["search={num_paths: 2}", "search.min_visits=1"])
    assert (config.search.num_paths, config.search.min_visits) == (2, 1)


def test_a_recorded_configuration_that_is_nested_without_end_is_refused() -> None:
    record: object = []
    for _ in range(900):
        record = [record]
    with pytest.raises(InvalidInput, match="nested"):
        recorded_today(load_config("miniature"))({"name": record})


def test_a_panel_has_a_name() -> None:
    with pytest.raises(ValueError, match="at least 1 character"):
        TasksSection(demonstrations=1, explore=1, test={"": {"count": 3}})  # type: ignore[dict-item]


def test_a_recorded_file_of_demonstrations_is_read_where_it_stands_today() -> None:
    config = load_config("miniature")
    record = config.model_dump(mode="json")
    del record["demonstrations"]
    record["tasks"]["demonstrations_from"] = "shown.jsonl"
    today = recorded_today(config)(record)
    assert today["demonstrations"] == "shown.jsonl"
    assert "demonstrations_from" not in today["tasks"]
