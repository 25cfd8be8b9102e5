"""What the customer wants: an instruction, and what the reward checks.

WebShop has two kinds. A *synthetic* product instruction makes one goal for each combination of
the product's options; a *human* one, written by a person, makes one goal. Goals are shuffled
once, always alike, and cut into splits by their place:

    shuffled goals   0 …… test …… 499 │ 500 …… dev …… 1499 │ 1500 …… train ……
"""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from w2stree.environments.webshop.catalogue import Product
from w2stree.errors import InvalidInput

NUM_TEST, NUM_DEV = 500, 1000
PRICE_BOUNDS = tuple(10.0 * i for i in range(1, 100))
ANY_PRICE = 1_000_000.0
_SHUFFLE_SEED = 233  # the authors': their goal 17 is our goal 17


@dataclass(frozen=True, slots=True)
class Goal:
    """One task. `wish` is its instruction without the price.

    `options` are pairs (name, value); people's instructions name values only, and the name is "".
    """

    asin: str
    wish: str
    attributes: tuple[str, ...]
    options: tuple[tuple[str, str], ...]
    price_upper: float

    @property
    def instruction(self) -> str:
        if self.price_upper == ANY_PRICE:
            return self.wish
        return f"{self.wish}, and price lower than {self.price_upper:.2f} dollars"


@dataclass(frozen=True, slots=True)
class Wish:
    """An instruction and what the goals made of it share: one goal for each choice of options.

    `choices`: for each option its pairs (name, value).
    """

    asin: str
    text: str
    attributes: tuple[str, ...]
    choices: tuple[tuple[tuple[str, str], ...], ...]
    price_upper: float
    names_options: bool

    @property
    def num_goals(self) -> int:
        return math.prod(len(values) for values in self.choices)

    def goal(self, number: int) -> Goal:
        """Goal `number`, counting through the combinations with the last option fastest."""
        options: list[tuple[str, str]] = []
        for values in reversed(self.choices):
            number, rest = divmod(number, len(values))
            options.append(values[rest])
        options.reverse()
        named = ", and ".join(f"{name}: {value}" for name, value in options)
        text = f"{self.text} with {named}" if named and self.names_options else self.text
        return Goal(self.asin, text, self.attributes, tuple(options), self.price_upper)


class Goals(Sequence[Goal]):
    """Shuffled goals, each made when asked for: a large catalogue has far more than are played."""

    def __init__(self, wishes: Sequence[Wish]) -> None:
        self._wishes = wishes
        self._ends = list(itertools.accumulate(wish.num_goals for wish in wishes))
        self._order = list(range(self._ends[-1] if wishes else 0))
        random.Random(_SHUFFLE_SEED).shuffle(self._order)

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = self._order[index]
        number = bisect.bisect_right(self._ends, place)
        first = self._ends[number - 1] if number else 0
        return self._wishes[number].goal(place - first)

    def split(self, name: str) -> range:
        """Indices of a split: the authors' cut, and at most a fifth each for test and dev.

        Raises `InvalidInput` for a split that is not train, dev or test.
        """
        fifth = len(self) // 5
        test = min(NUM_TEST, fifth)
        dev = test + min(NUM_DEV, fifth)
        parts = {"test": (0, test), "dev": (test, dev), "train": (dev, len(self))}
        if name not in parts:
            raise InvalidInput(f"split is {name!r}; use one of train, dev, test")
        return range(*parts[name])


def synthetic_wishes(
    products: Mapping[str, Product], attributes: Mapping[str, Any], rng: random.Random
) -> list[Wish]:
    """The generated instructions of the products that have one, in the products' order.

    An instruction without attributes gives no goal: nothing but its price could be checked.
    """
    return [
        Wish(
            asin=product.asin,
            text=record["instruction"],
            attributes=tuple(record["instruction_attributes"]),
            choices=tuple(
                tuple((name, value) for value in values)
                for name, values in sorted(product.options.items())
            ),
            price_upper=_price_bound(product.price, rng),
            names_options=True,
        )
        for product, record in _records(products, attributes)
        if record.get("instruction") is not None and record.get("instruction_attributes")
    ]


def human_wishes(
    products: Mapping[str, Product], instructions: Mapping[str, Any], rng: random.Random
) -> list[Wish]:
    """People's instructions for these products, in the products' order; see `synthetic_wishes`."""
    return [
        Wish(
            asin=product.asin,
            text=record["instruction"].strip("."),
            attributes=tuple(record["instruction_attributes"]),
            choices=tuple((("", value),) for value in record["instruction_options"]),
            price_upper=_price_bound(product.price, rng),
            names_options=False,
        )
        for product, records in _records(products, instructions)
        for record in records
        if record["instruction_attributes"]
    ]


def _records(
    products: Mapping[str, Product], by_asin: Mapping[str, Any]
) -> Iterator[tuple[Product, Any]]:
    return ((product, by_asin[asin]) for asin, product in products.items() if asin in by_asin)


def _price_bound(price: float, rng: random.Random) -> float:
    """The larger of two bounds drawn from the next four above the price; none near the top."""
    bounds = [bound for bound in PRICE_BOUNDS if bound > price][:4]
    return max(rng.sample(bounds, 2)) if len(bounds) >= 2 else ANY_PRICE
