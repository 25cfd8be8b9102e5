"""The nouns of a product's title, for the type part of the reward.

WebShop asks spaCy's tagger, a model to download whose answers change with its version. A title is
little but names and nouns, so here every word is one that has no digit and is neither in a closed
list nor has an adjective's ending. docs/environments.md says how often the reward then differs.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W\d_]+(?:[.'\u2019][^\W\d_]+)*")

_FUNCTION_WORDS = (
    "a about above after all also an and any are as at be because been before below best between "
    "both but by can each either even every few for from had has have he her his how i if in into "
    "is it its just made make makes many more most much my near new no nor not of off on once one "
    "only onto or other our out over own per plus same she should since so some such than that "
    "the their them then there these they this those through to too two under until up upon us "
    "use used using very via was we well were what when where which while who whose will with "
    "within without you your"
)
_ADJECTIVES = (
    "active amazing authentic automatic basic big black blue bright brown casual classic clean "
    "clear cold compact cool cute daily dark deep digital dry dual easy electric electronic "
    "elegant extra fast fine fit flat flexible free fresh full funny genuine gold golden good gray great "
    "green grey happy hard healthy heavy high hot huge ideal inner large light little long "
    "loose low manual medium mini modern multi natural nice organic original outdoor outer perfect "
    "personal pink plain portable premium professional pure purple quick quiet rapid real red rich "
    "round safe sexy sharp short silver simple slim small smart smooth soft solid special strong "
    "super sweet thick thin tight tiny traditional true ultra universal unique vertical vintage "
    "warm waterproof wet white wide wild wireless yellow young"
)
_PARTICIPLES = (
    "adjusted approved assembled assorted baked based built carved certified coated colored "
    "compared connected cooked crafted curved cushioned designed dried embroidered enhanced "
    "expanded fitted fixed flavored framed freeze given hooded improved included inspired "
    "insulated laminated lined listed loved mounted needed padded painted patterned plated "
    "polished powered printed quilted ready recommended reclaimed refurbished removed roasted "
    "rolled salted scented seasoned sealed shaped sized stained stitched striped styled suited "
    "textured unsalted unscented unsweetened updated upgraded upholstered weighted worn wrapped "
    "including hanging making using wearing"
)
_OTHER_WORDS = frozenset(f"{_FUNCTION_WORDS} {_ADJECTIVES} {_PARTICIPLES}".split())
_ADJECTIVE_ENDINGS = ("able", "ible", "less", "ful", "ous", "proof")


def title_nouns(title: str) -> list[str]:
    """The title's nouns in lower case, in order, repeated ones repeated."""
    words = _WORD.findall(title.lower())
    return [w for w in words if w not in _OTHER_WORDS and not w.endswith(_ADJECTIVE_ENDINGS)]
