"""Normalisers with names: what in an observation says nothing of the state it is of.

    dates         "It is 10:42 on 26 Jul 2024."     "It is <date> on <date>."
    paths         "Saved /tmp/tmpq3x/repo/a.py"     "Saved <path>/a.py"
    ids           "job 7f3a9c21 queued"             "job <id> queued"
    numbers       "Turn 17: a door."                "Turn <number>: a door."
    sort_words    "a key, a lamp"                   "a a key lamp"

Two observations that become one text are one state, known by the first of them as it was. So a
normaliser must take away only what is luck: `numbers` makes "shelf 1" and "shelf 2" one too, after
the same action. `w2stree lint` measures which of them would let how many steps merge.

Several are one rule, joined by "+", and work in the order above: "dates+numbers".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

Normalize = Callable[[str], str]
"""A text to the text that stands for it."""

_WORD = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+")

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.?"
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_WEEKDAY = r"(?:\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6}\.?,? )?"
_TIME = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?: ?[AaPp]\.?[Mm]\b\.?)?"
_ZONE = r"(?: ?(?:Z|UTC|GMT)\b| ?[+-]\d{2}:?\d{2}\b)?"
_DATE = re.compile(
    rf"{_WEEKDAY}\b(?:"
    rf"\d{{4}}-\d{{1,2}}-\d{{1,2}}(?:[T ]{_TIME}{_ZONE})?"
    rf"|\d{{4}}/\d{{1,2}}/\d{{1,2}}|\d{{1,2}}/\d{{1,2}}/\d{{4}}|\d{{1,2}}\.\d{{1,2}}\.\d{{4}}"
    rf"|{_DAY} (?:of )?{_MONTH},? \d{{4}}(?:,? {_TIME}{_ZONE})?"
    rf"|{_MONTH} {{1,2}}{_DAY}(?: {_TIME}{_ZONE} \d{{4}}|,? \d{{4}}|(?: {_TIME}{_ZONE})?)"
    rf"|{_DAY} (?:of )?{_MONTH}"
    rf"|{_TIME}{_ZONE}"
    r")(?![\w/-])"
)
_PATH = re.compile(
    r"(?<![\w.:/\\~>])(?:file://)?(?:~|[A-Za-z]:)?[\\/](?:[\w.@+-]+[\\/]+)+[\w.@+-]*"
)
_TEMPORARY = (("tmp",), ("var", "tmp"), ("private", "tmp"), ("dev", "shm"))
_ID = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
    r"|0x[0-9a-fA-F]{4,}"
    r"|(?=[a-fA-F]*[0-9])(?=[0-9]*[a-fA-F])[0-9a-fA-F]{7,}"
    r"|(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{16,}"
    r")(?![A-Za-z0-9])"
)
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)*")


def dates(text: str) -> str:
    """Dates and times of day: ISO 8601, 7/26/2024, 26.7.2024, "26 Jul 2024", "July 26th", "10:42",
    with the day of the week and the zone beside them. English months."""
    return _DATE.sub("<date>", text)


def paths(text: str) -> str:
    """Absolute paths to their last name; what lies directly in a folder for temporary files loses
    its name too. An address on the web is none."""
    return _PATH.sub(lambda found: _last_name(found[0]), text)


def ids(text: str) -> str:
    """UUIDs, addresses of memory (0x…), and words of letters and digits mixed: from 7 characters
    on where they are hexadecimal, else from 16 on. Of digits alone: `numbers`."""
    return _ID.sub("<id>", text)


def numbers(text: str) -> str:
    """Every number, with its sign, and digits inside of words: "step17"."""
    return _NUMBER.sub("<number>", text)


def sort_words(text: str) -> str:
    """The words of a text in alphabetical order: a normaliser for environments that list the
    same objects in random order. Texts of the same words count as equal."""
    return " ".join(sorted(_WORD.findall(text.lower())))


NORMALIZERS: Mapping[str, Normalize] = {
    "dates": dates,
    "paths": paths,
    "ids": ids,
    "numbers": numbers,
    "sort_words": sort_words,
}
"""By name, in the order in which several work."""


def canonical(name: str) -> str | None:
    """The one name of a rule of known normalisers, whatever order they are given in; None where
    one is not known, or none is there."""
    asked = name.split("+")
    if not set(asked) <= set(NORMALIZERS):
        return None
    return "+".join(known for known in NORMALIZERS if known in asked)


@lru_cache(maxsize=64)
def normalizer_named(name: str) -> Normalize:
    """The function of a `canonical` name."""
    parts = [NORMALIZERS[known] for known in name.split("+")]
    if len(parts) == 1:
        return parts[0]

    def all_of_them(text: str) -> str:
        for normalize in parts:
            text = normalize(text)
        return text

    return all_of_them


def _last_name(path: str) -> str:
    names = [name for name in re.split(r"[\\/]+", path.removeprefix("file://")) if name]
    is_temporary = any(tuple(names[:-1]) == folder for folder in _TEMPORARY)
    return "<path>" if is_temporary else f"<path>/{names[-1]}"
