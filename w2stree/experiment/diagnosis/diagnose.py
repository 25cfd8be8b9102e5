"""All signatures, asked of one run."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from w2stree.experiment.diagnosis import of_play, of_training
from w2stree.experiment.diagnosis.given import given_run
from w2stree.experiment.diagnosis.symptom import Rule, Symptom

RULES: tuple[Rule, ...] = (*of_training.rules(), *of_play.rules())


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found, in the order of the rules; `healthy` rules had something to measure and found
    nothing, `not_asked` had nothing."""

    symptoms: list[Symptom]
    healthy: list[str]
    not_asked: list[str]


def diagnose(path: Path, stages: Collection[str] | None = None) -> Diagnosis:
    """Look for each signature at a path (`given_run`, which says what is raised), of a run
    directory in these `stages` alone, if they are given. Nothing is trained or played, and no model
    is opened."""
    given = given_run(path, stages)
    symptoms: list[Symptom] = []
    healthy, not_asked = [], []
    for rule in RULES:
        found = rule.look(given)
        symptoms += [replace(s, name=rule.name, source=rule.source) for s in found or []]
        if found is None:
            not_asked.append(rule.name)
        elif not found:
            healthy.append(rule.name)
    return Diagnosis(symptoms, healthy, not_asked)
