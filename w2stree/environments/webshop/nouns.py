"""The nouns of a product's title, for the type part of the reward.

WebShop asks spaCy's tagger: a model to download, whose answers change with its version. A title
is little but names and nouns (its adjectives are mostly tagged as parts of names), so here every
word of two letters or more is one, unless it is a function word. docs/environments.md says how
often the reward then differs.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"(?<!\w)[^\W\d_]{2,}(?!\w)")
_FUNCTION_TEXT = (
    "a about above after all also an and any are as at be because been before below best between "
    "both but by can each either even every few for from had has have he her his how i if in into "
    "is it its just made make makes many more most much my near new no nor not of off on once one "
    "only onto or other our out over own per plus same she should since so some such than that "
    "the their them then there these they this those through to too two under until up upon us "
    "use used using very via was we well were what when where which while who whose will with "
    "within without you your"
)
_FUNCTION_WORDS = frozenset(_FUNCTION_TEXT.split())


def title_nouns(title: str) -> list[str]:
    """The title's nouns in lower case, in order, repeated ones repeated."""
    return [word for word in _WORD.findall(title.lower()) if word not in _FUNCTION_WORDS]
