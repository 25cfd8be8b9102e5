"""A saved model stops where its training ended turns: in vLLM's own chat, and in its chat server.

W2STREE_VLLM_PYTHON=DIR/bin/python pytest -m slow tests/policies/test_vllm_stops.py, DIR as for
test_vllm.py.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

pytest.importorskip("httpx2")
pytest.importorskip("trl")

import httpx2
from support.tiny_models import GOOD, tiny_tokenizer

from w2stree.rows.tokenized import tokenize_sft
from w2stree.training.models import Architecture, build_model, save_model
from w2stree.training.optimisation import Optimisation
from w2stree.training.unshared.sft import train_sft
from w2stree.turns.chat import ChatFormat

PYTHON = os.environ.get("W2STREE_VLLM_PYTHON", "")
# Wide enough for vLLM's attention kernels on the CPU.
WIDE = Architecture(hidden_size=64, num_layers=2, num_heads=2, intermediate_size=64, max_length=512)
MESSAGES = [asdict(message) for message in GOOD.prompt]
SAID = GOOD.steps[0].response

pytestmark = [
    pytest.mark.slow,
    pytest.mark.train,
    pytest.mark.skipif(not PYTHON, reason="W2STREE_VLLM_PYTHON names no interpreter with vLLM"),
]

IN_PROCESS = """
import json, sys, vllm
if __name__ == "__main__":
    engine = vllm.LLM(model=sys.argv[1], gpu_memory_utilization=0.1, enforce_eager=True,
                      enable_chunked_prefill=False, dtype="float32", max_model_len=512)
    settings = engine.get_default_sampling_params()
    settings.temperature, settings.max_tokens = 0.0, 60
    (answer,) = engine.chat(json.loads(sys.argv[2]), settings, use_tqdm=False)
    said = answer.outputs[0]
    print("SAID", json.dumps([said.text, said.finish_reason]))
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model whose end of text is not its chat template's end of turn, trained by heart."""
    folder = tmp_path_factory.mktemp("saved")
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"eos_token": "<|endoftext|>"})
    model = build_model(WIDE, tokenizer, seed=0)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    rows = tokenize_sft([GOOD], ChatFormat(tokenizer), max_length=512).rows
    optimisation = Optimisation(num_epochs=80, learning_rate=1e-2, batch_size=1)
    trained = train_sft(
        model.train(), tokenizer, rows, optimisation, output_dir=str(folder / "t"), seed=0
    )
    save_model(folder / "model", trained.model, tokenizer)
    return folder / "model"


def test_in_process(saved: Path) -> None:
    command = [PYTHON, "-c", IN_PROCESS, str(saved), json.dumps(MESSAGES)]
    ran = subprocess.run(command, capture_output=True, text=True)
    (line,) = [line for line in ran.stdout.splitlines() if line.startswith("SAID ")] or [ran.stderr]
    assert json.loads(line.removeprefix("SAID ")) == [SAID, "stop"]


def test_in_a_chat_server(saved: Path, tmp_path: Path) -> None:
    from bench.policies.vllm_server import vllm_server

    with vllm_server(PYTHON, saved, log=tmp_path / "log") as url:
        question = {"model": "tuned", "messages": MESSAGES, "temperature": 0.0, "max_tokens": 60}
        answer = httpx2.post(f"{url}/chat/completions", json=question, timeout=600).json()
    (choice,) = answer["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (SAID, "stop")
