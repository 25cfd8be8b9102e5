"""Log-probabilities at labelled positions are the model's own, and cost those positions alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from trl.trainer.utils import add_fused_lm_head

from w2stree.errors import InvalidInput
from w2stree.training.labelled import fused_head, label_only
from w2stree.training.rows import IGNORED

pytestmark = pytest.mark.train

_SMALL = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
# What a family does to its logits, or the way it names its layers, differs from Llama's.
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {"tie_word_embeddings": True},
    "qwen3": {},
    "mistral": {},
    "gemma": {},
    "gemma2": {"final_logit_softcapping": 3.0},
    "gemma3_text": {},
    "cohere": {"logit_scale": 0.25},
    "granite": {"logits_scaling": 4.0},
    "phi3": {},
    "gpt2": {"n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 64},
    "gpt_neox": {},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 16},
    "bloom": {"n_layer": 1, "n_head": 2},
    "mixtral": {"num_local_experts": 2},
    "mamba": {"state_size": 4},
}


def tiny(family: str) -> Any:
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **{**_SMALL, **FAMILIES[family]})
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for weight in model.parameters():  # logits far enough apart to be scaled or capped
            weight.mul_(3.0)
    return model.eval()


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.arange(40).reshape(2, 20) * 7 % 90 + 3
    labels = ids.clone()
    labels[0, :12] = IGNORED
    labels[1, 5:9] = IGNORED
    return ids, labels


def own_logprobs(model: Any) -> torch.Tensor:
    ids, labels = batch()
    scores = torch.log_softmax(model(input_ids=ids).logits[:, :-1].float(), dim=-1)
    found = scores.gather(2, ids[:, 1:, None]).squeeze(2)
    return found.masked_fill(labels[:, 1:] == IGNORED, 0.0)


@pytest.mark.parametrize("family", FAMILIES)
def test_log_probabilities_and_gradients_are_the_model_s_own(family: str) -> None:
    model = tiny(family)
    ids, labels = batch()
    expected = own_logprobs(model)
    expected.sum().backward()
    gradients = {n: w.grad.clone() for n, w in model.named_parameters() if w.grad is not None}
    model.zero_grad()
    with fused_head(model):
        found = model(input_ids=ids, labels=labels, fused_lm_head=True).log_probs
        found.sum().backward()
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)
    for name, weight in model.named_parameters():
        if name in gradients:
            torch.testing.assert_close(weight.grad, gradients[name], atol=1e-3, rtol=1e-4)
    assert "forward" not in vars(model), "and has its own forward again"


def test_all_fields_are_those_of_trl_s_head() -> None:
    model, (ids, labels) = tiny("gemma2"), batch()
    fields = ("log_probs", "entropy", "log_sum_sq_probs", "mean_logits", "is_top1")
    add_fused_lm_head(model, outputs=fields)
    with torch.no_grad():
        whole = model(input_ids=ids, labels=labels, fused_lm_head=True)
        label_only(model)
        found = model(input_ids=ids, labels=labels, fused_lm_head=True)
        nothing = model(input_ids=ids, labels=torch.full_like(labels, IGNORED), fused_lm_head=True)
        plain = model(input_ids=ids, labels=labels)
    for name in ("loss", *fields, "label_mask"):
        torch.testing.assert_close(getattr(found, name), getattr(whole, name))
    assert float(nothing.loss) == 0.0
    assert plain.logits.shape == (2, 20, 96), "asked for nothing, it is as it was"


def test_a_head_that_is_not_known_is_refused() -> None:
    model = tiny("llama")
    own = model.forward

    def halved(*args: Any, **kwargs: Any) -> Any:
        output = own(*args, **kwargs)
        output.logits = output.logits / 2
        return output

    model.forward = halved
    refused = pytest.raises(InvalidInput, match="LlamaForCausalLM cannot be trained here: its log")
    with refused, fused_head(model):
        pass
    assert model.forward is halved
    assert isinstance(model, PreTrainedModel)


_MEASURED = """
import resource, sys, tempfile
import torch
from support.tiny_models import tiny_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM
from w2stree.training.optimisation import Optimisation
from w2stree.training.scoring import sequence_logprobs
from w2stree.training.trainers import train_dpo

VOCABULARY, PAIRS, LENGTH = 152_000, 8, 2048
torch.set_num_threads(1)
scored = int(float(sys.argv[1]) * LENGTH)
config = LlamaConfig(
    vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=1,
    num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=LENGTH,
)
model = LlamaForCausalLM(config)

def mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def side():
    return torch.randint(0, VOCABULARY, (scored,)).tolist()

rows = [
    {
        "prompt_ids": torch.randint(0, VOCABULARY, (LENGTH - scored,)).tolist(),
        "chosen_ids": side(), "chosen_mask": [1] * scored,
        "rejected_ids": side(), "rejected_mask": [1] * scored,
    }
    for _ in range(PAIRS)
]
optimisation = Optimisation(num_epochs=1, learning_rate=1e-5, batch_size=PAIRS)
before = mib()
logprobs = sequence_logprobs(model, rows, batch_size=PAIRS)
print("reference", mib() - before)
rows = [{**r, "ref_chosen_logps": c, "ref_rejected_logps": j}
        for r, (c, j) in zip(rows, logprobs)]
with tempfile.TemporaryDirectory() as folder:
    train_dpo(model, tiny_tokenizer(), rows, optimisation, beta=0.1, sft_weight=1.0,
              reference_is_start=False, output_dir=folder, seed=0)
print("dpo", mib() - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="resource is of POSIX")
@pytest.mark.parametrize(
    "share",
    [0.01, pytest.param(0.9, marks=pytest.mark.slow)],  # slow: some 30 minutes; pytest -m slow
)
def test_eight_pairs_of_2048_tokens_and_152000_words_stay_below_4_gib(share: float) -> None:
    """Beyond the model; the logits of one of the pass's copies would be 19 GiB."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(share)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr[-2000:]
    peaks = {what: float(mib) for what, mib in map(str.split, done.stdout.splitlines())}
    assert set(peaks) == {"reference", "dpo"}
    assert all(mib < 4096 for mib in peaks.values()), peaks
