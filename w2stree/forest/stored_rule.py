"""A merge rule as a file keeps it: functions by name.

    distinctions        known here (merging.py): opening the file is enough
    dates+numbers       several normalisers (normalizers.py), known too
    lab.merge:letters   someone's own: open_forest(path, merging=Merging(embed=letters, …))
    (empty)             none

Forest files come from strangers. Their names are compared and shown, never imported or run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput
from w2stree.forest.merging import EMBEDDINGS, GUARDS, Merging
from w2stree.forest.normalizers import NORMALIZERS, canonical
from w2stree.shorten import quoted

_SHOWN_COLUMNS = 80  # of a name, which may be a stranger's

# A guard that earlier versions knew. It let texts merge that `distinctions` keeps apart (signs,
# codes, "isn't" beside "is"), so that a forest merged by it cannot grow by another.
_RETIRED = "state_words"

# In the order of the file.
_KNOWN = {"normalize_observation": NORMALIZERS, "embed": EMBEDDINGS, "guard": GUARDS}
_JOINED = ("normalize_observation",)  # whose names may be several


@dataclass(frozen=True, slots=True)
class StoredRule:
    """What a file tells of the rule its forest was merged by."""

    min_similarity: float | None
    normalize_observation: str
    embed: str
    guard: str

    @classmethod
    def of(cls, merging: Merging) -> StoredRule:
        """Equal for equal rules: the guard counts with similarity only."""
        return cls(
            merging.min_similarity,
            _name_of(merging.normalize_observation),
            _name_of(merging.embed),
            _name_of(merging.guard) if merging.embed is not None else "",
        )

    @classmethod
    def from_columns(
        cls, names: Sequence[str], min_similarity: NDArray[np.float64]
    ) -> StoredRule | None:
        """From checked columns of a file: three names and at most one number, or nothing."""
        if not len(names):
            return None
        return cls(float(min_similarity[0]) if len(min_similarity) else None, *names)

    def columns(self) -> tuple[list[str], NDArray[np.float64]]:
        """The columns of a file."""
        number = [] if self.min_similarity is None else [self.min_similarity]
        return [getattr(self, field) for field in _KNOWN], np.array(number, np.float64)

    def foreign(self) -> list[str]:
        """Functions that are not known here, as `embed='lab:letters'`."""
        names = ((field, getattr(self, field)) for field in _KNOWN)
        return [
            f"{f}={quoted(name, _SHOWN_COLUMNS)}"
            for f, name in names
            if name and name not in _KNOWN[f] and not (f in _JOINED and canonical(name) == name)
        ]

    def merging(self) -> Merging:
        """The rule, if none of its functions is foreign."""
        return Merging(
            min_similarity=self.min_similarity,
            normalize_observation=self.normalize_observation or None,
            embed=self.embed or None,
            guard=(self.guard or None) if self.embed else "distinctions",
        )

    def check(self, given: Merging) -> None:
        """Raises `InvalidInput` where a given rule is not the stored one, as far as names tell.
        A function may have moved to another module, but not changed its name; lambdas all have
        one name, `functools.partial`s too, and pass for each other."""
        theirs = StoredRule.of(given)
        if theirs.min_similarity != self.min_similarity:
            raise _other("min_similarity", theirs.min_similarity, self.min_similarity)
        for field in _KNOWN:
            ours, other = getattr(self, field), getattr(theirs, field)
            if _without_module(ours) != _without_module(other):
                if (field, ours) == ("guard", _RETIRED):
                    raise _retired()
                raise _other(field, other or None, ours or None)


Rule = Merging | StoredRule | None
"""The rule of a forest; a `StoredRule` where its functions are names alone, None where the file
does not tell it (version 1)."""


def opened(stored: StoredRule | None, given: Merging | None) -> Rule:
    """The rule of a forest whose file tells `stored` and whose opener says `given`."""
    if stored is None:
        return given
    if given is not None:
        stored.check(given)
        return given
    return stored if stored.foreign() else stored.merging()


def usable(rule: Rule) -> Merging:
    """The rule, to merge by. Raises `InvalidInput` with the reason why it cannot be used."""
    if isinstance(rule, Merging):
        return rule
    if rule is None:
        raise InvalidInput(
            "the forest's file does not say by which rule observations were merged (version 1 of "
            "the format did not); open_forest(path, merging=Merging(...)) states it"
        )
    if rule.guard == _RETIRED:
        raise _retired()
    raise InvalidInput(
        f"the forest was merged by {', '.join(rule.foreign())}, and its file holds the name alone; "
        "open_forest(path, merging=Merging(...)) gives the rule it was built by"
    )


def _name_of(function: object) -> str:
    if function is None:
        return ""
    if isinstance(function, str):
        return function
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{getattr(named, '__module__', None) or 'builtins'}:{named.__qualname__}"


def _without_module(name: str) -> tuple[bool, str]:
    _, colon, qualified = name.rpartition(":")
    return bool(colon), qualified


def _retired() -> InvalidInput:
    return InvalidInput(
        f"the forest was merged by the guard {_RETIRED!r} of an earlier version, which missed "
        "signs, codes and opposites and is gone: it can be read; to add to it, build it again from "
        "its trajectories, by the guard 'distinctions'"
    )


def _other(field: str, given: object, stored: object) -> InvalidInput:
    return InvalidInput(
        f"merging has {field}={_shown(given)}; the forest was built with {field}={_shown(stored)}"
    )


def _shown(value: object) -> str:
    return quoted(value, _SHOWN_COLUMNS) if isinstance(value, str) else repr(value)
