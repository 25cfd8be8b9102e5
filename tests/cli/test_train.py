"""`w2stree train`: what is recognised, what is trained, what is refused and why."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("trl")

from datasets import DatasetDict, load_from_disk
from support.tiny_models import BAD, GOOD, WORSE, tiny_model, tiny_tokenizer
from transformers import AutoModelForCausalLM

import w2stree as w2s
from w2stree.cli.app import main
from w2stree.errors import RowWarning
from w2stree.training.models import save_model
from w2stree.trajectories.journal import Journal
from w2stree.trajectories.origin import Origin
from w2stree.trajectories.trajectory import Message

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore::w2stree.errors.LikelihoodDisplaced"),
    pytest.mark.filterwarnings("ignore::w2stree.errors.RowWarning"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs, the same runs in every form, and two models; the current directory."""
    monkeypatch.chdir(tmp_path)
    tokenizer = tiny_tokenizer()
    for seed, name in enumerate(("weak", "strong")):
        save_model(f"models/{name}", tiny_model(tokenizer, seed=seed), tokenizer)
    runs = [
        replace(t, task_id=f"task-{i}", prompt=(Message("user", f"Cook meal {i}."),))
        for i in range(4)
        for t in (GOOD, BAD, WORSE)
    ]
    Path("runs").mkdir()
    w2s.write_trajectories("runs/a.jsonl", runs[:6])
    w2s.write_trajectories("runs/b.jsonl", runs[6:])
    forest = w2s.build_forest(runs)
    forest.save("all.forest")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RowWarning)
        pairs = w2s.preference_dataset(forest.pairs(min_gap=0.5))
        messages = w2s.sft_dataset(forest.search().best_trajectories())
        tokens = w2s.sft_dataset(forest.search().best_trajectories(), tokenizer=tokenizer)
    pairs.to_json("pairs.jsonl")
    pairs.to_parquet("pairs.parquet")
    pairs.save_to_disk("pairs_dataset")
    messages.to_json("messages.jsonl")
    tokens.to_parquet("tokens.parquet")
    Path("args.yaml").write_text("max_steps: 1\nwarmup_steps: 0\n")
    return tmp_path


def train(*arguments: str, output: str = "out") -> int:
    given = ("--args", "args.yaml", "--lr", "1e-3", "--output", output)
    return main(["train", *arguments, "--model", "models/strong", *given])


ARGS = ("--args", "args.yaml", "--holdout", "0", "--output", "out")


def digest(output: str) -> str:
    lines = Path(output, "README.md").read_text().splitlines()
    return next(line for line in lines if line.startswith("SHA-256"))


def test_runs_a_forest_and_rows_train_the_same(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of_runs = ("--min-gap", "0.5")
    inputs = {
        "runs": of_runs,
        "all.forest": ("--trajectories", "runs", *of_runs),
        "pairs.jsonl": (),
        "pairs.parquet": (),
        "pairs_dataset": (),
    }
    for i, (given, options) in enumerate(inputs.items()):
        assert train("dpo", given, *options, output=f"out{i}") == 0
    told = capsys.readouterr().out
    for line in (
        "runs: trajectories",
        "8 pairs of at least 0.5 in return",
        "all.forest: a saved forest",
        "pairs.parquet: preference rows (prompt, chosen, rejected)",
        "trained on 8 rows in 1 steps, 0 rows held out",
        "trained pair accuracy: 0.500 before, ",
        "model: out4",
    ):
        assert line in told
    assert len({digest(f"out{i}") for i in range(len(inputs))}) == 1
    AutoModelForCausalLM.from_pretrained("out0")


def test_sft_imitates_the_best_run_of_each_task(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = ("runs", "messages.jsonl", "tokens.parquet")
    for i, given in enumerate(inputs):
        assert train("sft", given, output=f"out{i}") == 0
    told = capsys.readouterr().out
    assert "4 of 4 tasks' best runs, returns 1 to 1" in told
    assert "token rows (input_ids, labels)" in told and "conversations (messages)" in told
    assert len({digest(f"out{i}") for i in range(len(inputs))}) == 1
    assert train("sft", "runs", "--all-runs", "--min-return", "0.1", output="all") == 0
    assert "8 of 12 runs, returns 0.1 to 1" in capsys.readouterr().out
    assert json.loads(Path("all/metrics.json").read_text())["num_trained_rows"] == 8


def test_turns_that_are_not_to_be_learned_are_left_out(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As runs of AgentTraj say by their flags."""
    flags = [index > 0 for index in range(len(GOOD.steps))]
    w2s.write_trajectories("flagged.jsonl", [replace(GOOD, info={"learned_turns": flags})])
    assert train("sft", "flagged.jsonl", "--holdout", "0") == 0
    assert "1 turns are not to be learned (loss: false) and left out" in capsys.readouterr().out
    w2s.write_trajectories("other.jsonl", [replace(GOOD, info={"learned_turns": [True]})])
    assert train("sft", "other.jsonl", output="other") == 2
    assert "is no array of" in capsys.readouterr().err


def test_returns_may_be_any_numbers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Percent, or penalties: the command finds their range itself."""
    for name, factor, offset in (("percent", 100.0, 0.0), ("penalty", 1.0, -5.0)):
        runs = [
            replace(t, total_return=t.total_return * factor + offset) for t in (GOOD, BAD, WORSE)
        ]
        w2s.write_trajectories(f"{name}.jsonl", runs)
        assert train("sft", f"{name}.jsonl", "--holdout", "0", output=name) == 0
    told = capsys.readouterr().out
    assert "best runs, returns 100 to 100" in told and "best runs, returns -4 to -4" in told


def test_answers_that_differ_by_a_number_are_one_where_that_is_asked_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbered = [
        replace(
            run,
            steps=tuple(
                replace(step, observation=f"Turn {i + 4 * t}. {step.observation}")
                for t, step in enumerate(run.steps)
            ),
        )
        for i, run in enumerate((GOOD, BAD))
    ]
    w2s.write_trajectories("numbered.jsonl", numbered)
    assert train("dpo", "numbered.jsonl", "--holdout", "0") == 2
    assert "no pairs to train on" in capsys.readouterr().err
    assert train("dpo", "numbered.jsonl", "--holdout", "0", "--normalize", "numbers") == 0
    assert "trained on 1 rows" in capsys.readouterr().out
    for given in ("all.forest", "pairs.jsonl"):
        options = ["--trajectories", "runs"] if given == "all.forest" else []
        assert train("dpo", given, *options, "--normalize", "numbers", output="no") == 2
        assert "--normalize" in capsys.readouterr().err


def test_folders_of_rows_are_refused_by_what_they_hold(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("pairs.jsonl", "pairs.parquet"):
        inside = Path(f"in_{name}")
        inside.mkdir()
        Path(name).rename(inside / name)
        assert train("dpo", f"{inside}") == 2
        assert f"{name} in it has preference rows (prompt, ch" in capsys.readouterr().err
    pairs = load_from_disk("pairs_dataset")
    DatasetDict({"train": pairs, "test": pairs}).save_to_disk("parts")
    assert train("dpo", "parts") == 2
    assert "parts: has several parts (train, test); give the folder of one" in (
        capsys.readouterr().err
    )


def test_half_a_model_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = Path("models/strong/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:5000])
    assert train("sft", "runs") == 2
    assert "w2stree: models/strong: Error while deserializing header" in capsys.readouterr().err


def test_a_reference_of_another_model_lora_and_a_holdout(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--reference", "models/weak", "--lora", "--holdout", "0.25", "--seed", "3")
    assert train("dpo", "runs", "--completion", "suffix", "--beta", "0.2", *options) == 0
    told = capsys.readouterr()
    assert "held out pair accuracy: " in told.out and "1/1 training steps" in told.err
    card = Path("out/README.md").read_text()
    for words in ("with reference `models/weak`", '"beta": 0.2', '"r": 64', '"seed": 3'):
        assert words in card
    assert "1 of 4 tasks (3 rows) are held out" in card and str(folder) not in card


def test_a_journal_is_recognised(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Journal(Path("a.journal")) as journal:
        for i, run in enumerate((GOOD, BAD)):
            journal.append(replace(run, origin=Origin(sample_index=i, seed=i)))
    assert train("dpo", "a.journal", "--holdout", "0") == 0
    assert "a.journal: trajectories" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dpo", "nosuch"), "nosuch: no such file or directory; expected trajectories"),
        (("dpo", "messages.jsonl"), "conversations (messages): w2stree train sft learns from them"),
        (("sft", "pairs.jsonl"), "preference rows (prompt, chosen, rejected): w2stree train dpo"),
        (("dpo", "pairs.jsonl", "--min-gap", "0.1"), "--min-gap: of runs or a saved forest; these"),
        (("dpo", "all.forest"), "give the runs that it was built from with --trajectories"),
        (("dpo", "runs", "--min-gap", "5"), "the forest has 12 pairs at min_gap=0"),
        (("dpo", "runs", "--max-length", "20"), "12 exceed max_length (20 tokens; the longest"),
        (("dpo", "runs", "--completion", "turn"), "completion is 'turn'; use 'step' or 'suffix'"),
        (("dpo", "runs", "--reference", "nosuch"), "nosuch: no config.json"),
        (("sft", "runs", "--min-return", "2"), "--min-return 2 leaves none of 4 tasks' best runs"),
        (("dpo", "runs", "--epochs", "0"), "'--epochs': '0'; give a number above 0"),
        (("dpo", "runs", "--min-gap", "x"), "'--min-gap': 'x'; give a number"),
        (("dpo", "runs", "--holdout", "1"), "holdout is 1.0; give a share of the tasks"),
        (("dpo", "models/weak"), "models/weak: no files of runs"),
        (("dpo", "args.yaml"), "args.yaml:1: 'max_steps: 1\\n' is no JSON object; expected"),
        (("dpo", "other.jsonl"), "other.jsonl:1: not known by its fields (question, answer); exp"),
        (("dpo", "torn.jsonl"), "torn.jsonl:2: "),
        (("dpo", "empty.jsonl"), "empty.jsonl: has no rows; expected"),
        (("dpo", "same.jsonl"), "same.jsonl:1: chosen and rejected are the same"),
        (("sft", "turns.jsonl"), "turns.jsonl:1: messages: message 3 is of the assistant; after"),
        (("sft", "begins.jsonl"), "begins.jsonl:1: messages: begin with the assistant; a task"),
    ],
)
def test_what_is_no_input_is_refused_with_what_is_expected(
    arguments: tuple[str, ...],
    message: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    user, said = {"role": "user", "content": "Cook."}, {"role": "assistant", "content": "Yes."}
    same = {"prompt": [user], "chosen": [said], "rejected": [said]}
    Path("other.jsonl").write_text('{"question": "2+2", "answer": "4"}\n')
    Path("torn.jsonl").write_text(
        Path("pairs.jsonl").read_text().splitlines()[0] + '\n{"prompt": ['
    )
    Path("empty.jsonl").write_text("\n")
    Path("same.jsonl").write_text(json.dumps(same))
    Path("turns.jsonl").write_text(json.dumps({"messages": [user, said, said]}))
    Path("begins.jsonl").write_text(json.dumps({"messages": [said, user]}))
    assert train(*arguments) == 2
    assert message in capsys.readouterr().err
    assert not Path("out").exists() and not Path(".out.partial").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rat: 1", "DPOConfig has no 'learning_rat'; there are learning_rate"),
        ("output_dir: x", "output_dir is the call's own"),
        ("- 1", "args.yaml: not a mapping of arguments to values"),
        ("save_strategy: sometimes", "DPOConfig: sometimes is not a valid SaveStrategy"),
        ("num_train_epochs: often", "num_train_epochs is 'often'; give float"),
        ("bf16: sometimes", "bf16 is 'sometimes'; give bool"),
        ("packing: true", "DPOConfig has no 'packing'"),
        ("truncation_mode: keep_end", "truncation_mode='keep_end' cannot hold on trees"),
        ("max_steps: 0", "max_steps is 0 and num_train_epochs 3: nothing would be trained"),
        ("num_train_epochs: -1", "max_steps is -1 and num_train_epochs -1: nothing would be"),
        ("per_device_train_batch_size: 0", "per_device_train_batch_size is 0; give at least 1"),
        ("gradient_accumulation_steps: 0", "gradient_accumulation_steps is 0; give at least 1"),
        ("eval_strategy: epoch", "eval_strategy: the held-out tasks are measured before and after"),
        ("push_to_hub: true", "push_to_hub: nothing is sent to anybody"),
        ("report_to: nobody", "DPOConfig: nobody is not supported, only"),
        ("fsdp: full_shard", "DPOConfig: Using fsdp only works in distributed training"),
        ("deepspeed: none.json", "DPOConfig: "),
    ],
)
def test_arguments_are_checked_by_name(
    text: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("args.yaml").write_text(text)
    assert main(["train", "dpo", "runs", "--model", "models/strong", *ARGS]) == 2
    assert message in capsys.readouterr().err


def test_what_was_refused_is_not_asked_of_the_next_training(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers leaves `fsdp` in the environment, where accelerate looks for it."""
    monkeypatch.delenv("ACCELERATE_USE_FSDP", raising=False)
    Path("args.yaml").write_text("fsdp: full_shard")
    assert main(["train", "dpo", "runs", "--model", "models/strong", *ARGS]) == 2
    Path("args.yaml").write_text("max_steps: 1")
    assert train("dpo", "runs", "--holdout", "0") == 0


@pytest.mark.parametrize("rate", ["-1", ".nan"])
def test_a_rate_that_is_none_is_refused(
    rate: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("args.yaml").write_text(f"learning_rate: {rate}")
    assert main(["train", "sft", "runs", "--model", "models/strong", *ARGS]) == 2
    assert "give a number of at least 0" in capsys.readouterr().err


def test_the_losses_that_a_warning_advises_are_taken(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("args.yaml").write_text("max_steps: 1\nloss_type: [sigmoid, sft]\n")
    assert train("dpo", "runs", "--holdout", "0") == 0
    assert '"sft"' in Path("out/README.md").read_text()


def test_a_finished_model_is_not_trained_into(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("sft", "runs", "--holdout", "0") == 0
    before = Path("out/README.md").read_text()
    assert train("sft", "runs", "--holdout", "0") == 2
    assert "out: holds files already" in capsys.readouterr().err
    assert Path("out/README.md").read_text() == before
