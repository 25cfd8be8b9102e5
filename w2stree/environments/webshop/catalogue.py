"""The products: WebShop's JSON files, read to what an episode needs.

items_shuffle[_1000].json       what is for sale: [{asin, name, pricing, …}, …]
items_ins_v2[_1000].json        attributes, and an instruction for some: {asin: {…}}
items_human_ins[_1000].json     instructions that people wrote: {asin: [{…}, …]}
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.trajectories.json_text import parse_json

NO_PRICE = 100.0
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Product:
    """One product. `options`: for each option's name its values, both in lower case.

    `price` is what is paid at the end, `price_tag` what its pages show: of a price range the tag
    gives both ends, and the price is drawn between them (`load_products`).
    """

    asin: str
    title: str
    description: str
    bullet_points: tuple[str, ...]
    query: str
    product_category: str
    price: float
    price_tag: str
    options: Mapping[str, tuple[str, ...]]
    attributes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DataFiles:
    """Where a data directory keeps its parts; `human` may not be there."""

    products: Path
    attributes: Path
    human: Path

    @classmethod
    def of(cls, folder: Path) -> DataFiles:
        """The full files of a directory, else the small ones (1,000 products).

        Raises `InvalidInput` where there are neither.
        """
        for size in ("", "_1000"):
            products = folder / f"items_shuffle{size}.json"
            attributes = folder / f"items_ins_v2{size}.json"
            human = folder / f"items_human_ins{size}.json"
            if products.is_file() and attributes.is_file():
                # The authors' small set comes with the full file of people's instructions.
                return cls(products, attributes, human if human.is_file() else _full(human))
        raise InvalidInput(
            f"{folder}: no items_shuffle.json with items_ins_v2.json, nor the two with _1000 in "
            "their names; give the directory of WebShop's data (docs/environments.md)"
        )


def _full(small: Path) -> Path:
    return small.with_name(small.name.replace("_1000", ""))


def load_products(
    files: DataFiles, attributes: Mapping[str, Any], rng: random.Random
) -> dict[str, Product]:
    """All products by asin, in the file's order; a repeated asin is left out, as is "nan".

    The price of a product with a range is drawn from `rng`, one draw each in that order: the
    draws of the authors' code under the same seed. One product is decoded at a time, and fields
    no page shows are dropped. Raises `InvalidInput` naming the file and the product.
    """
    products: dict[str, Product] = {}
    for number, record in enumerate(_readable(files.products)):
        try:
            asin = record["asin"]
            if asin != "nan" and len(asin) <= 10 and asin not in products:
                products[asin] = _product(record, attributes.get(asin, {}), rng)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInput(
                f"{files.products}: product {number}: {type(error).__name__}: {error}"
            ) from None
    if not products:
        raise InvalidInput(f"{files.products}: no products")
    return products


def load_object(file: Path) -> dict[str, Any]:
    """A JSON file of records by asin; raises `InvalidInput` where it is not one."""
    try:
        value = parse_json(file.read_bytes(), str(file))
    except FileNotFoundError:
        raise InvalidInput(f"{file}: no such file; it comes with WebShop's data") from None
    if not isinstance(value, dict):
        raise InvalidInput(f"{file}: expected an object by asin, found {type(value).__name__}")
    return value


def _product(record: Mapping[str, Any], extra: Mapping[str, Any], rng: random.Random) -> Product:
    bullets = record["small_description"]
    prices = _prices(record.get("pricing"))
    return Product(
        asin=record["asin"],
        title=record["name"],
        description=record["full_description"],
        bullet_points=tuple(bullets) if isinstance(bullets, list) else (bullets,),
        query=record["query"].lower().strip(),
        product_category=record["product_category"],
        price=prices[0] if len(prices) == 1 else rng.uniform(*prices),
        price_tag=" to ".join(f"${price}" for price in prices),
        options=_options(record.get("customization_options") or {}),
        attributes=tuple(extra.get("attributes", ())),
    )


def _prices(pricing: str | None) -> list[float]:
    # "$1,299.00", or "$5.99 - $12.50": of more than two only the first two count.
    prices = [float(re.sub(r"[^\d.]", "", part)) for part in (pricing or "").split("$")[1:3]]
    return prices or [NO_PRICE]


def _options(customization: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {
        name.lower(): tuple(v["value"].strip().replace("/", " | ").lower() for v in values)
        for name, values in customization.items()
        if values is not None
    }


def _readable(file: Path) -> Iterator[dict[str, Any]]:
    objects = _array_of_objects(file)
    while True:
        try:
            yield next(objects)
        except StopIteration:
            return
        except (ValueError, RecursionError) as error:  # not UTF-8, endless digits or nesting
            if isinstance(error, InvalidInput):
                raise
            raise InvalidInput(f"{file}: not readable as JSON: {error}") from None


def _array_of_objects(file: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON array one by one: the full set's file is larger than memory."""
    decoder = json.JSONDecoder()
    with file.open(encoding="utf-8") as stream:
        text = stream.read(_CHUNK).lstrip()
        if not text.startswith("["):
            raise InvalidInput(f"{file}: expected an array of products")
        position = 1
        while True:
            position = _skip(text, position)
            if text.startswith("]", position):
                return
            try:
                value, position = decoder.raw_decode(text, position)
            except json.JSONDecodeError as error:
                more = stream.read(_CHUNK)
                if not more:
                    raise InvalidInput(f"{file}: not readable as JSON: {error.msg}") from None
                text, position = text[position:] + more, 0
                continue
            yield value


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n,":
        position += 1
    return position
