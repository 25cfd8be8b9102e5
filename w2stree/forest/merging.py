"""Which observations count as the same state, besides equal ones.

normalize    "Turn 3: a door" and "Turn 9: a door" become one text       exact, by what is left
similar      cosine(embed(x), embed(y)) >= min_similarity               the authors' rule, 0.9
guard        "is open" / "is closed", +5 / -5, A12 / A13: never merged  what embeddings miss
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from w2stree.errors import InvalidInput
from w2stree.forest.distinctions import distinctions
from w2stree.forest.embedding import Embed, embed_sentences, require_sentences
from w2stree.forest.normalizers import NORMALIZERS, Normalize, canonical, normalizer_named
from w2stree.shorten import shorten
from w2stree.trajectories.field_types import check_field_types

Guard = Callable[[str], Hashable]
"""A text to what must be equal for it to be merged with another."""

Function = TypeVar("Function", bound=Callable[..., Any])

# The functions that configurations and files may name, with those of `normalizers`. No other name
# ever becomes code.
EMBEDDINGS: Mapping[str, Embed] = {"all-MiniLM-L6-v2": embed_sentences}
GUARDS: Mapping[str, Guard] = {"distinctions": distinctions}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Merging:
    """The rule a forest merges observations by: equality, unless told otherwise.

    A step goes to the first child, in the order they were made, with the same action and the
    same or a similar observation; a child is compared by the observation of the trajectory that
    made it. So merging by similarity depends on the order of trajectories (equality does not).

    Functions are given as they are or by a known name. A known function and its name are one
    rule, and the field holds the name. Rules are equal if they merge alike: the guard of a rule
    without similarity does not count.

    Raises `InvalidInput` for an unknown name or a wrong type, unless
    0 < min_similarity <= 1, and where one of `min_similarity` and `embed` is given without the
    other.
    """

    min_similarity: float | None = None
    """Observations whose embeddings have at least this cosine are one; None: only equal ones."""
    embed: str | Embed | None = None
    """Maps a list of texts to `[len, dimension]`. Called once for each distinct text, in batches.
    Known: "all-MiniLM-L6-v2", the authors' model (they use min_similarity 0.9)."""
    normalize_observation: str | Normalize | None = None
    """Texts that it maps to one text are one observation, known by the first of them. Known:
    "numbers", "dates", "paths", "ids" (`forest.normalizers`), "sort_words", for environments that
    list things in random order, and several joined, "dates+numbers"."""
    guard: str | Guard | None = "distinctions"
    """Similar texts for which it gives different values stay apart. Known: "distinctions", other
    numbers, codes, negations and opposites ("open"/"closed"), which embeddings hardly tell apart.
    None is the authors' rule."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}  # of a configuration file

    def __post_init__(self) -> None:
        check_field_types(self)
        for field, known in (
            ("embed", EMBEDDINGS),
            ("normalize_observation", NORMALIZERS),
            ("guard", GUARDS),
        ):
            object.__setattr__(self, field, _checked(field, getattr(self, field), known))
        if (self.min_similarity is None) != (self.embed is None):
            given, missing = ("embed", "min_similarity")[:: 1 if self.embed is not None else -1]
            raise InvalidInput(f"{given} is given without {missing}; give both or neither")
        if self.min_similarity is not None and not 0.0 < self.min_similarity <= 1.0:
            raise InvalidInput(f"min_similarity={self.min_similarity}; expected a number in (0, 1]")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Merging) and self._rule() == other._rule()

    def __hash__(self) -> int:
        return hash(self._rule())

    def require(self) -> None:
        """Raises `MissingDependency` where the package of a known embedding is absent, before
        anything is merged."""
        if self.embedder is embed_sentences:
            require_sentences()

    @property
    def reads_texts(self) -> bool:
        """Whether it looks at what observations say, and not only at which are equal."""
        return self.embed is not None or self.normalize_observation is not None

    @property
    def embedder(self) -> Embed | None:
        """The function of `embed`."""
        return _function(self.embed, EMBEDDINGS)

    @property
    def normalizer(self) -> Normalize | None:
        """The function of `normalize_observation`."""
        given = self.normalize_observation
        return normalizer_named(given) if isinstance(given, str) else given

    @property
    def guardian(self) -> Guard | None:
        """The function of `guard`."""
        return _function(self.guard, GUARDS)

    def _rule(self) -> tuple[object, ...]:
        if self.embed is None:
            return (self.normalize_observation,)
        return (self.normalize_observation, self.min_similarity, self.embed, self.guard)


def check_merging(merging: object) -> None:
    """Raises `InvalidInput` for anything but a rule or None, as the argument `merging`."""
    if merging is not None and not isinstance(merging, Merging):
        raise InvalidInput(
            f"merging is {shorten(repr(merging), 60)}; give a Merging or None, for example "
            'Merging(normalize_observation="sort_words")'
        )


def _checked(field: str, given: object, known: Mapping[str, Callable[..., Any]]) -> object:
    """A function by its name where it has one here."""
    if given is None or (isinstance(given, str) and given in known):
        return given
    if callable(given):
        return next((name for name, function in known.items() if function is given), given)
    names = ", ".join(map(repr, known))
    if known is NORMALIZERS:
        if isinstance(given, str) and (joined := canonical(given)):
            return joined
        names += ", or several joined by '+'"
    raise InvalidInput(f"{field}={given!r} is not known; expected a function or one of {names}")


def _function(given: str | Function | None, known: Mapping[str, Function]) -> Function | None:
    return known[given] if isinstance(given, str) else given


EQUALITY = Merging()
"""The rule where none is given."""
