"""Signatures in what was learned: of trainings, and of what their models did in test episodes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from w2stree.evaluation.metrics import bootstrap, returns_by_task
from w2stree.experiment.diagnosis.given import Given
from w2stree.experiment.diagnosis.symptom import Rule, Symptom, beyond
from w2stree.experiment.run_json import read_json
from w2stree.report.text import FEWEST_TASKS
from w2stree.trajectories.returns import at_least

_BASELINE = "sft_strong"
_NUM_BOOTSTRAP = 10_000  # where a run does not say
_FALL = 0.01
_ACCURACY = 0.55
_LEAST_ROWS = 20
_CHANCE = 0.5
_NATS = 0.05
_ERRORS_OF_MEAN = 2.0
_CONFIRMED = 0.02
_TOO_LONG = 0.05
_TOKEN_ACCURACY = 0.5
_FAILED_PATHS = 0.25
_SFT = ("sft_weak", "sft_strong")


def _below_sft(given: Given) -> list[Symptom] | None:
    others = [name for name in given.tested if name in given.steps and name not in _SFT]
    panels = {name: ids for name, ids in given.panels.items() if len(ids) >= FEWEST_TASKS}
    if _BASELINE not in given.tested or not others or not panels:
        return None
    return [
        symptom
        for panel, task_ids in panels.items()
        for name in others
        for symptom in _below_on(given, name, panel, task_ids)
    ]


def _below_on(given: Given, name: str, panel: str, task_ids: Sequence[str]) -> list[Symptom]:
    """By the interval that the report has, drawn by the same seed."""
    asked = set(task_ids)
    after, before = (
        returns_by_task([t for t in given.tested[method] if t.task_id in asked], task_ids)
        for method in (name, _BASELINE)
    )
    num_bootstrap = int(given.setting("evaluate", "num_bootstrap") or _NUM_BOOTSTRAP)
    difference = bootstrap(after - before, num_bootstrap=num_bootstrap, seed=given.seed("report"))
    return beyond(
        given,
        f"evaluate_{name}",
        difference.ci95[1],
        0.0,
        is_above=False,
        is_share=False,
        says=f"is the upper end of {name}'s difference to {_BASELINE} on the panel "
        f"{panel} ({difference.mean:+.3f} on {len(task_ids)} tasks): it learned what its "
        "data do not say. Look at the signatures of the exploration here (diversity, pairs, "
        "support) before its settings",
        command="w2stree analyse bias {run} --before " + _BASELINE,
    )


def _flat_loss(given: Given) -> list[Symptom] | None:
    trained = _with(given, "loss_before", "loss_after")
    if not trained:
        return None
    found = []
    for stage, metrics in trained.items():
        before, after = float(metrics["loss_before"]), float(metrics["loss_after"])
        if before > 0:
            found += beyond(
                given,
                stage,
                1 - after / before,
                _FALL,
                is_above=False,
                says=f"is the share by which the loss of the same rows fell ({before:.3f} to "
                f"{after:.3f}). Raise the learning rate or the epochs where it is flat, lower the "
                "rate where it rose; of preferences: do the pairs say anything (few-pairs, "
                "thin-support, not-causal)?",
                command="tail -5 {stage}/losses.jsonl"
                if stage in _SFT
                else "w2stree lint {run}/explore",
            )
    return found


def _half(given: Given) -> list[Symptom] | None:
    found, is_asked = [], False
    for stage, metrics in _with(given, "reward_accuracy", "num_used_rows").items():
        if metrics["num_used_rows"] >= _LEAST_ROWS:
            is_asked = True
            found += beyond(
                given,
                stage,
                float(metrics["reward_accuracy"]),
                _ACCURACY,
                is_above=False,
                says="of the pairs in the last steps are ranked rightly, on rows that it trains "
                "on; one half is chance: the pairs contradict one another, or their sides read "
                "alike",
                command=f"w2stree analyse assumption {{run}} --after {stage}",
            )
    return found if is_asked else None


def _held_out(given: Given) -> list[Symptom] | None:
    """Of the analysis `assumption`, where it was made: the accuracy after training, by steps."""
    file = given.path / "analyses" / "assumption.json"
    if not file.is_file():
        return None
    match read_json(file):
        case {
            "after": str(stage),
            "step_dense": {
                "all": {
                    "num_tasks": int(num_tasks),
                    "after": {"mean": float(mean), "interval": [float(low), float(_)]},
                }
            },
        } if num_tasks >= FEWEST_TASKS:
            pass
        case _:
            return None
    return beyond(
        given,
        stage,
        low,
        _CHANCE,
        is_above=False,
        says=f"is the lower end of the share of held-out pairs that {stage} ranks rightly "
        f"({mean:.3f} on {num_tasks} tasks): what it learned of its pairs does not hold elsewhere. "
        "The pairs are uninformative, or not why returns differ (thin-support, not-causal)",
        command="w2stree lint {run}/explore",
    )


def _not_causal(given: Given) -> list[Symptom] | None:
    file = given.path / "continuations" / "divergence_cause.json"
    if "continuations" not in given.metrics or not file.is_file():
        return None
    figures = read_json(file)
    whole = figures.get("all") if isinstance(figures, dict) else None
    if not isinstance(whole, dict) or whole.get("num_contrasts", 0) < _LEAST_ROWS:
        return None
    shares = [whole.get(f"{name}_share") for name in ("confirmed", "reversed", "by_chance")]
    if any(share is None for share in shares):
        return None
    confirmed, turned, chance = (float(share or 0.0) for share in shares)
    return beyond(
        given,
        "continuations",
        confirmed - turned,
        max(chance, _CONFIRMED),
        is_above=False,
        says="is the share of contrasts that playing on bears out, less those it turns round; the "
        "threshold is what chance alone would decide either way, at least 0.02. The actions are "
        "not why returns differ: learn from confirmed ones alone (verified_dpo), explore more runs",
        command="w2stree analyse divergence_cause {run}",
    )


def _displaced(given: Given) -> list[Symptom] | None:
    found, is_asked = [], False
    for stage, steps in given.steps.items():
        logged = (s.get("rewards/chosen", math.nan) for s in steps)
        rewards = [reward for reward in logged if math.isfinite(reward)]
        part = len(rewards) // 4
        if part < 2:
            continue
        is_asked = True
        first, last = np.array(rewards[:part]), np.array(rewards[-part:])
        change = float(last.mean() - first.mean())
        noise = math.hypot(first.std(ddof=1), last.std(ddof=1)) / math.sqrt(part)
        threshold = -max(_NATS, _ERRORS_OF_MEAN * noise)
        weight = 2 * (given.setting(stage, "sft_weight") or 0.5)
        found += beyond(
            given,
            stage,
            change,
            threshold,
            is_above=False,
            is_share=False,
            says="is by how much the reward of the chosen side (beta times its log-probability "
            "over the reference's) changed from the first quarter of the steps to the last: what "
            "is preferred becomes less likely too. Add an SFT term (sft_weight), lower the rate, "
            "train fewer epochs",
            command=f"w2stree run {{run}}/config.json {stage}.sft_weight={weight:g} --run-dir "
            "{run}-sft-weight --share {parent}",
        )
    return found if is_asked else None


def _too_long(given: Given) -> list[Symptom] | None:
    found, is_asked = [], False
    for stage, metrics in _with(given, "num_too_long").items():
        used = metrics.get("num_used_rows", metrics.get("num_rows"))
        num_long = metrics["num_too_long"]
        if stage not in given.steps or used is None or not used + num_long:
            continue
        is_asked = True
        found += beyond(
            given,
            stage,
            num_long / (used + num_long),
            _TOO_LONG,
            says="of the rows exceed max_length and were left out whole: the long runs, which are "
            "mostly failures. Raise max_length, or compare single turns (completion: step)",
            command="w2stree lint {run}/explore --model {stage}/model",
        )
    return found if is_asked else None


def _unlearned_start(given: Given) -> list[Symptom] | None:
    trained = {
        stage: metrics
        for stage, metrics in _with(given, "mean_token_accuracy").items()
        if stage in _SFT
    }
    if not trained:
        return None
    return [
        symptom
        for stage, metrics in trained.items()
        for symptom in beyond(
            given,
            stage,
            float(metrics["mean_token_accuracy"]),
            _TOKEN_ACCURACY,
            is_above=False,
            says="of the demonstrations' tokens are predicted in the last steps of SFT: a model "
            "that has not learned the form is broken by preferences. More epochs, a higher rate, "
            "or a pretrained model",
            command="tail -5 {stage}/losses.jsonl",
        )
    ]


def _failed_paths(given: Given) -> list[Symptom] | None:
    least, threshold = (
        given.setting(*keys)
        for keys in (("mcts_sft", "min_return"), ("evaluate", "success_threshold"))
    )
    if "mcts_sft" not in given.steps or least is None or threshold is None:
        return None
    learned = [path for path in given.best_paths if at_least(path.total_return, least)]
    if not learned:
        return None
    num_failed = sum(not at_least(path.total_return, threshold) for path in learned)
    are_all = num_failed == len(learned)  # a least return would leave nothing to learn
    return beyond(
        given,
        "mcts_sft",
        num_failed / len(learned),
        _FAILED_PATHS,
        says="of the best paths that mcts_sft imitates are failures: unrepaired ones harm. "
        + (
            "None succeeds: explore with a better model, or repair them (recombined_sft)"
            if are_all
            else "Set mcts_sft.min_return, or repair them (recombined_sft)"
        ),
        command="w2stree tasks {run}/explore --sort return"
        if are_all
        else f"w2stree run {{run}}/config.json mcts_sft.min_return={threshold:g} "
        "--run-dir {run}-min-return --share {parent}",
    )


def _with(given: Given, *keys: str) -> dict[str, Mapping[str, Any]]:
    """Stages whose figures have all of these as numbers."""
    return {
        stage: metrics
        for stage, metrics in given.metrics.items()
        if all(isinstance(metrics.get(key), int | float) for key in keys)
    }


def rules() -> Iterator[Rule]:
    yield Rule(
        name="below-sft",
        source="the report's 95 % interval, of each panel of thirty tasks or more",
        look=_below_sft,
    )
    yield Rule(
        name="flat-loss",
        source="the same 32 rows before and after: 1 in 100 is no learning",
        look=_flat_loss,
    )
    yield Rule(
        name="half-accuracy",
        source="one half is a coin; 0.55 was seen where the loss rose from 1.08 to 1.75",
        look=_half,
    )
    yield Rule(
        name="held-out-half",
        source="one half is a coin; the analysis's 95 % interval, thirty tasks and more",
        look=_held_out,
    )
    yield Rule(
        name="not-causal",
        source="the floor that the same looks find by chance (docs/method.md); 0.197 against 0.010 "
        "in the quickstart",
        look=_not_causal,
    )
    yield Rule(
        name="displaced",
        source="0.05 as trainings warn, and twice the standard error of the two quarters; chosen "
        "sides fell from -20 to -199 nats in one epoch on a toy text game",
        look=_displaced,
    )
    yield Rule(
        name="rows-too-long",
        source="what is left out is not a sample: it is the long runs",
        look=_too_long,
    )
    yield Rule(
        name="unlearned-start",
        source="one half is ours; preferences took it from 0.78 to 0.07 in an under-trained model "
        "on a toy text game",
        look=_unlearned_start,
    )
    yield Rule(
        name="failed-paths",
        source="trained on all best runs, half of them failures, 0.60 and 0.62, on those that "
        "succeeded 0.72 and 0.73 (three-thing game, two seeds)",
        look=_failed_paths,
    )
