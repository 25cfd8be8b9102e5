"""Product search: BM25 as Lucene scores it, over an inverted index in three arrays.

    term ──> rows of postings        documents  2 7 7 9 …   (numbers in asin order)
    "sofa"   [starts[t], starts[t+1])  counts   1 3 1 2 …

Robertson & Zaragoza, "The Probabilistic Relevance Framework", 2009, with Lucene's choices: the
English analyzer (33 stop words, Porter's stemmer), a document's length kept in one byte, and
idf = ln(1 + (N - df + 0.5) / (df + 0.5)). k1 0.9 and b 0.4 are Pyserini's, which WebShop uses.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from w2stree.environments.webshop.catalogue import Product
from w2stree.errors import MissingDependency

K1, B = 0.9, 0.4
NUM_RESULTS = 50

_STOP_TEXT = (
    "a an and are as at be but by for if in into is it no not of on or such that the their then "
    "there these they this to was will with"
)
_STOP_WORDS = frozenset(_STOP_TEXT.split())
# Unicode's word boundaries (UAX 29) as far as product text goes. Letters, digits and underscores
# make a word; an apostrophe, a full stop or a colon holds letters together, and an apostrophe, a
# full stop, a comma or a semicolon digits. Each ideograph, kana and pictograph is a word.
_SINGLE = r"\u3040-\u309f\u3400-\u9fff"
_FRACTIONS = r"\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u2079\u2150-\u215f\u2460-\u249b\u2776-\u2793"
_PICTOGRAPHS = (
    r"\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u2199\u21a9\u21aa\u231a\u231b\u2328\u2388\u23cf"
    r"\u23e9-\u23f3\u23f8-\u23fa\u24c2\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe\u2600-\u2605"
    r"\u2607-\u2612\u2614-\u2685\u2690-\u2705\u2708-\u2712\u2714\u2716\u271d\u2721\u2728\u2733"
    r"\u2734\u2744\u2747\u274c\u274e\u2753-\u2755\u2757\u2763-\u2767\u2795-\u2797\u27a1\u27b0"
    r"\u27bf\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\U0001f000-\U0001faff"
)
_WORD = re.compile(
    rf"(?=_*[^\W_{_SINGLE}{_FRACTIONS}])"
    rf"(?:[^\W{_SINGLE}{_FRACTIONS}]"
    r"|(?<=[^\W\d_])['\u2018\u2019.:\u00b7\uff1a](?=[^\W\d_])|(?<=\d)['\u2019.,;\u2044](?=\d))+"
    rf"|[{_SINGLE}]|[{_PICTOGRAPHS}]\ufe0f?"
)
_HAS_SYLLABLE = re.compile("[aeiouy][^aeiou]")


class SearchIndex:
    """Finds products by keywords. Built in time linear in the text; 8 bytes a posting."""

    def __init__(self, products: Mapping[str, Product]) -> None:
        self._asins = sorted(products)
        self._analyze = _analyzer()
        self._terms: dict[str, int] = {}
        documents, counts, terms = array("i"), array("i"), array("i")
        lengths = np.empty(len(self._asins), np.int64)
        for number, asin in enumerate(self._asins):
            words = self._analyze(document(products[asin]))
            lengths[number] = len(words)
            for word, count in Counter(words).items():
                terms.append(self._terms.setdefault(word, len(self._terms)))
                documents.append(number)
                counts.append(count)
        by_term = np.argsort(np.frombuffer(terms, np.int32), kind="stable")
        self._documents = np.frombuffer(documents, np.int32)[by_term]
        self._counts = np.frombuffer(counts, np.int32)[by_term].astype(np.float32)
        sizes = np.bincount(np.frombuffer(terms, np.int32), minlength=len(self._terms))
        self._starts = np.concatenate([[0], np.cumsum(sizes)])
        self._norms = _norms(lengths)

    def __len__(self) -> int:
        return len(self._asins)

    def search(self, keywords: str) -> list[str]:
        """The asins of the best `NUM_RESULTS` products that hold any keyword, best first.

        Products of equal score (in single precision, as Lucene's) come in the asins' order.
        """
        scores = np.zeros(len(self), np.float64)
        for word, count in Counter(self._analyze(keywords)).items():
            term = self._terms.get(word)
            if term is not None:
                rows = slice(self._starts[term], self._starts[term + 1])
                found = self._documents[rows]
                weight = np.float32(count) * _idf(len(self), len(found))
                fraction = np.float32(1) + self._counts[rows] * self._norms[found]
                scores[found] += weight - weight / fraction
        scores = scores.astype(np.float32)
        hits = np.flatnonzero(scores)
        best = hits[np.argsort(-scores[hits], kind="stable")[:NUM_RESULTS]]
        return [self._asins[number] for number in best]


def document(product: Product) -> str:
    """What is indexed of a product: title, description, first bullet point, options."""
    options = ", and ".join(f"{name}: {', '.join(v)}" for name, v in product.options.items())
    first = product.bullet_points[0] if product.bullet_points else ""
    return " ".join([product.title, product.description, first, options]).lower()


def _analyzer() -> Callable[[str], list[str]]:
    try:
        import snowballstemmer
    except ModuleNotFoundError:
        raise MissingDependency(
            "WebShop's search needs a stemmer: pip install 'w2stree[webshop]'"
        ) from None
    porter = snowballstemmer.stemmer("porter").stemWord
    terms: dict[str, str] = {}

    def term(word: str) -> str:
        known = terms.get(word)
        if known is None:
            bare = word.removesuffix("'s").removesuffix("\u2019s")
            known = terms[word] = "" if bare in _STOP_WORDS else _stem(porter, bare)
        return known

    return lambda text: [t for t in map(term, _WORD.findall(text.lower())) if t]


def _stem(porter: Callable[[str], str], word: str) -> str:
    """Porter's own program, which Lucene has: the paper's algorithm but for three points."""
    if len(word) <= 2:
        return word
    stem = porter(word)
    if stem.endswith("logi") and _HAS_SYLLABLE.search(stem[:-4]):
        return stem[:-1]
    if stem.endswith("bli") and _HAS_SYLLABLE.search(stem[:-3]):
        return porter(f"{stem[:-3]}ble")
    return stem


def _idf(num_documents: int, frequency: int) -> np.float32:
    return np.float32(math.log(1 + (num_documents - frequency + 0.5) / (frequency + 0.5)))


def _norms(lengths: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """1 / (k1 (1 - b + b length / mean length)), of each length as one byte remembers it."""
    kept = np.array([_one_byte(int(length)) for length in lengths], np.float32)
    mean = np.float32(lengths.mean())
    return np.float32(1) / (np.float32(K1) * (np.float32(1 - B) + np.float32(B) * kept / mean))


def _one_byte(length: int) -> int:
    """The length Lucene reads back (SmallFloat): exact below 40, then four significant bits."""
    free = 24  # the values that one byte has to spare are given to the smallest lengths
    if length < free:
        return length
    shift = max(0, (length - free).bit_length() - 4)
    return free + ((length - free) >> shift << shift)
