"""Log-probabilities through a model's own head, whole and in tiles."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")
import numpy as np  # noqa: E402
from accelerate import Accelerator  # noqa: E402
from accelerate.state import AcceleratorState  # noqa: E402
from peft import LoraConfig, get_peft_model  # noqa: E402
from support.headed_models import headed  # noqa: E402
from support.token_trees import alone, random_sequences  # noqa: E402

from w2stree.errors import InvalidInput  # noqa: E402
from w2stree.training.trees import head  # noqa: E402
from w2stree.training.trees.pack import pack  # noqa: E402
from w2stree.training.trees.scores import PackTensors, Scored, scored  # noqa: E402
from w2stree.training.trees.sequences import ScoredIds  # noqa: E402

pytestmark = pytest.mark.train

FAMILIES = ("llama", "qwen2", "gemma2", "cohere", "granite", "gpt2", "gpt_neox", "opt")


def sequences(vocabulary: int = 96) -> list[ScoredIds]:
    draw = np.random.default_rng(3)
    found = []
    for tree, ids in random_sequences(draw):
        weight = [0.0, *draw.normal(size=len(ids) - 1).round(1)]
        found.append(ScoredIds.of([(7 * i + 1) % vocabulary for i in ids], weight, tree))
    return found


def gradients(model: Any, total: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    total.backward()
    return {n: w.grad.clone() for n, w in model.named_parameters() if w.grad is not None}


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], atol=2e-4, rtol=1e-4, msg=name)


@pytest.mark.parametrize("name", FAMILIES)
def test_scores_and_gradients_are_those_of_the_model_s_own_logits(name: str) -> None:
    model, given = headed(name), sequences()
    expected = torch.stack([alone(model, s) for s in given])
    its_gradients = gradients(model, expected.sum())
    packed = PackTensors.of(pack(given))
    found: list[Scored] = []
    for rows in (1000, 1, 3):
        found.append(scored(model, packed, max_logits=rows * 96))
        torch.testing.assert_close(
            found[-1].score, expected.double(), atol=1e-4, rtol=1e-5, check_dtype=False
        )
        assert_same(gradients(model, found[-1].score.sum()), its_gradients)
    for other in found[1:]:
        torch.testing.assert_close(other.num_top1, found[0].num_top1)
        torch.testing.assert_close(other.entropy, found[0].entropy, atol=1e-4, rtol=1e-4)
    assert "forward" not in vars(model), "and has its own forward again"
    assert "forward" not in vars(model.get_decoder())


def test_entropy_and_hits_are_those_of_the_distributions() -> None:
    model = headed("gemma2")
    [one] = [ScoredIds.of([1, 5, 9, 9, 4], [0, 0, 1, 0, -0.5])]
    with torch.no_grad():
        found = scored(model, PackTensors.of(pack([one])))
        logits = model(input_ids=torch.tensor([[1, 5, 9, 9, 4]])).logits[0, [1, 3]]
    share = logits.softmax(-1)
    assert float(found.entropy) == pytest.approx(float(-(share * share.log()).sum()), rel=1e-4)
    assert float(found.num_top1) == float((logits.argmax(-1) == torch.tensor([9, 4])).sum())


def test_words_that_cannot_come_add_nothing_to_an_entropy() -> None:
    wanted = head.Wanted(torch.tensor([0]), torch.tensor([0]), torch.tensor([1]), [0, 1])
    logits = torch.tensor([[-torch.inf, 0.0, 0.0]])
    found = head._read(logits, wanted.origin, wanted.token)
    assert float(found.entropy) == pytest.approx(np.log(2)) and bool(found.is_top1)


def test_a_tile_is_computed_in_the_pass_and_again_for_its_gradient() -> None:
    model, packed = headed("llama"), PackTensors.of(pack(sequences()))
    rows: list[int] = []
    model.lm_head.register_forward_hook(lambda m, given, logits: rows.append(logits.shape[1]))
    num_origins = len(packed.wanted.origins)
    total = scored(model, packed, max_logits=4 * 96).score.sum()
    assert rows[0] == 1 and max(rows) == 4 and sum(rows[1:]) == num_origins
    rows.clear()
    total.backward()
    assert sum(rows) == num_origins and max(rows) == 4
    rows.clear()
    with torch.no_grad():
        scored(model, packed, max_logits=4 * 96)
    assert sum(rows[1:]) == num_origins


@pytest.fixture
def fresh_accelerate() -> Iterator[None]:
    """Its precision is one for the whole process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.usefixtures("fresh_accelerate")
def test_adapters_and_accelerate_s_wrapper_are_within_one_call_of_the_model() -> None:
    given = sequences()
    model = get_peft_model(headed("llama"), LoraConfig(r=2, target_modules="all-linear"))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    expected = torch.stack([alone(model, s) for s in given])
    its_gradients = gradients(model, expected.sum())
    packed = PackTensors.of(pack(given))
    calls: list[str] = []
    model.register_forward_hook(lambda *of: calls.append("model"))
    for rows in (1000, 3):
        found = scored(model, packed, max_logits=rows * 96)
        assert_same(gradients(model, found.score.sum()), its_gradients)
    assert calls == ["model"] * 2
    mixed = Accelerator(cpu=True, mixed_precision="bf16").prepare(model)
    for rows in (1000, 3):
        found = scored(mixed, packed, max_logits=rows * 96)
        assert found.score.dtype == torch.float64
        torch.testing.assert_close(found.score, expected.double(), atol=2.0, rtol=0.1)
        assert gradients(mixed, found.score.sum()).keys() == its_gradients.keys()


def test_a_model_whose_head_is_elsewhere_is_refused() -> None:
    class Bare(torch.nn.Module):
        config = headed("llama").config

        def forward(self, **arguments: Any) -> Any:
            raise AssertionError("it is refused before")

    given = PackTensors.of(pack(sequences()))
    with pytest.raises(InvalidInput, match=r"Bare cannot be trained on trees: .* no base model"):
        head.through_the_head(Bare(), given.wanted, input_ids=given.token[None])


_MEASURED = """
import sys, time
from pathlib import Path
import numpy as np, torch
from transformers import LlamaConfig, LlamaForCausalLM
from w2stree.training.trees.pack import pack
from w2stree.training.trees.scores import PackTensors, scored
from w2stree.training.trees.head import MAX_LOGITS
from w2stree.training.trees.sequences import ScoredIds

VOCABULARY, LENGTH, TILED = 152_000, int(sys.argv[1]), sys.argv[2] == "tiled"
torch.set_num_threads(1)
model = LlamaForCausalLM(LlamaConfig(
    vocab_size=VOCABULARY, hidden_size=16, intermediate_size=32, num_hidden_layers=1,
    num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=LENGTH,
))
ids = np.random.default_rng(0).integers(0, VOCABULARY, LENGTH)
packed = PackTensors.of(pack([ScoredIds.of(ids, [0] + [1] * (LENGTH - 1))]))

def mib():
    status = Path("/proc/self/status").read_text()  # getrusage begins with the parent's
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024

model(input_ids=packed.token[None, :8]).logits.sum().backward()
before, began = mib(), time.perf_counter()
scored(model, packed, max_logits=MAX_LOGITS if TILED else 1 << 60).score.sum().backward()
print(mib() - before, time.perf_counter() - began)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
@pytest.mark.parametrize(
    "num_tokens",
    [1024, pytest.param(4096, marks=pytest.mark.slow)],  # slow: a minute; pytest -m slow
)
def test_tokens_of_a_vocabulary_of_152000_stay_below_2_gib(num_tokens: int) -> None:
    """Beyond the model, forward and backward, however many tokens; whole logits of 4,096 tokens are
    2.4 GB, and four copies of them are made."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(num_tokens), "tiled"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout.split()[0]) < 2048
