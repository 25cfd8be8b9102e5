"""What tells two states apart though sentences about them look alike: the default guard.

    "The lamp isn't on; door A12 shows -5."   ->   ("not", "on", "a12", "-5")

Embeddings put "open" beside "closed" and A12 beside A13 (cosines of 0.8 to 0.99). Texts whose
distinctions differ are never merged, in whatever order embeddings like them. Words of English only;
words in other letters than a to z are all kept, since nothing is known of their opposites.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# ruff: noqa: SIM905 (lists of words are harder to read)

_NUMBERS = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty
    """.split()
_ORDINALS = """
    first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth
    """.split()
_ENDINGS = {1: "st", 2: "nd", 3: "rd"}

# What says the same, before a semicolon. At least one of two opposites must stand here; what a
# prefix or an ending turns round (unlocked, endless) is found below.
_SAME = """
    not cannot cant isnt arent wasnt werent aint dont doesnt didnt hasnt havent hadnt wont wouldnt
    shouldnt couldnt mustnt neednt shant; no; never; none nobody; nothing; nowhere; nor; without;
    hardly; barely; lack lacks lacking; missing; absent; unable; except; unless;
    fail fails failed failing; failure failures; faulty; wrong wrongly;
    succeed succeeds succeeded; success; successful successfully; correct correctly; valid;
    hit hits hitting; miss misses missed; victory victorious; defeat defeated;
    able; possible; true; false; yes; right; good; better; best; bad; worse; worst;

    thirty; forty; fifty; sixty; seventy; eighty; ninety; hundred; thousand; million; billion;
    dozen; half; quarter; once; twice; thrice; double; triple; single; pair; both; neither; either;
    all; every; each; few; several; many; most; another; other; same; different; last;
    next; previous; final; more; less; fewer; least; maximum max; minimum min; odd; even; plus;
    minus; positive; negative; greater; smaller; bigger; larger; ii; iii; iv; vi; vii; viii; ix;

    open opens opened opening; close closes closed closing; shut shuts; lock locks locked locking;
    on; off; up; down; out; left; right; front; bottom; above; below;
    over; under; inside; outside; upstairs; downstairs; upper; lower; forward forwards;
    backward backwards; clockwise; counterclockwise anticlockwise; north; south; east; west;
    northeast; northwest; southeast; southwest; northern; southern; eastern; western;
    high; low; higher; tall; short; long; wide; narrow; near; far; before; after; early; late;
    earlier; later; yesterday; today; tomorrow; morning; noon; evening; night; am; pm;

    start starts started starting; begin begins began; stop stops stopped; end ends ended;
    finish finishes finished; pause pauses paused; resume resumes resumed;
    enable enables enabled; active; activate activates activated; alive; dead; awake; asleep;
    online; offline; expand expands expanded; collapse collapses collapsed;
    full; empty empties emptied; hot; cold; warm; cool cools cooled; heat heats heated;
    boil boils boiling boiled; frozen; melted; solid; liquid; clean cleans cleaned; dirty; wet;
    dry dries dried; cooked; raw; burnt burned; fresh; rotten; peeled; sliced; chopped; diced;
    fried; roasted; grilled; sharp; dull; blunt; soft; hard; smooth; rough; thick; thin; heavy;
    dark; bright; lit; dim; loud; quiet; silent; broken; intact; repaired fixed; damaged;
    cracked; safe; dangerous; old; new; young; rich; poor; free; busy; available; expensive;
    cheap; strong; weak; fast; slow; naked; armed; public; private; male; female; friend; enemy;
    lighter; heavier;

    increase increases increased; decrease decreases decreased; rise rises rose risen;
    fall falls fell fallen; raise raises raised; lower lowers lowered; gain gains gained;
    lose loses lost; win wins won; pass passes passed; allow allows allowed; forbidden prohibited;
    permitted; accept accepts accepted; reject rejects rejected; refuse refuses refused;
    agree agrees agreed; approve approves approved; deny denies denied; grant grants granted;
    legal; add adds added; remove removes removed; insert inserts inserted; eject ejects ejected;
    attach attaches attached; detach detaches detached; connect connects connected;
    leave leaves; exit exits exited;
    drop drops dropped; put puts; give gives gave given;
    sell sells sold; push pushes pushed; pull pulls pulled; load loads loaded;
    save saves saved; delete deletes deleted;
    hide hides hidden; visible; wear wears wearing worn;

    mm millimeter millimeters millimetre millimetres; cm centimeter centimeters centimetre
    centimetres; meter meters metre metres; km kilometer kilometers kilometre kilometres; inch
    inches; foot feet; yard yards; mile miles; mg milligram milligrams; gram grams; kg kilogram
    kilograms; lb lbs pound pounds; oz ounce ounces; ml milliliter milliliters millilitre
    millilitres; liter liters litre litres; ms millisecond milliseconds; seconds; minute minutes;
    hour hours; day days; week weeks; month months; year years; percent; celsius; fahrenheit; dollar
    dollars; cent cents;

    red; orange; yellow; green; blue; purple violet; pink; brown; black; white; gray grey;
    gold golden; silver; monday; tuesday; wednesday; thursday; friday; saturday; sunday; january;
    february; april; june; july; august; september; october; november; december
    """
_TOLD_AS = {
    **{word: group.split()[0] for group in _SAME.split(";") for word in group.split()},
    **{word: str(number) for number, word in enumerate(_NUMBERS)},
    **{word: f"{i}{_ENDINGS.get(i, 'th')}" for i, word in enumerate(_ORDINALS, start=1)},
    **{letter: letter for letter in "bcdefghjklmnopqruvwxyz"},  # room B; no article, no I
}

# A prefix that negates what follows: unlocked, disconnected, nonempty, deactivated, invalid.
_NEGATED = re.compile(
    r"""
    un(?!cle|i(?:t|on|que|vers|form|fi|corn)|til|to$|der) [a-z]{3,}
    | dis(?!h|tan|tric|trib|tinct|cuss|play|k|c$|cs$|eas|patch|pens|pos|tur|cover|mal) [a-z]{3,}
    | non(?!e|sens) [a-z]{3,}
    | de(?:activ|arm|compress|compil|contamin|creas|cod|crypt|flat|frost|fus|grad|hydrat|install
        |magneti|materiali|moraliz|mount|mot|plet|populat|pressuri|regist|select|stabili|tach
        |valu|scend|brief)[a-z]*
    | in(?:activ|accessib|accura|adequa|animat|applicab|appropriat|audib|capab|comple|compat
        |consist|correct|decis|definit|direct|discree|edib|effect|eligib|equal|finit|flammab
        |flexib|formal|frequen|hospitab|human|opera|organ|secur|soluble|stable|suffic|valid
        |visib|voluntar|vulnerab)[a-z]*
    | im(?:balanc|matur|measur|mobil|movab|mortal|passab|patien|perfect|permeab|polit|possib|practic
        |precis|prob|proper|pure)[a-z]*
    | il(?:legal|legib|legit|licit|litera|logic)[a-z]*
    | ir(?:rational|regular|relevan|reparab|repar|replaceab|responsib|retriev|revers)[a-z]*
    | mis(?:align|match|plac|fir|identif|read|direct|inform|behav|connect|typed)[a-z]*
    | [a-z]{3,}less(?:ly)? (?<!unless) (?<!bless) (?<!regardless) (?<!nevertheless) (?<!nonetheless)
    | (?:over|under)(?:full|load|fill|heat|flow|charg|weight|power|siz)[a-z]*
    """,
    re.VERBOSE,
)

# Words and numbers that hang together (A12, 3f2a-77, north-east, 12:30) with the number's sign and
# currency; marks that stand alone, as on boards and maps (#..@.#); comparisons, percent, and signs
# that are no punctuation (a cross, a tick).
_TOKEN = re.compile(
    r"""
    (?: (?<![^\s(\[{=:<>,;/"|]) [$\xa3\xa5\u20ac]?[+-]?[$\xa3\xa5\u20ac]?\.?(?=\d) )?
    [^\W_]+ (?: [-_.:/\#@] [^\W_]+ )*
    | (?<!\S) [!-/:-@\[-`{-~]+ (?!\S)
    | [<>]=? | [!=]= | %
    | [^\w\s\x00-\x7f\xa0\xab\xb7\xbb\u2010-\u2027\u2030-\u205e]
    """,
    re.VERBOSE,
)
_WORD = re.compile(r"[^\W\d_]+")
_APOSTROPHE = re.compile(r"['\u2019]")
_MINUS = re.compile(r"[\u2212\u2013](?=[$\xa3\xa5\u20ac]?\.?\d)")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


def distinctions(text: str) -> tuple[str, ...]:
    """Numbers with their signs and units (as words too), codes (what has digits and letters, one
    letter alone), marks that stand alone, negations, opposites, colours, directions and days of a
    text, in order.

    Texts that differ in them do not describe one state, however similar their embeddings. What
    says the same in other words is one: "isn't" and "is not", "two" and "2". O(len(text)).
    """
    plain = _MINUS.sub("-", _APOSTROPHE.sub("", _THOUSANDS.sub("", text.lower())))
    return tuple(told for token in _TOKEN.findall(plain) for told in _told_by(token))


def _told_by(token: str) -> Iterator[str]:
    words = _WORD.findall(token)
    if not words or any(character.isdigit() for character in token):
        yield token  # a number, a code or a sign, as a whole
        return
    for word in words:
        if word in _TOLD_AS:
            yield _TOLD_AS[word]
        elif not word.isascii() or _NEGATED.fullmatch(word):
            yield word
