"""Stages that make models: tokenizer, pretraining, SFT, TreeDPO, MCTS-SFT, the ceiling."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch
from transformers import AutoTokenizer

from w2stree.errors import InvalidInput
from w2stree.experiment.config.model import ModelSection, OptimisationSection
from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.stages.context import Context
from w2stree.training.models import (
    Architecture,
    build_model,
    load_model,
    save_model,
    train_tokenizer,
)
from w2stree.training.rows import (
    PreferenceRow,
    TokenizedRows,
    preference_rows,
    tokenize_preferences,
    tokenize_sft,
)
from w2stree.training.trainers import (
    Lora,
    Optimisation,
    sequence_logprobs,
    train_dpo,
    train_sft,
)
from w2stree.trajectories.files import read_trajectories
from w2stree.trajectories.trajectory import Trajectory
from w2stree.turns.chat import ChatFormat


def tokenizer(context: Context, out: StageWriter) -> None:
    """The small models' tokenizer, from the texts they may see."""
    trajectories = context.trajectories("demonstrations")
    if context.config.strong.pretrain:
        trajectories += context.trajectories("random_play")
    texts = [m.content for t in trajectories for m in t.prompt]
    texts += [text for t in trajectories for s in t.steps for text in (s.response, s.observation)]
    trained = train_tokenizer(texts, **context.config.tokenizer.model_dump())
    trained.save_pretrained(out.folder / "model")
    out.metrics["vocab_size"] = len(trained)


def pretrain(context: Context, out: StageWriter) -> None:
    """The strong model's latent ability: next-token prediction on random play."""
    section = context.config.strong
    assert section.pretrain is not None
    model, tok = _fresh(context, section, "strong")
    rows = _sft_rows(context, context.trajectories("random_play"), tok, all_tokens=True)
    _fit_sft(context, out, "pretrain", model, tok, rows, section.pretrain.optimisation)


def sft(context: Context, out: StageWriter, role: str) -> None:
    """Fine-tune the weak or the strong model on the demonstrations (L_SFT)."""
    section: ModelSection = getattr(context.config, role)
    if role == "strong" and context.config.strong.pretrain:
        model, tok = load_model(context.model_dir("pretrain"))
    else:
        model, tok = _fresh(context, section, role)
    rows = _sft_rows(context, context.trajectories("demonstrations"), tok)
    _fit_sft(context, out, f"sft_{role}", model, tok, rows, section.sft)


def mcts_sft(context: Context, out: StageWriter) -> None:
    """Fine-tune the strong SFT model on the best paths found in the tree (L_MCTS)."""
    section = context.config.mcts_sft
    paths = read_trajectories(context.run_dir / "tree" / "best_paths.jsonl")
    kept = [t for t in paths if t.total_return >= section.min_return]
    if not kept:
        raise InvalidInput(
            f"mcts_sft.min_return {section.min_return} leaves none of {len(paths)} best paths; "
            "lower it"
        )
    out.metrics["num_best_paths"] = len(kept)
    demonstrations = context.trajectories("demonstrations") if section.with_demonstrations else []
    _from_strong(context, out, "mcts_sft", kept + demonstrations, section.optimisation)


def ceiling(context: Context, out: StageWriter) -> None:
    """Fine-tune the strong SFT model on expert demonstrations of the explored tasks too."""
    shown = context.trajectories("ceiling_demonstrations") + context.trajectories("demonstrations")
    _from_strong(context, out, "ceiling", shown, context.config.ceiling.optimisation)


def tree_dpo(context: Context, out: StageWriter) -> None:
    """DPO on the tree's pairs from the strong SFT model (Eq. 6)."""
    section = context.config.tree_dpo
    forest = context.forest()
    rows = preference_rows(forest.pairs(min_gap=section.min_gap), section.completion)
    num_rows = len(rows)
    if section.max_rows and num_rows > section.max_rows:
        rows = random.Random(context.seed("tree_dpo")).sample(rows, section.max_rows)
    model, tok = load_model(context.model_dir("sft_strong"))
    scored = _with_reference(context, rows, tok)
    out.metrics.update(
        num_preference_rows=num_rows,
        num_used_rows=len(scored),
        num_too_long=len(rows) - len(scored),
    )
    with context.bar.steps("tree_dpo steps") as update:
        model, metrics = train_dpo(
            model.train(),
            tok,
            scored,
            _optimisation(section.optimisation),
            beta=section.beta,
            sft_weight=section.sft_weight,
            reference_is_start=section.reference == "start",
            output_dir=str(out.folder / "trainer"),
            seed=context.seed("tree_dpo"),
            progress=update,
        )
    _save(out, model, tok, metrics)


def _with_reference(
    context: Context, rows: Sequence[PreferenceRow], tok: Any
) -> list[dict[str, Any]]:
    """Rows in the policy's ids with the reference model's log-probabilities, from its own ids.

    Rows too long for either tokenizer are left out.
    """
    section, max_length = context.config.tree_dpo, context.config.max_length
    stage = "sft_weak" if section.reference == "weak" else "sft_strong"
    reference, its_tok = load_model(context.model_dir(stage))
    ours = tokenize_preferences(rows, ChatFormat(tok), max_length=max_length)
    theirs = tokenize_preferences(rows, ChatFormat(its_tok), max_length=max_length)
    both = [(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]
    logprobs = sequence_logprobs(
        reference, [b for _, b in both], batch_size=section.optimisation.batch_size
    )
    return [
        {**row, "ref_chosen_logps": chosen, "ref_rejected_logps": rejected}
        for (row, _), (chosen, rejected) in zip(both, logprobs, strict=True)
    ]


def _from_strong(
    context: Context,
    out: StageWriter,
    stage: str,
    trajectories: Sequence[Trajectory],
    section: OptimisationSection,
) -> None:
    model, tok = load_model(context.model_dir("sft_strong"))
    rows = _sft_rows(context, trajectories, tok)
    _fit_sft(context, out, stage, model, tok, rows, section)


def _fit_sft(
    context: Context,
    out: StageWriter,
    stage: str,
    model: Any,
    tok: Any,
    rows: TokenizedRows,
    section: OptimisationSection,
) -> None:
    with context.bar.steps(f"{stage} steps") as update:
        model, metrics = train_sft(
            model.train(),
            tok,
            rows.rows,
            _optimisation(section),
            output_dir=str(out.folder / "trainer"),
            seed=context.seed(stage),
            progress=update,
        )
    out.metrics.update(num_rows=len(rows.rows), num_too_long=rows.num_too_long)
    _save(out, model, tok, metrics)


def _save(out: StageWriter, model: Any, tok: Any, metrics: dict[str, float]) -> None:
    save_model(out.folder / "model", model, tok)
    out.metrics.update(metrics, num_parameters=model.num_parameters())


def _fresh(context: Context, section: ModelSection, role: str) -> tuple[Any, Any]:
    """A model before any training of this run."""
    if section.path is not None:
        return load_model(section.path)
    assert section.architecture is not None
    tok = AutoTokenizer.from_pretrained(context.model_dir("tokenizer"))
    architecture = Architecture(**section.architecture.model_dump())
    return build_model(architecture, tok, seed=context.seed(role)), tok


def _sft_rows(
    context: Context, trajectories: Sequence[Trajectory], tok: Any, *, all_tokens: bool = False
) -> TokenizedRows:
    return tokenize_sft(
        trajectories, ChatFormat(tok), max_length=context.config.max_length, all_tokens=all_tokens
    )


def _optimisation(section: OptimisationSection) -> Optimisation:
    values = section.model_dump()
    lora = values.pop("lora")
    return Optimisation(**values, lora=Lora(**lora) if lora else None)


def use_threads(num_threads: int) -> None:
    """Torch's thread count for all stages; more than the cores halves the speed or worse."""
    torch.set_num_threads(num_threads)
