"""Parses of TextWorld's PDDL engine, each made once a process.

At every step the engine parses the command template of every applicable action and the condition
of every grammar rule it tries, although these are the same few dozen short texts all along. Both
parsers are functions of their text alone, so a kept parse gives the same game.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

# More texts than the grammar has; beyond them only each game's task line is new.
_MAX_TEXTS = 4096


def keep_parses() -> None:
    """Let TextWorld keep its parses from now on, in this process. Twice is once."""
    from textworld import logic
    from textworld.envs.pddl import textgen

    if not hasattr(logic._parse_and_convert, "unkept"):
        # Conditions become rules and predicates, which nobody changes.
        logic._parse_and_convert = _kept(logic._parse_and_convert, copied=lambda parse: parse)
        # Templates become symbols that are given a context each time they are derived.
        textgen._parse_and_convert = _kept(textgen._parse_and_convert, copied=copy.deepcopy)


def _kept(parse: Callable[..., Any], *, copied: Callable[[Any], Any]) -> Callable[..., Any]:
    kept = functools.lru_cache(_MAX_TEXTS)(parse)

    @functools.wraps(parse)
    def parse_once(*args: Any, **kwargs: Any) -> Any:
        return copied(kept(*args, **kwargs))

    parse_once.unkept = parse  # type: ignore[attr-defined]
    return parse_once
