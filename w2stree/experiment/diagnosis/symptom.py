"""A symptom: a number beyond its threshold, where it was measured, what follows, what to type.

thin-support     tree     0.71 > 0.5
  of the contrasts rest on one run a side: chance later on is taken for merit
  source: quickstart 0.36 (docs/method.md)
  next: w2stree explore …
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from w2stree.experiment.diagnosis.given import Given


@dataclass(frozen=True, slots=True, kw_only=True)
class Symptom:
    """What a rule found in one stage. `name` and `source` are the rule's; `diagnose` adds them."""

    name: str = ""
    stage: str
    measured: float
    threshold: float
    is_above: bool
    """Whether numbers above the threshold are bad, or those below."""
    says: str
    """What the number is, and what it means."""
    command: str
    """What to type next."""
    source: str = ""

    @property
    def found(self) -> str:
        """ "thin-support in explore: 0.71 > 0.5"."""
        sign = ">" if self.is_above else "<"
        return f"{self.name} in {self.stage}: {self.measured:.3g} {sign} {self.threshold:.3g}"

    @property
    def told(self) -> str:
        """The number in a sentence, and what it means."""
        return f"{self.measured:.3g} {self.says}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One failure signature. `look` is None where the run has nothing to measure it on.

    `source` says where the threshold is from.
    """

    name: str
    source: str
    look: Callable[[Given], list[Symptom] | None]


def beyond(
    given: Given,
    stage: str,
    measured: float,
    threshold: float,
    *,
    says: str,
    command: str,
    is_above: bool = True,
) -> list[Symptom]:
    """The symptom where the number is beyond the threshold, on it is not. In the `command` {run}
    stands for the directory, {parent} for the one it is in, {stage} for the stage's."""
    if not (measured > threshold if is_above else measured < threshold):
        return []
    filled: dict[str, Any] = {
        "run": given.shown,
        "stage": given.shown_stage(stage),
        "parent": given.shown_parent,
    }
    return [
        Symptom(
            stage=stage,
            measured=measured,
            threshold=threshold,
            is_above=is_above,
            says=says,
            command=command.format(**filled),
        )
    ]
