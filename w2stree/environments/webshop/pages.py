"""The shop's pages as text, and where each of their links leads.

    search ──search[…]──> results 1 <──> results 2 …
                             │ click[asin]
                             v
       options ──────────> item <──> description, features, reviews
                             │ click[buy now]
                             v
                           done

A page's text is what WebShop's text mode gives: the visible texts joined by " [SEP] ".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from w2stree.environments.webshop.catalogue import Product

PAGE_SIZE = 10
DETAILS = ("description", "features", "reviews")


@dataclass(frozen=True, slots=True)
class SearchPage:
    """The page that an episode starts on."""


@dataclass(frozen=True, slots=True)
class ResultsPage:
    """One page of a search's results; pages count from 1 and go on, empty, past the last."""

    keywords: str
    number: int = 1


@dataclass(frozen=True, slots=True)
class ItemPage:
    """A product, the results it was found in, and the options chosen so far (name, value)."""

    results: ResultsPage
    asin: str
    options: tuple[tuple[str, str], ...] = ()

    def choose(self, name: str, value: str) -> ItemPage:
        return replace(self, options=tuple({**dict(self.options), name: value}.items()))


@dataclass(frozen=True, slots=True)
class DetailPage:
    """A product's description, features or reviews."""

    item: ItemPage
    detail: str


@dataclass(frozen=True, slots=True)
class DonePage:
    """The product is bought."""

    item: ItemPage


Page: TypeAlias = SearchPage | ResultsPage | ItemPage | DetailPage | DonePage
SEARCH = SearchPage()


@dataclass(frozen=True, slots=True)
class View:
    """What a page shows, and its links: the value of a click, in lower case, to a page."""

    text: str
    links: Mapping[str, Page]


def view_search(instruction: str) -> View:
    return View(_joined("WebShop", "Instruction:", instruction, "Search"), {})


def view_results(instruction: str, page: ResultsPage, hits: Sequence[Product]) -> View:
    """`hits`: all results of the search, of which this page shows its ten."""
    shown = hits[(page.number - 1) * PAGE_SIZE : page.number * PAGE_SIZE]
    before = replace(page, number=page.number - 1)
    links: dict[str, Page] = {p.asin.lower(): ItemPage(page, p.asin) for p in shown}
    links |= {"back to search": SEARCH, "next >": replace(page, number=page.number + 1)}
    links |= {"< prev": before} if page.number > 1 else {}
    text = _joined(
        *_head(instruction),
        f"Page {page.number} (Total results: {len(hits)})",
        *(["< Prev"] if page.number > 1 else []),
        "Next >",
        *(part for p in shown for part in (p.asin, p.title, p.price_tag)),
    )
    return View(text, links)


def view_item(instruction: str, page: ItemPage, product: Product) -> View:
    """A click on a value that two options share means the last one, as in WebShop."""
    links: dict[str, Page] = {
        value: page.choose(name, value)
        for name, values in product.options.items()
        for value in values
        if value != "search"  # the button of that name does nothing
    }
    links |= {detail: DetailPage(page, detail) for detail in DETAILS}
    links |= {"back to search": SEARCH, "< prev": page.results, "buy now": DonePage(page)}
    text = _joined(
        *_head(instruction),
        "< Prev",
        *(part for name, values in product.options.items() for part in (name, *values)),
        product.title,
        f"Price: {product.price_tag}",
        "Rating: N.A.",
        *(detail.capitalize() for detail in DETAILS),
        "Buy Now",
    )
    return View(text, links)


def view_detail(instruction: str, page: DetailPage, product: Product) -> View:
    """The published data has no reviews: their page is empty."""
    shown = {
        "description": [product.description],
        "features": [f" {point}" for point in product.bullet_points],
        "reviews": [],
    }[page.detail]
    links: dict[str, Page] = {"back to search": SEARCH, "< prev": page.item}
    return View(_joined(*_head(instruction), "< Prev", *shown), links)


def view_done(score: float) -> View:
    text = _joined("Thank you for shopping with us!", "Your score (min 0.0, max 1.0)", str(score))
    return View(text, {})


def _head(instruction: str) -> tuple[str, ...]:
    return ("Instruction:", instruction, "Back to Search")


def _joined(*texts: str) -> str:
    # What the authors' HTML parser makes of the texts: blank ones vanish, but for one that is a
    # line of spaces, which stays as an empty part.
    shown = (t.strip() for t in texts if t and (t.strip(" \t\r\n\f") or "\n" not in t))
    return " [SEP] ".join(shown)
