"""A symptom: a number beyond its threshold, where it was measured, what follows, what to type.

thin-support in explore: 71.4% > 50.0%
  71.4% of the contrasts rest on one run a side: chance later on is taken for merit
  source: quickstart 0.36 (docs/method.md)
  next: w2stree explore …
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from w2stree.percent import percent

if TYPE_CHECKING:
    from w2stree.experiment.diagnosis.given import Given

_MOST_DECIMALS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Symptom:
    """What a rule found in one stage. `name` and `source` are the rule's; `diagnose` adds them."""

    name: str = ""
    stage: str
    measured: float
    threshold: float
    is_share: bool
    """Whether both are shares of what `says` names, and not returns or rewards."""
    is_above: bool
    """Whether numbers above the threshold are bad, or those below."""
    says: str
    """What the number is, and what it means."""
    command: str
    """What to type next."""
    source: str = ""

    @property
    def found(self) -> str:
        """ "thin-support in explore: 71.4% > 50.0%"."""
        measured, threshold = self._shown
        return (
            f"{self.name} in {self.stage}: {measured} {'>' if self.is_above else '<'} {threshold}"
        )

    @property
    def told(self) -> str:
        """The number in a sentence, and what it means."""
        return f"{self._shown[0]} {self.says}"

    @property
    def _shown(self) -> tuple[str, str]:
        """The number and its threshold, with as many decimals as tell them apart."""
        if not self.is_share:
            return f"{self.measured:.3g}", f"{self.threshold:.3g}"
        for decimals in range(1, _MOST_DECIMALS):
            measured, threshold = (percent(x, decimals) for x in (self.measured, self.threshold))
            if measured != threshold and measured[0] not in "<>":
                break
        return measured, threshold


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
    is_share: bool = True,
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
            is_share=is_share,
            is_above=is_above,
            says=says,
            command=command.format(**filled),
        )
    ]
