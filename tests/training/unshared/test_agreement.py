"""Log-probabilities at labelled positions are the model's own, and cost those positions alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
import trl
from packaging.version import Version
from support.headed_models import HEADS, headed
from support.tiny_models import tiny_tokenizer

from w2stree.errors import InvalidInput, MissingDependency
from w2stree.rows.tokenized import IGNORED
from w2stree.training.optimisation import Optimisation
from w2stree.training.unshared.agreement import TRIED
from w2stree.training.unshared.dpo import train_dpo
from w2stree.training.unshared.scoring import batch_logprobs, sequence_logprobs
from w2stree.training.unshared.sft import train_sft

pytestmark = pytest.mark.train
Train = Callable[[Any, Path], None]
STEP = Optimisation(num_epochs=1, learning_rate=1e-5, batch_size=1)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.arange(40).reshape(2, 20) * 7 % 90 + 3
    labels = ids.clone()
    labels[0, :12] = IGNORED
    labels[1, 5:9] = IGNORED
    return ids, labels


def sft(model: Any, folder: Path) -> None:
    ids, labels = (column[0].tolist() for column in batch())
    row = {"input_ids": ids, "labels": labels}
    train_sft(model, tiny_tokenizer(), [row], STEP, output_dir=str(folder), seed=0)


def dpo(model: Any, folder: Path) -> None:
    ids, labels = (column.tolist() for column in batch())
    row = {"prompt_ids": ids[0][:5]}
    for i, side in enumerate(("chosen", "rejected")):
        row |= {f"{side}_ids": ids[i][5:], f"{side}_mask": [label >= 0 for label in labels[i][5:]]}
    ((chosen, rejected),) = sequence_logprobs(model, [row], batch_size=1)
    scored = {**row, "ref_chosen_logps": chosen, "ref_rejected_logps": rejected}
    train_dpo(
        model.train(),
        tiny_tokenizer(),
        [scored],
        STEP,
        beta=0.1,
        sft_weight=1.0,
        reference_is_start=True,
        output_dir=str(folder),
        seed=0,
    )


def own_logprobs(model: Any) -> torch.Tensor:
    ids, labels = batch()
    scores = torch.log_softmax(model(input_ids=ids).logits[:, :-1].float(), dim=-1)
    found = scores.gather(2, ids[:, 1:, None]).squeeze(2)
    return found.masked_fill(labels[:, 1:] == IGNORED, 0.0)


@pytest.mark.parametrize("family", HEADS)
def test_log_probabilities_and_gradients_are_the_model_s_own(family: str) -> None:
    model = headed(family)
    ids, labels = batch()
    expected = own_logprobs(model).sum(dim=1)
    expected.sum().backward()
    gradients = {n: w.grad.clone() for n, w in model.named_parameters() if w.grad is not None}
    model.zero_grad()
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    found = batch_logprobs(model, {**given, "completion_mask": labels != IGNORED})
    found.sum().backward()
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-5)
    for name, weight in model.named_parameters():
        if name in gradients:
            torch.testing.assert_close(weight.grad, gradients[name], atol=1e-3, rtol=1e-4)
    assert "forward" not in vars(model), "and has its own forward again"


@pytest.mark.parametrize("method", [sft, dpo])
@pytest.mark.parametrize("family", ["llama", "gemma2", "cohere", "granite", "gpt2", "mixtral"])
def test_trl_scores_as_the_model_does(family: str, method: Train, tmp_path: Path) -> None:
    method(headed(family), tmp_path)


@pytest.mark.skipif(
    Version(trl.__version__) < Version("1.15"), reason="takes logits of the model's own forward"
)
@pytest.mark.parametrize("method", [sft, dpo])
def test_a_head_that_trl_does_not_know_is_refused(method: Train, tmp_path: Path) -> None:
    model = headed("llama")
    own = model.forward

    def halved(*args: Any, **kwargs: Any) -> Any:
        output = own(*args, **kwargs)
        output.logits = output.logits / 2
        return output

    model.forward = halved
    with pytest.raises(InvalidInput, match=r"LlamaForCausalLM cannot be trained unshared: its log"):
        method(model, tmp_path)


def test_a_version_of_trl_without_what_is_needed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("trl.DPOTrainer.compute_ref_log_probs")
    with pytest.raises(MissingDependency, match=rf"TRL {trl.__version__} has not .*{TRIED}"):
        dpo(headed("llama"), tmp_path)


_MEASURED = """
from pathlib import Path
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from w2stree.training.unshared.scoring import sequence_logprobs

VOCABULARY, PAIRS, LENGTH, SCORED = 152_000, 8, 2048, 100
torch.set_num_threads(1)
config = LlamaConfig(
    vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=1,
    num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=LENGTH,
)
model = LlamaForCausalLM(config)

def mib():
    status = Path("/proc/self/status").read_text()  # getrusage begins with the parent's
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024

def side():
    return torch.randint(0, VOCABULARY, (SCORED,)).tolist()

rows = [
    {
        "prompt_ids": torch.randint(0, VOCABULARY, (LENGTH - SCORED,)).tolist(),
        "chosen_ids": side(), "chosen_mask": [1] * SCORED,
        "rejected_ids": side(), "rejected_mask": [1] * SCORED,
    }
    for _ in range(PAIRS)
]
before = mib()
sequence_logprobs(model, rows, batch_size=PAIRS)
print(mib() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_scoring_eight_pairs_of_2048_tokens_and_152000_words_stays_below_4_gib() -> None:
    """Beyond the model; the logits of one of the pass's copies would be 19 GiB."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout) < 4096
