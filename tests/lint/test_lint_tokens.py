"""Rules that need a tokenizer: real templates, and stock TRL's own functions to compare with."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")
pytest.importorskip("trl")

from support.chat_models import TEMPLATES, byte_level, sentencepiece
from support.lint_inputs import (
    clean_conversations,
    clean_preferences,
    clean_runs,
    conversation,
    preference,
    run,
)
from support.tiny_models import tiny_tokenizer

from w2stree import lint
from w2stree.linting import stock_trl
from w2stree.linting.finding import Finding, Findings, Rule, Severity
from w2stree.linting.given import Records, preferences_of
from w2stree.rows.tokenized import tokenize_sft
from w2stree.turns.chat import ChatFormat
from w2stree.turns.template import read_template, trl_folder

pytestmark = pytest.mark.train

USER = {"role": "user", "content": "You see a door."}
TURN = {"role": "assistant", "content": "open door"}
MARKED = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}"
    "{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}{% else %}"
    "{{ m.content }}<|im_end|>{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MARKED_NOWHERE = MARKED.replace(
    "{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}",
    "{% generation %}{% endgeneration %}{{ m.content }}<|im_end|>",
)
TRIMMING = MARKED.replace("{{ m.content }}", "{{ m.content | trim }}")


@pytest.fixture(scope="module")
def marked() -> Any:
    """A tokenizer with nothing wrong with it."""
    return byte_level(MARKED)


def of(findings: Findings, rule: Rule) -> Finding:
    (finding,) = (f for f in findings if f.rule is rule)
    return finding


def rules(findings: Findings) -> set[Rule]:
    return {finding.rule for finding in findings}


@pytest.mark.parametrize("clean", [clean_runs, clean_preferences, clean_conversations])
def test_is_silent_where_nothing_is_wrong(clean: Any, marked: Any) -> None:
    found = lint(clean(), tokenizer=marked)
    assert list(found) == [] and not found.not_run


# Lengths ------------------------------------------------------------------------------------------


def test_rows_over_the_length(marked: Any) -> None:
    long = preference(30, chosen=[{"role": "assistant", "content": "open the door " * 40}])
    found = lint([*clean_preferences(), long], tokenizer=marked, max_length=100)
    finding = of(found, Rule.TOO_LONG)
    assert (finding.count, finding.total, finding.severity) == (1, 25, Severity.WARNING)
    assert finding.places == ("rows[24]",)
    needed = int(finding.fix.removeprefix("--max-length "))
    assert Rule.TOO_LONG not in rules(lint([long], tokenizer=marked, max_length=needed))
    assert of(lint([long], tokenizer=marked, max_length=needed - 1), Rule.TOO_LONG).severity == (
        Severity.ERROR  # nothing would be left
    )


def test_of_a_model_its_positions_are_the_limit(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text(
        '{"model_type": "llama", "max_position_embeddings": 16}'
    )
    runs = [run("cook", ["take knife", a], float(i)) for i, a in enumerate(("eat", "wait"))]
    assert Rule.TOO_LONG not in rules(lint(runs, model=tmp_path / "tokenizer"))
    finding = of(lint(clean_preferences(), model=tmp_path / "model"), Rule.TOO_LONG)
    assert "16 tokens (the positions the model has)" in finding.says
    assert "more positions" in finding.fix


def test_what_stock_trl_cuts_is_what_it_does_cut(marked: Any, tmp_path: Path) -> None:
    """By `DPOTrainer._prepare_dataset` and its collator themselves."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer
    from trl.trainer.dpo_trainer import DataCollatorForPreference

    limit = 48
    records = [
        *clean_preferences()[:3],
        preference(3, prompt=[{"role": "user", "content": "a door, " * 20}]),  # dropped
        preference(4, chosen=[{"role": "assistant", "content": "a" * 60 + "x"}],
                   rejected=[{"role": "assistant", "content": "a" * 60 + "y"}]),  # alike when cut
        preference(5, chosen=[{"role": "assistant", "content": "b" * 60}]),  # cut
        preference(6, chosen=[TURN, USER, TURN, USER]),  # ends with an answer
    ]  # fmt: skip
    columns = [{k: r[k] for k in ("prompt", "chosen", "rejected")} for r in records]
    args = DPOConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, max_length=limit)
    data = Dataset.from_list([{**c, "n": i} for i, c in enumerate(columns)])
    prepared = DPOTrainer._prepare_dataset(object(), data, marked, args, "train")
    collate = DataCollatorForPreference(pad_token_id=marked.pad_token_id, max_length=limit)

    rows, _ = preferences_of(Records(records, [str(i) for i in range(len(records))]))
    ours = [stock_trl.stock_pair(row, marked, is_read=True) for row in rows.items]
    assert [i for i, pair in enumerate(ours) if not pair.is_dropped(limit)] == prepared["n"]
    equal = []
    for example in prepared:
        pair = ours[example["n"]]
        assert example["prompt_ids"] == pair.prompt_ids[: pair.num_shared]
        assert example["prompt_ids"] + example["chosen_ids"] == pair.chosen_ids
        assert example["prompt_ids"] + example["rejected_ids"] == pair.rejected_ids
        batch = collate([example])
        if batch["input_ids"][0].equal(batch["input_ids"][1]):
            equal.append(example["n"])
    assert [i for i, pair in enumerate(ours) if pair.is_equal(limit)] == equal == [4]

    found = lint(records, tokenizer=marked, max_length=limit)
    cut = of(found, Rule.CUT_BY_TRL)
    assert cut.places == ("rows[3]", "rows[4]", "rows[5]")
    assert "1 by their prompt alone" in cut.says
    assert of(found, Rule.EQUAL_AFTER_CUT).places == ("rows[4]",)
    found = lint(records, tokenizer=marked)  # TRL's default is enough for them
    assert not rules(found) & {Rule.CUT_BY_TRL, Rule.EQUAL_AFTER_CUT, Rule.TOO_LONG}


def test_trls_default_length_is_known() -> None:
    from trl import DPOConfig, SFTConfig

    for config in (DPOConfig, SFTConfig):
        assert config.__dataclass_fields__["max_length"].default == stock_trl.DEFAULT_MAX_LENGTH


def test_conversations_and_token_rows_are_cut_too(marked: Any) -> None:
    long = conversation(9, messages=[USER, {"role": "assistant", "content": "door " * 1200}])
    finding = of(lint([*clean_conversations(), long], tokenizer=marked), Rule.CUT_BY_TRL)
    assert finding.places == ("rows[4]",) and "1,024 tokens (TRL's default)" in finding.says
    row = {"input_ids": [300] * 1100, "labels": [-100] * 1000 + [300] * 100}
    found = lint([row], tokenizer=marked, max_length=1024)
    assert {Rule.CUT_BY_TRL, Rule.TOO_LONG} <= rules(found)


# What is learned ----------------------------------------------------------------------------------


def test_sides_of_other_letters_and_the_same_tokens() -> None:
    same = preference(
        30,
        chosen=[{"role": "assistant", "content": "open door"}],
        rejected=[{"role": "assistant", "content": " open door "}],
    )
    rows = [*clean_preferences(), same]
    finding = of(lint(rows, tokenizer=byte_level(TRIMMING)), Rule.EQUAL_TOKENS)
    assert finding.places == ("rows[24]",)
    assert Rule.EQUAL_TOKENS not in rules(lint(rows, tokenizer=byte_level(MARKED)))


def test_a_side_whose_turns_have_no_action_has_nothing_to_learn(marked: Any) -> None:
    silent = run("dry", ["a"], 1.0)
    silent = replace(silent, steps=(replace(silent.steps[0], action=""),))
    found = lint([*clean_runs(), silent], tokenizer=marked)
    finding = of(found, Rule.NO_TRAINABLE_TOKEN)
    assert finding.unit == "best paths" and finding.places == ("task 'dry'",)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (byte_level, "qwen2_5"),
        (byte_level, "llama3"),
        (byte_level, "phi3"),
        (byte_level, "chatml"),
        (sentencepiece, "mistral_v0_1"),
    ],
)
def test_labels_on_what_the_user_said(make: Any, name: str) -> None:
    """Rows as `sft_dataset(tokenizer=)` makes them pass; the same with every label set do not."""
    template = TEMPLATES[name] if name in TEMPLATES else read_template(name)
    tokenizer = make(template)
    played = run("cook", ["take the knife", "open door"], 1.0)
    (row,) = tokenize_sft([played], ChatFormat(tokenizer), max_length=None).rows
    assert Rule.OBSERVATIONS_IN_MASK not in rules(lint([row], tokenizer=tokenizer))
    first = next(i for i, label in enumerate(row["labels"]) if label != -100)
    labels = [-100] * first + row["input_ids"][first:]
    found = lint([row, {**row, "labels": labels}], tokenizer=tokenizer)
    assert of(found, Rule.OBSERVATIONS_IN_MASK).places == ("rows[1]",)


def test_ids_of_another_tokenizer_are_refused_as_training_does(marked: Any) -> None:
    row = {"input_ids": [1, 2, 10_000_000], "labels": [-100, 2, 10_000_000]}
    finding = of(lint([row], tokenizer=marked), Rule.UNREADABLE)
    assert "ids of another tokenizer" in finding.places[0]


def test_kept_ids_of_another_tokenizer(marked: Any) -> None:
    runs = clean_runs()
    own = ChatFormat(marked).fingerprint()
    for i, fingerprint in ((0, own), (1, "of another"), (2, None)):
        step = replace(runs[i].steps[0], token_ids=(40, 41))
        origin = replace(runs[i].origin, tokenizer=fingerprint)
        runs[i] = replace(runs[i], steps=(step,), origin=origin)
    assert of(lint(runs, tokenizer=marked), Rule.FOREIGN_TOKEN_IDS).places == ("runs[1]", "runs[2]")


# Templates ----------------------------------------------------------------------------------------


def test_a_template_that_training_refuses_is_said_and_the_stock_way_is_looked_at() -> None:
    """Qwen3's drops what earlier turns thought."""
    tokenizer = byte_level(read_template("qwen3"))
    thought = {"role": "assistant", "content": "<think>\nWhere?\n</think>\n\nopen door"}
    rows = [*clean_preferences(), preference(30, prompt=[USER, thought, USER])]
    finding = of(lint(rows, tokenizer=tokenizer), Rule.TEMPLATE_REFUSED)
    assert (finding.count, finding.total) == (25, 25)
    assert "drops what earlier turns thought" in finding.says
    runs = lint(clean_runs(), tokenizer=tokenizer)
    assert {f.unit for f in runs if f.rule is Rule.TEMPLATE_REFUSED} == {
        "preference rows (step)",
        "best paths",
    }


def test_a_row_whose_roles_the_template_refuses_is_named() -> None:
    """Gemma's takes no system message."""
    tokenizer = byte_level(read_template("gemma"))
    rows = [
        *clean_preferences(),
        preference(30, prompt=[{"role": "system", "content": "Be"}, USER]),
    ]
    finding = of(lint(rows, tokenizer=tokenizer), Rule.TEMPLATE_REFUSED)
    assert (finding.count, finding.places) == (1, ("rows[24]",))


@pytest.mark.parametrize(
    ("name", "is_prefix"), [("qwen2_5", True), ("llama3", True), ("deepseekv3", False)]
)
def test_a_prompt_that_is_no_prefix(name: str, is_prefix: bool) -> None:
    """DeepSeek's opens a block of thinking for the agent, and leaves it out of the history."""
    tokenizer = byte_level(read_template(name))
    found = lint(clean_preferences(), tokenizer=tokenizer)
    assert (Rule.PROMPT_NOT_A_PREFIX in rules(found)) is not is_prefix
    if not is_prefix:
        assert of(found, Rule.PROMPT_NOT_A_PREFIX).count == 24


def test_a_template_without_marks_for_assistant_only_loss() -> None:
    for template, reason in (
        (TEMPLATES["llama2"], "has no generation marks"),
        (MARKED_NOWHERE, "generation marks hold none of their turns"),
    ):
        make = sentencepiece if template == TEMPLATES["llama2"] else byte_level
        finding = of(lint(clean_conversations(), tokenizer=make(template)), Rule.NO_ASSISTANT_MASK)
        assert reason in finding.says and finding.count == 4
    for template in (MARKED, read_template("qwen2_5")):  # TRL has a training template for that
        found = lint(clean_conversations(), tokenizer=byte_level(template))
        assert Rule.NO_ASSISTANT_MASK not in rules(found)


def test_marks_and_training_templates_are_known_as_trl_knows_them() -> None:
    from trl.chat_template_utils import get_training_chat_template, has_generation_markers

    folder = trl_folder()
    assert folder is not None
    files = sorted(folder.glob("*.jinja"))
    assert len(files) > 40
    for file in files:
        tokenizer = byte_level(file.read_text(encoding="utf-8"))
        has_marks = has_generation_markers(tokenizer.chat_template)
        assert stock_trl.has_generation_marks(tokenizer) == has_marks
        if has_marks:
            continue
        try:
            theirs = get_training_chat_template(tokenizer)
        except ValueError:
            theirs = None
        ours = stock_trl.training_template(tokenizer)
        assert (ours is None) == (theirs is None), file.name


def test_no_torch_is_needed(tmp_path: Path) -> None:
    byte_level(MARKED).save_pretrained(tmp_path)
    code = (
        "import sys; from pathlib import Path\n"
        "import w2stree as w2s\n"
        "from w2stree import Message, Step, Trajectory\n"
        "runs = [Trajectory('t', (Message('user', 'x'),), (Step(a, '', a),), float(i), 'done')\n"
        "        for i, a in enumerate('ab')]\n"
        "w2s.lint(runs); assert not {'torch', 'transformers', 'datasets'} & set(sys.modules)\n"
        "sys.modules['torch'] = None  # as where it is not installed\n"
        f"assert not w2s.lint(runs, model={str(tmp_path)!r}).not_run\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
