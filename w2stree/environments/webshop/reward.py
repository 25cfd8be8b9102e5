"""The reward of buying a product: WebShop's Eq. (1), 0 to 1.

    reward = type * (attributes met + options met + price met)
                    / (attributes wanted + options wanted + 1)

Rules and numbers are those of the authors' code (web_agent_site/engine/goal.py); the nouns of a
title are ours (`title_nouns`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from w2stree.environments.webshop.catalogue import Product
from w2stree.environments.webshop.goals import Goal
from w2stree.environments.webshop.nouns import title_nouns
from w2stree.errors import MissingDependency

_SAME = 85  # a token set ratio above this is a match

# An option's value that holds one of these is the colour itself; the first in this order counts.
_COLOUR_NAMES = (
    "alabaster apricot aqua ash asphalt azure banana beige black blue blush bordeaux bronze brown "
    "burgundy camel camo caramel champagne charcoal cheetah chestnut chocolate christmas coffee "
    "cognac copper coral cranberry cream crystal dark denim eggplant elephant espresso fuchsia "
    "gold granite grape graphite grass gray green grey heather indigo ivory ivy khaki lavender "
    "lemon leopard light lilac lime magenta maroon mauve merlot midnight mint mocha multicolor "
    "mushroom mustard natural navy nude olive orange peach pewter pink plum purple rainbow red "
    "rose royal rust sand sapphire seashell silver skull slate steel stone stonewash sunflower "
    "tan taupe teal tiger turquoise violet walnut wheat white wine yellow"
)
COLOURS = tuple(_COLOUR_NAMES.split())


@dataclass(frozen=True, slots=True)
class Reward:
    """The parts: `type` in {0, 0.1, 0.5, 1}, the matches, and what was wanted."""

    type: float
    num_attributes: int
    num_options: int
    is_price_met: bool
    num_wanted: int

    @property
    def total(self) -> float:
        met = self.num_attributes + self.num_options + self.is_price_met
        return self.type * met / self.num_wanted


def reward(product: Product, chosen: Iterable[str], goal: Goal, wanted: Product) -> Reward:
    """The reward of buying `product` with the `chosen` option values; `wanted` is the goal's own.

    An attribute is met by a like one of the product, or by its words in the product's text; an
    option by a like chosen value.
    """
    return Reward(
        type=_type_reward(product, wanted),
        num_attributes=sum(_has_attribute(product, a) for a in goal.attributes),
        num_options=count_options(chosen, goal.options),
        is_price_met=product.price <= goal.price_upper,
        num_wanted=len(goal.attributes) + len(goal.options) + 1,
    )


def count_options(chosen: Iterable[str], wanted: Iterable[tuple[str, str]]) -> int:
    """How many wanted options (name, value) some chosen value meets."""
    is_like = _likeness()
    values = [_colour(value) for value in chosen]
    return sum(any(is_like(value, _option_text(*o)) for value in values) for o in wanted)


def _type_reward(product: Product, wanted: Product) -> float:
    title_score = _title_score(product.title, wanted.title)
    if title_score == 0.0:
        return 0.0
    if title_score < 0.1:
        return 0.1
    is_same_query = product.query == wanted.query
    shared = _categories(product) & _categories(wanted)
    return 1.0 if is_same_query or len(shared) >= 2 or title_score > 0.2 else 0.5


def _title_score(title: str, wanted: str) -> float:
    """The share of the wanted title's nouns that the title has; 0.2 where it has no nouns."""
    nouns = title_nouns(wanted)
    return len(set(nouns) & set(title_nouns(title))) / len(nouns) if nouns else 0.2


def _categories(product: Product) -> set[str]:
    return {part.strip() for part in product.product_category.split("\u203a")}


def _has_attribute(product: Product, attribute: str) -> bool:
    is_like = _likeness()
    texts = (product.title, " ".join(product.bullet_points), product.description)
    return any(is_like(own, attribute) for own in product.attributes) or any(
        attribute in text.lower() for text in texts
    )


def _colour(value: str) -> str:
    return next((colour for colour in COLOURS if colour in value), value)


def _option_text(name: str, value: str) -> str:
    # The authors compare a generated goal's option as name and value together, so that the
    # chosen "large" meets "size large" and the chosen "x-large" does not.
    if not name:
        return _colour(value)
    return value if value in COLOURS else f"{name} {value}"


def _likeness() -> Callable[[str, str], bool]:
    try:
        from rapidfuzz import fuzz, utils
    except ModuleNotFoundError:
        raise MissingDependency(
            "WebShop's reward needs rapidfuzz: pip install 'w2stree[webshop]'"
        ) from None
    ratio, tidy = fuzz.token_set_ratio, utils.default_process
    return lambda a, b: round(ratio(a, b, processor=tidy)) > _SAME
