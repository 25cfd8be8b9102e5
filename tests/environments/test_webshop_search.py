"""WebShop's search: Lucene's BM25, by hand and against the plain formula."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

pytest.importorskip("snowballstemmer")

from w2stree.environments.webshop.catalogue import Product
from w2stree.environments.webshop.search import SearchIndex, _analyzer, _one_byte, document

analyze = _analyzer()


def product(asin: str, title: str, **fields: object) -> Product:
    defaults: dict[str, object] = {
        "description": "", "bullet_points": (), "query": "", "product_category": "",
        "price": 1.0, "price_tag": "$1.0", "options": {}, "attributes": (),
    }  # fmt: skip
    return Product(asin=asin, title=title, **(defaults | fields))  # type: ignore[arg-type]


def index(*titles: str) -> SearchIndex:
    return SearchIndex({f"p{i}": product(f"p{i}", title) for i, title in enumerate(titles)})


def test_rarer_words_more_often_in_shorter_texts_come_first() -> None:
    # idf(red) = ln(1 + 0.5/3.5) = 0.134, idf(sofa) = ln(1 + 1.5/2.5) = 0.470, of 3 products;
    # mean length 10/3, so that a length of 2 weighs 0.9 * (0.6 + 0.4 * 0.6) = 0.756, 6 1.188.
    shop = index("red sofa", "red carpet red red carpet carpet", "red sofa")
    assert shop.search("red sofa") == ["p0", "p2", "p1"]
    # p1 has "red" three times: 0.134 * 3 / 4.188 = 0.096 against 0.134 / 1.756 = 0.076.
    assert shop.search("red") == ["p1", "p0", "p2"]
    assert shop.search("carpet") == ["p1"]
    assert shop.search("the blue") == []
    assert shop.search("") == []


def test_a_word_asked_for_often_weighs_as_often() -> None:
    # idf(lamp) = ln(1 + 2.5/1.5) = 0.98, idf(oak) = ln(1 + 1.5/2.5) = 0.47.
    shop = index("lamp", "oak", "oak")
    assert shop.search("lamp oak oak") == ["p0", "p1", "p2"]
    assert shop.search("lamp oak oak oak") == ["p1", "p2", "p0"]


def test_scores_are_the_published_formula() -> None:
    rng = random.Random(5)
    words = [f"w{chr(97 + i)}{chr(98 + i)}" for i in range(12)]
    texts = [" ".join(rng.choices(words, k=rng.randint(1, 30))) for _ in range(80)]
    shop = SearchIndex({f"p{i:02}": product(f"p{i:02}", t) for i, t in enumerate(texts)})
    for _ in range(20):
        query = rng.choices(words, k=3)
        scores = {f"p{i:02}": bm25(query, i, texts) for i in range(80)}
        hits = shop.search(" ".join(query))
        assert len(hits) == min(50, sum(s > 0 for s in scores.values()))
        # Equal up to what single precision keeps.
        best = sorted(scores.values(), reverse=True)
        assert [scores[h] for h in hits] == pytest.approx(best[: len(hits)], rel=1e-5)


def bm25(query: list[str], number: int, texts: list[str]) -> float:
    documents = [text.split() for text in texts]
    mean = sum(map(len, documents)) / len(documents)
    own, total = documents[number], 0.0
    for word in query:
        frequency = sum(word in d for d in documents)
        idf = math.log(1 + (len(texts) - frequency + 0.5) / (frequency + 0.5))
        count = own.count(word)
        total += idf * count / (count + 0.9 * (1 - 0.4 + 0.4 * len(own) / mean))
    return total


def test_equal_products_come_in_the_order_of_their_asins() -> None:
    shop = SearchIndex({a: product(a, "oak table") for a in ("b2", "a9", "c1")})
    assert shop.search("oak") == ["a9", "b2", "c1"]


def test_what_is_indexed_of_a_product() -> None:
    text = document(
        product(
            "p",
            "Oak TABLE",
            description="Sturdy.",
            bullet_points=("First point", "never seen"),
            options={"color": ("red", "blue"), "size": ("s",)},
        )
    )
    assert text == "oak table sturdy. first point color: red, blue, and size: s"


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("That's it: the women's T-Shirts, and a dress", ["women", "t", "shirt", "dress"]),
        ("l'eau d\u2019issey 6.76 oz", ["l'eau", "d\u2019issei", "6.76", "oz"]),
        ("1,000 pcs #8.", ["1,000", "pc", "8"]),
        ("snow_white __ 52\"w x 63in", ["snow_whit", "52", "w", "x", "63in"]),
        ("possibly incredible technology logy", ["possibl", "incred", "technolog", "logi"]),
        ("as us ps", ["us", "ps"]),
        ("\u5c0f\u7c73 \u2764\ufe0f\u2605 \u00bd", ["\u5c0f", "\u7c73", "\u2764\ufe0f", "\u2605"]),
    ],
)  # fmt: skip
def test_words_are_those_of_lucene_s_english_analyzer(text: str, terms: list[str]) -> None:
    assert analyze(text) == terms


def test_a_length_is_kept_in_one_byte() -> None:
    lengths = (0, 23, 39, 40, 41, 42, 55, 56, 59, 127, 247)
    kept = [_one_byte(length) for length in lengths]
    assert kept == [0, 23, 39, 40, 40, 42, 54, 56, 56, 120, 232]
    every = {_one_byte(length) for length in range(100_000)}
    assert Counter(_one_byte(e) == e for e in every) == {True: len(every)}
    assert len(every) < 256
