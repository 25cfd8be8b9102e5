"""The losses are the paper's: agent turns only, checked against hand-computed numbers."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
from huggingface_hub.utils import send_telemetry
from support.tiny_models import BAD, GOOD, WORSE, tiny_model, tiny_tokenizer

from w2stree.errors import InvalidInput
from w2stree.forest.build import build_forest
from w2stree.rows.rows import preference_rows
from w2stree.rows.tokenized import IGNORED, tokenize_preferences, tokenize_sft
from w2stree.training.optimisation import Lora, Optimisation
from w2stree.training.unshared.collator import PreferenceCollator
from w2stree.training.unshared.dpo import train_dpo
from w2stree.training.unshared.scoring import sequence_logprobs
from w2stree.training.unshared.sft import train_sft
from w2stree.turns.chat import ChatFormat

pytestmark = pytest.mark.train
ONE_STEP = Optimisation(
    num_epochs=1, learning_rate=1e-9, batch_size=1, scheduler="constant_with_warmup"
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny_tokenizer()


@pytest.fixture(scope="module")
def rows(tokenizer: Any) -> list[dict[str, list[int]]]:
    pairs = build_forest([GOOD, BAD]).pairs()
    found = preference_rows(pairs, "suffix")
    return _fitting(tokenize_preferences(found, ChatFormat(tokenizer), max_length=512))


def _fitting(rows: list[dict[str, list[int]] | None]) -> list[dict[str, list[int]]]:
    assert None not in rows
    return [row for row in rows if row is not None]


def _agent_logprob(model: Any, tokenizer: Any, trajectory: Any, depth: int) -> float:
    """sum of log p over agent tokens after `depth` shared steps, token by token, from text."""
    chat = ChatFormat(tokenizer)
    context = chat.history_ids(trajectory.prompt, trajectory.steps[:depth])
    total = 0.0
    for step in trajectory.steps[depth:]:
        for token in [*tokenizer(step.response)["input_ids"], tokenizer.eos_token_id]:
            with torch.inference_mode():
                logits = model(torch.tensor([context])).logits[0, -1].double()
            total += float(torch.log_softmax(logits, dim=-1)[token])
            context = [*context, token]
        context = context + chat.observation_ids(step.observation)
    return total


def _with_reference(rows: Any, model: Any) -> list[dict[str, Any]]:
    logprobs = sequence_logprobs(model, rows, batch_size=2)
    return [
        {**row, "ref_chosen_logps": c, "ref_rejected_logps": r}
        for row, (c, r) in zip(rows, logprobs, strict=True)
    ]


def _train_dpo(model: Any, tokenizer: Any, rows: Any, out: Path, **options: Any) -> Any:
    settings = {"beta": 0.1, "sft_weight": 0.0, "reference_is_start": False, **options}
    optimisation = settings.pop("optimisation", ONE_STEP)
    return train_dpo(model, tokenizer, rows, optimisation, output_dir=str(out), seed=0, **settings)


def test_sequence_logprobs_score_agent_tokens_only(tokenizer: Any, rows: Any) -> None:
    model = tiny_model(tokenizer).eval()
    ((chosen, rejected),) = sequence_logprobs(model, rows, batch_size=4)
    assert chosen == pytest.approx(_agent_logprob(model, tokenizer, GOOD, 1), rel=1e-5)
    assert rejected == pytest.approx(_agent_logprob(model, tokenizer, BAD, 1), rel=1e-5)


def test_dpo_loss_is_equation_6(tokenizer: Any, rows: Any, tmp_path: Path) -> None:
    policy, reference = tiny_model(tokenizer, seed=0), tiny_model(tokenizer, seed=1).eval()
    expected_margin = 0.5 * (
        (_agent_logprob(policy, tokenizer, GOOD, 1) - _agent_logprob(reference, tokenizer, GOOD, 1))
        - (_agent_logprob(policy, tokenizer, BAD, 1) - _agent_logprob(reference, tokenizer, BAD, 1))
    )
    trained = _train_dpo(policy, tokenizer, _with_reference(rows, reference), tmp_path, beta=0.5)
    assert trained.steps[0]["loss"] == pytest.approx(
        math.log1p(math.exp(-expected_margin)), abs=2e-4
    )


def _margin(policy: Any, reference: Any, tokenizer: Any, chosen: Any, rejected: Any) -> float:
    return sum(
        sign
        * (_agent_logprob(policy, tokenizer, t, 1) - _agent_logprob(reference, tokenizer, t, 1))
        for sign, t in ((1, chosen), (-1, rejected))
    )


def test_a_batch_of_unequal_pairs_keeps_its_sides_apart(tokenizer: Any, tmp_path: Path) -> None:
    pairs = build_forest([GOOD, BAD, WORSE]).pairs()
    found = preference_rows(pairs, "suffix")
    sides = [(row.chosen, row.rejected) for row in found]
    assert len(sides) == 3
    rows = _fitting(tokenize_preferences(found, ChatFormat(tokenizer), max_length=512))
    policy, reference = tiny_model(tokenizer, seed=0), tiny_model(tokenizer, seed=1).eval()
    for (chosen, rejected), scored in zip(
        sides, sequence_logprobs(reference, rows, batch_size=3), strict=True
    ):
        assert scored[0] == pytest.approx(_agent_logprob(reference, tokenizer, chosen, 1), rel=1e-5)
        assert scored[1] == pytest.approx(
            _agent_logprob(reference, tokenizer, rejected, 1), rel=1e-5
        )
    expected = [
        math.log1p(math.exp(-0.1 * _margin(policy, reference, tokenizer, chosen, rejected)))
        for chosen, rejected in sides
    ]
    batch_of_3 = Optimisation(
        num_epochs=1, learning_rate=1e-9, batch_size=3, scheduler="constant_with_warmup"
    )
    trained = _train_dpo(
        policy, tokenizer, _with_reference(rows, reference), tmp_path, optimisation=batch_of_3
    )
    assert trained.steps[0]["loss"] == pytest.approx(sum(expected) / 3, abs=2e-4)


def test_the_sft_term_is_the_chosen_side_s_mean_loss(
    tokenizer: Any, rows: Any, tmp_path: Path
) -> None:
    model = tiny_model(tokenizer)
    scored = _with_reference(rows, model)
    num_chosen_tokens = sum(rows[0]["chosen_mask"])
    nll = -_agent_logprob(model, tokenizer, GOOD, 1) / num_chosen_tokens
    trained = _train_dpo(model.train(), tokenizer, scored, tmp_path, sft_weight=0.5)
    assert trained.steps[0]["loss"] == pytest.approx(math.log(2) + 0.5 * nll, abs=1e-3)


def test_first_loss_is_ln_2_when_policy_is_reference(
    tokenizer: Any, rows: Any, tmp_path: Path
) -> None:
    model = tiny_model(tokenizer)
    scored = _with_reference(rows, model)
    trained = _train_dpo(model.train(), tokenizer, scored, tmp_path, reference_is_start=True)
    assert trained.steps[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)


def test_a_reference_that_is_not_the_start_is_caught(
    tokenizer: Any, rows: Any, tmp_path: Path
) -> None:
    scored = _with_reference(rows, tiny_model(tokenizer, seed=1))
    with pytest.raises(InvalidInput, match="not ln 2"):
        _train_dpo(tiny_model(tokenizer), tokenizer, scored, tmp_path, reference_is_start=True)


def test_dpo_prefers_the_chosen_side(tokenizer: Any, rows: Any, tmp_path: Path) -> None:
    model = tiny_model(tokenizer)
    scored = _with_reference(rows, copy.deepcopy(model))
    optimisation = Optimisation(num_epochs=20, learning_rate=1e-3, batch_size=1)
    model = _train_dpo(model, tokenizer, scored, tmp_path, optimisation=optimisation).model
    ((chosen, rejected),) = sequence_logprobs(model, rows, batch_size=1)
    before = scored[0]
    assert chosen - before["ref_chosen_logps"] > rejected - before["ref_rejected_logps"] + 1


def test_the_collator_hides_observations(tokenizer: Any, rows: Any) -> None:
    scored = [{**rows[0], "ref_chosen_logps": 0.0, "ref_rejected_logps": 0.0}]
    batch = PreferenceCollator(pad_token_id=0)(scored)
    for side, trajectory in enumerate((GOOD, BAD)):
        counted = batch["input_ids"][side][batch["completion_mask"][side].bool()]
        turns = "".join(f"{step.response}<|end|>" for step in trajectory.steps[1:])
        assert tokenizer.decode(counted.tolist()) == turns


@pytest.mark.parametrize("lora", [None, Lora(r=4, alpha=8)])
def test_sft_learns_the_agent_s_turns_and_not_the_observations(
    tokenizer: Any, tmp_path: Path, lora: Lora | None
) -> None:
    chat = ChatFormat(tokenizer)
    rows = tokenize_sft([GOOD], chat, max_length=512).rows
    model = tiny_model(tokenizer)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    agent_before = _agent_logprob(model, tokenizer, GOOD, 0)
    observations_before = _observation_loss(model, chat)
    rate = 3e-3 if lora is None else 3e-2
    optimisation = Optimisation(num_epochs=30, learning_rate=rate, batch_size=1, lora=lora)
    trained = train_sft(model, tokenizer, rows, optimisation, output_dir=str(tmp_path), seed=0)
    model, metrics = trained.model, trained.metrics
    assert metrics["loss_after"] < 0.8 * metrics["loss_before"]
    model = model.eval()
    assert _agent_logprob(model, tokenizer, GOOD, 0) > 0.8 * agent_before
    assert _observation_loss(model, chat) > 0.7 * observations_before
    if lora is not None:  # merged: plain weights, only the targets changed
        changed = {n for n, w in model.named_parameters() if not torch.equal(w, before[n])}
        assert changed
        assert all(any(t in n for t in lora.target_modules) for n in changed)


def _observation_loss(model: Any, chat: ChatFormat) -> float:
    row = tokenize_sft([GOOD], chat, max_length=512, all_tokens=True).rows[0]
    agent = tokenize_sft([GOOD], chat, max_length=512).rows[0]["labels"]
    prompt_length = len(chat.prompt_ids(GOOD.prompt))
    labels = [
        token if label == IGNORED and i >= prompt_length else IGNORED
        for i, (token, label) in enumerate(zip(row["input_ids"], agent, strict=True))
    ]
    with torch.inference_mode():
        ids = torch.tensor([row["input_ids"]])
        return float(model(input_ids=ids, labels=torch.tensor([labels])).loss)


def test_first_sft_loss_is_the_mean_over_agent_tokens(tokenizer: Any, tmp_path: Path) -> None:
    chat = ChatFormat(tokenizer)
    rows = tokenize_sft([GOOD], chat, max_length=512).rows
    model = tiny_model(tokenizer)
    num_agent_tokens = sum(label != IGNORED for label in rows[0]["labels"])
    expected = -_agent_logprob(model, tokenizer, GOOD, 0) / num_agent_tokens
    trained = train_sft(model, tokenizer, rows, ONE_STEP, output_dir=str(tmp_path), seed=0)
    assert trained.steps[0]["loss"] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("scheduler", ["constant_with_warmup", "cosine", "linear"])
def test_a_stage_of_one_step_learns(tokenizer: Any, tmp_path: Path, scheduler: Any) -> None:
    rows = tokenize_sft([GOOD], ChatFormat(tokenizer), max_length=512).rows
    one_step = Optimisation(num_epochs=1, learning_rate=1e-3, batch_size=8, scheduler=scheduler)
    assert one_step.warmup_ratio > 0
    trained = train_sft(
        tiny_model(tokenizer), tokenizer, rows, one_step, output_dir=str(tmp_path), seed=0
    )
    assert trained.metrics["num_steps"] == 1
    assert trained.metrics["loss_after"] < trained.metrics["loss_before"]


def test_all_steps_but_the_last_may_be_warm_up(tokenizer: Any, tmp_path: Path) -> None:
    rows = tokenize_sft([GOOD] * 4, ChatFormat(tokenizer), max_length=512).rows
    rising = replace(ONE_STEP, warmup_ratio=1.0, learning_rate=3e-3)
    trained = train_sft(
        tiny_model(tokenizer), tokenizer, rows, rising, output_dir=str(tmp_path), seed=0
    )
    rates = [step["learning_rate"] for step in trained.steps]
    assert rates == pytest.approx([0.0, 1e-3, 2e-3, 3e-3])


class _Told(BaseHTTPRequestHandler):
    """A server of telemetry, which keeps what it is told of; other questions have no answer."""

    def do_HEAD(self) -> None:
        self.server.told.append(self.path)  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


def test_training_tells_nobody(tokenizer: Any, rows: Any, tmp_path: Path) -> None:
    """What is sent comes in order, and what is asked for last is the first to come."""
    with HTTPServer(("127.0.0.1", 0), _Told) as server, pytest.MonkeyPatch.context() as patch:
        server.told = []  # type: ignore[attr-defined]
        patch.delenv("CI", raising=False)
        for name, value in {
            "ENDPOINT": f"http://127.0.0.1:{server.server_port}",
            "HF_HUB_DISABLE_TELEMETRY": False,
            "HF_HUB_OFFLINE": False,
        }.items():
            patch.setattr(f"huggingface_hub.constants.{name}", value)
        model = tiny_model(tokenizer)
        _train_dpo(model, tokenizer, _with_reference(rows, model), tmp_path)
        sft = tokenize_sft([GOOD], ChatFormat(tokenizer), max_length=512).rows
        train_sft(model, tokenizer, sft, ONE_STEP, output_dir=str(tmp_path), seed=0)
        send_telemetry("last")
        while not server.told:  # type: ignore[attr-defined]
            server.handle_request()
    assert server.told == ["/api/telemetry/last"]  # type: ignore[attr-defined]


def test_rows_without_a_signal_are_refused(tokenizer: Any, tmp_path: Path) -> None:
    model = tiny_model(tokenizer)
    silent = [{"input_ids": [5, 6], "labels": [IGNORED, IGNORED]}]
    with pytest.raises(InvalidInput, match=r"rows\[0\] labels no token"):
        train_sft(model, tokenizer, silent, ONE_STEP, output_dir=str(tmp_path), seed=0)
    with pytest.raises(InvalidInput, match="no preference rows"):
        _train_dpo(model, tokenizer, [], tmp_path)
    empty = {"prompt_ids": [5], "chosen_ids": [6], "chosen_mask": [1]}
    empty |= {"rejected_ids": [6], "rejected_mask": [0]}
    with pytest.raises(InvalidInput, match=r"rows\[0\] scores no rejected token"):
        _train_dpo(model, tokenizer, [empty], tmp_path)
