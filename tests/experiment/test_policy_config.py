"""Policies in configurations: each section makes its policy, or says what is missing."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")

from pydantic import TypeAdapter, ValidationError

from w2stree.errors import InvalidInput, MissingDependency
from w2stree.experiment.config.exploration import ExplorationConfig
from w2stree.experiment.config.policy import ModelPolicySection, PolicySection, TransformersSection
from w2stree.experiment.config.reading import read_config
from w2stree.policies.protocol import ModelName
from w2stree.turns.decoding import Decoding


def make(section: dict[str, Any], model: ModelName = "tuned") -> Any:
    return TypeAdapter(PolicySection).validate_python(section).policy(model)


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    from support.tiny_models import tiny_model, tiny_tokenizer

    from w2stree.training.models import save_model

    folder = tmp_path_factory.mktemp("model")
    tokenizer = tiny_tokenizer()
    save_model(folder, tiny_model(tokenizer), tokenizer)
    return folder


def test_policies_without_a_model() -> None:
    assert make({"name": "random"}).name == "random"
    assert make({"name": "expert", "noise": 0.2}, "base").name == "expert(noise=0.2)"


@pytest.mark.train
def test_ids_of_one_tokenizer_have_one_fingerprint(model_dir: Path) -> None:
    pytest.importorskip("httpx2")
    local = make({"name": "transformers", "model": model_dir})
    served = make({"name": "openai", "model": "weak", "tokenizer": model_dir})
    blind = make({"name": "openai", "model": "weak"})
    assert local.name == "transformers"
    assert served.name == "openai(model=weak)"
    assert served.tokenizer == local.tokenizer is not None
    assert blind.tokenizer is None


@pytest.mark.train
def test_the_base_model_is_another(model_dir: Path) -> None:
    pytest.importorskip("httpx2")
    section = {"name": "openai", "model": "adapter", "base_model": "llama"}
    assert make(section, "base").name == "openai(model=llama)"
    with pytest.raises(InvalidInput, match=r"set policy\.base_model"):
        make({"name": "transformers", "model": model_dir}, "base")


def test_a_section_says_whether_it_has_a_base_model() -> None:
    def has_base(**section: Any) -> bool:
        return bool(TypeAdapter(PolicySection).validate_python(section).has_base_model)

    assert has_base(name="random"), "one policy for all models"
    assert not has_base(name="vllm", model="m")
    assert has_base(name="openai", model="m", base_model="b")


def test_decoding_is_the_environment_s_in_process_and_free_on_a_server() -> None:
    def decoding(policy: str, environment: str) -> Decoding:
        overrides = [f"policy={policy}", f"environment={environment}", "samplings=[{}]"]
        section = read_config(ExplorationConfig, "textworld_random", overrides).policy
        assert isinstance(section, ModelPolicySection)
        return section.decoding

    local, served = "{name: transformers, model: m%s}", "{name: openai, model: m%s}"
    game, shop = "{name: textworld_express, game: twc}", "{name: webshop}"
    assert decoding(local % "", game) == Decoding("admissible")
    assert decoding(local % "", shop) == Decoding("free")
    mute = ", decoding: {thought: false}"
    assert decoding(local % mute, game) == Decoding("admissible", thought=False)
    assert decoding(served % mute, game) == Decoding("free", thought=False, max_new_tokens=256)
    choosing = ", tokenizer: t, decoding: {actions: admissible}"
    assert decoding(served % choosing, game) == Decoding("admissible", max_new_tokens=256)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("samplings=papr", r"samplings: is 'papr'; give a list, .*or paper"),
        ("samplings=[]", r"samplings: has 0; give at least 1"),
        ("policy.name=randm", r"policy.name: is 'randm'; did you mean random\?"),
        ("policy.noise=1", r"policy.noise: no such key; known are name, by_verb"),
        ("policy={name: vllm, model: m, thought: false}", r"policy.thought: has moved: write pol"),
        ("policy={name: vllm, model: m, decoding: {thoughts: true}}", r"decoding.thoughts: no suc"),
        ("policy={name: vllm, model: m}", r"asks for the base model: set policy.base_model"),
        (
            "policy={name: openai, model: m, decoding: {actions: admissible}}",
            r"policy.* chosen token by token: set policy.tokenizer to the served model's directory",
        ),
        ("environment={name: scienceworld}", r"policy: random chooses .* ScienceWorld lists none"),
        (
            "budget.tokens=300",
            r"budget.tokens counts what a model samples, and policy: random is none",
        ),
        ("budget.episodes=0", r"budget: episodes is 0; give a number above 0, or null: no limit"),
        ("budget.episode=9", r"budget.episode: no such key; did you mean episodes\?"),
    ],
)
def test_mistakes_in_an_exploration_are_named(override: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_config(ExplorationConfig, "textworld_random", [override])


@pytest.mark.parametrize("policy", ["transformers", "vllm"])
def test_a_choice_among_actions_that_are_not_listed_is_refused(policy: str) -> None:
    world = ["environment={name: scienceworld}", "samplings=[{}]"]
    model = f"name: {policy}, model: m"
    with pytest.raises(InvalidInput, match=r"decoding.actions: admissible .*list_actions: true"):
        read_config(
            ExplorationConfig,
            "textworld_random",
            [*world, f"policy={{{model}, decoding: {{actions: admissible}}}}"],
        )
    read_config(ExplorationConfig, "textworld_random", [*world, f"policy={{{model}}}"])


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="transformers"):
        make({"name": "oracle"})
    with pytest.raises(ValidationError, match="noise"):
        make({"name": "expert", "noise": 2})
    if importlib.util.find_spec("vllm") is None:
        with pytest.raises(MissingDependency, match="environment of its own"):
            make({"name": "vllm", "model": tmp_path})
    if importlib.util.find_spec("httpx2") is not None:
        with pytest.raises(InvalidInput, match="no tokenizer_config"):
            make({"name": "openai", "model": "m", "tokenizer": tmp_path})


@pytest.mark.train
def test_a_model_s_template_can_be_named(model_dir: Path) -> None:
    pytest.importorskip("httpx2")
    own = make({"name": "transformers", "model": model_dir})
    template = {"chat_template": "plain", "template_arguments": {"bos_token": "<|user|>"}}
    plain = make({"name": "transformers", "model": model_dir, **template})
    served = make({"name": "openai", "model": "weak", "tokenizer": model_dir, **template})
    assert plain.tokenizer == served.tokenizer != own.tokenizer
    with pytest.raises(InvalidInput, match="reads no 'enable_thinking'"):
        make({**template, "name": "transformers", "model": model_dir,
              "template_arguments": {"enable_thinking": False}})  # fmt: skip
    with pytest.raises(ValidationError, match="give tokenizer"):
        make({"name": "openai", "model": "weak", "chat_template": "plain"})


@pytest.mark.parametrize(
    ("base_url", "message"),
    [
        ("localhost:8000/v1", "begin with http"),
        ("ftp://host/v1", "begin with http"),
        ("https:///v1", "names no host"),
        ("https://me:sk-SECRET@host/v1", "a name or a password before its host"),
        ("https://sk-SECRET@host/v1", "a name or a password before its host"),
        ("https://host/v1?api_key=sk-SECRET", "a query or a fragment"),
        ("https://host/v1#sk-SECRET", "a query or a fragment"),
        ("https://host:80000/v1", "is no address"),
        ("http://[::1/v1", "is no address"),
        ("http://ho st/v1", "a space"),
        ("http://host/v1\\n", "a space, a line break"),
    ],
)
def test_what_is_no_address_or_holds_a_key_is_refused_unrepeated(
    base_url: str, message: str
) -> None:
    policy = f'policy={{name: openai, model: m, base_url: "{base_url}"}}'
    with pytest.raises(InvalidInput, match=message) as refused:
        read_config(ExplorationConfig, "textworld_random", [policy, "samplings=[{}]"])
    assert "SECRET" not in str(refused.value)
    assert "policy.base_url: " in str(refused.value)


def test_a_key_in_place_of_its_variable_s_name_is_refused_unrepeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(name: str) -> None:
        policy = f'policy={{name: openai, model: m, api_key_env: "{name}"}}'
        config = read_config(ExplorationConfig, "textworld_random", [policy, "samplings=[{}]"])
        config.policy.refuse_absent_models()

    for key in ("sk-SECRET", "hf_SECRET", "SECRET with spaces", "SECRET="):
        with pytest.raises(InvalidInput, match="api_key_env") as refused:
            read(key)
        assert "SECRET" not in str(refused.value)
    monkeypatch.setenv("MY_KEY", "sk-SECRET\r\n")
    read("MY_KEY")
    monkeypatch.setenv("MY_KEY", "sk-\nSECRET")
    with pytest.raises(InvalidInput, match=r"\$MY_KEY has a line break.*character 4 of 10"):
        read("MY_KEY")


def test_home_is_found_and_a_tokenizer_is_looked_for_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    policy = "policy={name: openai, model: m, tokenizer: ~/tokenizer}"
    served = read_config(ExplorationConfig, "textworld_random", [policy, "samplings=[{}]"]).policy
    with pytest.raises(InvalidInput, match=f"{tmp_path}/tokenizer has no tokenizer_config"):
        served.refuse_absent_models()
    policy = "policy={name: transformers, model: ~/model, chat_template: ~/t.jinja}"
    local = read_config(ExplorationConfig, "textworld_random", [policy, "samplings=[{}]"]).policy
    assert isinstance(local, TransformersSection)
    assert (local.model, local.chat_template) == (tmp_path / "model", f"{tmp_path}/t.jinja")
