"""The analyses of an experiment's file: what is measured beside returns, with which settings.

analyses:
  bias: {methods: [sft_weak, sft_strong]}             named as the analysis is
  after_dpo: {analysis: assumption, after: tree_dpo, played: [evaluate_sft_weak]}
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from w2stree.errors import InvalidInput
from w2stree.experiment.analyses import ANALYSES
from w2stree.experiment.analyses.analysis import Analysis
from w2stree.experiment.config import Config
from w2stree.experiment.config.complaints import complaints
from w2stree.experiment.methods import METHODS
from w2stree.experiment.section import Section

_TESTED = "evaluate_"
_OTHER_STAGES = ("tasks", "continuations", "explore_held_out")
"""That analyses read and no method is called by."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An analysis as an experiment asks for it."""

    name: str
    analysis: Analysis = field(compare=False)
    settings: Section = field(compare=False)

    @property
    def stages(self) -> tuple[str, ...]:
        """What must have finished in a run before it is measured."""
        return self.analysis.stages(self.settings)

    @property
    def record(self) -> dict[str, Any]:
        """What is asked, for JSON: a result of anything else does not count."""
        return {"analysis": self.analysis.name, **self.settings.model_dump(mode="json")}

    def lacks(self, config: Config) -> list[str]:
        """The methods that it reads and that a configuration does not have."""
        there = {method.name for method in config.methods()}
        return [name for name in self._methods() if name not in there]

    def _methods(self) -> list[str]:
        stages = (stage for stage in self.stages if stage not in _OTHER_STAGES)
        return list(dict.fromkeys(stage.removeprefix(_TESTED) for stage in stages))

    def refuse_unknown(self) -> None:
        """`InvalidInput` for a method that there is none of, and for one that trains nothing where
        a model is asked for."""
        known = {method.name: method for method in METHODS}
        for stage in self.stages:
            name = stage.removeprefix(_TESTED)
            if stage in _OTHER_STAGES:
                continue
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                meant = f"did you mean {near[0]}? " if near else ""
                raise InvalidInput(
                    f"{self.name}: there is no method {name}; {meant}known are {', '.join(known)}"
                )
            if stage == name and known[name].train is None:
                raise InvalidInput(f"{self.name}: {name} trains no model")


def asked(name: str, given: Mapping[str, Any]) -> Asked:
    """An entry of `analyses`. Raises `InvalidInput` naming the key, for an analysis that there is
    none of, for settings that it does not have, and as `Asked.refuse_unknown` does."""
    known = {analysis.name: analysis for analysis in ANALYSES}
    kind = given.get("analysis", name)
    if kind not in known:
        told = f"{name}.analysis: is {kind!r}" if "analysis" in given else f"{name}: is none"
        raise InvalidInput(
            f"{told}; give {name}.analysis, one of {', '.join(known)}; a name of one needs none"
        )
    settings = {key: value for key, value in given.items() if key != "analysis"}
    section = known[kind].settings
    try:
        one = Asked(name, known[kind], section.model_validate(settings))
    except ValidationError as error:
        raise InvalidInput(f"{name}.{complaints(error, section)[0]}") from None
    one.refuse_unknown()
    return one
