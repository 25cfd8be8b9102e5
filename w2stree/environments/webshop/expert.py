"""A shopper who has read the goal: searches, picks the product, its options, and buys.

    search[wish] ─ next > … ─ product ─ option … ─ buy now

The keywords are the customer's own words where these find the product soonest, so that a
demonstration shows what can be imitated; where they do not, the product's title.
"""

from __future__ import annotations

from w2stree.environments.protocol import ExpertTurn
from w2stree.environments.webshop.catalogue import Product
from w2stree.environments.webshop.goals import Goal
from w2stree.environments.webshop.pages import PAGE_SIZE
from w2stree.environments.webshop.reward import count_options
from w2stree.environments.webshop.search import SearchIndex


def expert_turns(goal: Goal, wanted: Product, index: SearchIndex) -> list[ExpertTurn]:
    """The turns, whatever their number: the step limit is the environment's."""
    turns = [*_find(goal, wanted, index), *_choose(goal, wanted)]
    return [*turns, ExpertTurn("This is what was asked for, so I buy it.", "click[buy now]")]


def _find(goal: Goal, wanted: Product, index: SearchIndex) -> list[ExpertTurn]:
    ranks = {
        keywords: rank
        for keywords in (goal.wish, wanted.title)
        if (rank := _rank(index, keywords, wanted.asin)) is not None
    }
    # Fewest pages to turn; of equals the customer's own words, which come first.
    keywords = min(ranks, key=lambda k: ranks[k] // PAGE_SIZE, default=wanted.title)
    turn = ExpertTurn("The product I look for is not on this page.", "click[next >]")
    return [
        ExpertTurn("I search for what the instruction asks for.", f"search[{keywords}]"),
        *[turn] * (ranks.get(keywords, 0) // PAGE_SIZE),
        ExpertTurn("This product looks like what is asked for.", f"click[{wanted.asin.lower()}]"),
    ]


def _rank(index: SearchIndex, keywords: str, asin: str) -> int | None:
    hits = index.search(keywords.lower())
    return hits.index(asin) if asin in hits else None


def _choose(goal: Goal, product: Product) -> list[ExpertTurn]:
    """One click for each wanted option that the product has."""
    turns = []
    for option in goal.options:
        values = _candidates(option, product)
        if values:
            turns.append(ExpertTurn(f"I choose the option {values[0]}.", f"click[{values[0]}]"))
    return turns


def _candidates(option: tuple[str, str], product: Product) -> list[str]:
    """The product's values that meet the option, the one of the same words first."""
    values = [
        v for values in product.options.values() for v in values if count_options([v], [option])
    ]
    return sorted(values, key=lambda value: value != option[1])
