"""Best of N at test time: the strong SFT model plays each test task N times, its best run counts.

An oracle's choice: which run was the best, the environment says after all of them, and nobody knows
it while playing. It trains nothing. What the paper calls "SFT strong + best-of-N".
"""

from __future__ import annotations

from pydantic import field_validator

from w2stree.errors import InvalidInput
from w2stree.experiment.methods.method import Drawn, Method
from w2stree.experiment.section import Positive, Section
from w2stree.policies.protocol import Sampling


class BestOfNSection(Section):
    """`num_samples` is N; `sampling` is how each of them is drawn."""

    num_samples: Positive = 6
    sampling: Sampling = Sampling(temperature=0.7)

    @field_validator("sampling")
    @classmethod
    def _differs(cls, given: Sampling) -> Sampling:
        if given.temperature == 0:
            raise InvalidInput("temperature is 0: all samples would be the same run; raise it")
        if given.model != "tuned":
            raise InvalidInput(f"model is {given.model!r}; the strong model is fine-tuned: tuned")
        return given


def samplings(section: BestOfNSection) -> list[Sampling]:
    """One for each sample."""
    return [section.sampling] * section.num_samples


METHOD = Method(
    name="best_of_n",
    label="Strong, best of N",
    explanation="the strong model, the best of N sampled runs a task, chosen by the environment's "
    "own return (an oracle)",
    section=BestOfNSection,
    drawn=Drawn("sft_strong", samplings),
)
