"""TextWorld's PDDL engine, its repeated work done once.

    at each …   the published engine                       here
    reset       translates the PDDL text twice             the last game's translations are kept
    step        parses every command template and          each text is parsed once a process
                every condition it tries
    step        copies entities deeply for each symbol     contexts are copied, entities shared

All three are functions of their arguments alone and nobody changes what they return, so the game
is the same to the letter (tests/environments/test_alfworld.py plays both).
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

from w2stree.errors import MissingDependency

# More texts than the grammar has; beyond them only each game's task line is new.
_MAX_TEXTS = 4096
_published: list[tuple[Any, str, Any]] = []


def start_engine() -> Any:
    """A `PddlEnv`. Raises `MissingDependency` where TextWorld or Fast Downward is absent."""
    try:
        import fast_downward  # noqa: F401  (the engine imports without it, then fails later)
        from textworld import EnvInfos
        from textworld.envs.pddl import PddlEnv
    except ModuleNotFoundError:
        raise MissingDependency(
            "ALFWorld's engine is not installed: pip install 'w2stree[alfworld]' "
            "(compiles two C programs: minutes)"
        ) from None
    keep_work()
    return PddlEnv(EnvInfos(admissible_commands=True, won=True))


def keep_work() -> None:
    """Let the engine keep its work from now on, in this process. Twice is once."""
    if _published:
        return
    import fast_downward
    from textworld import logic
    from textworld.envs.pddl import textgen

    _replace(fast_downward, "pddl2sas", functools.lru_cache(2))  # plain and for the planner
    _replace(logic, "_parse_and_convert", functools.lru_cache(_MAX_TEXTS))
    _replace(textgen, "_parse_and_convert", _kept_symbols)
    _replace(textgen, "copy_context", lambda _: _copy_context)


def publish_work() -> None:
    """Undo `keep_work`: the engine as published, to compare with."""
    while _published:
        module, name, function = _published.pop()
        setattr(module, name, function)


def _replace(module: Any, name: str, wrap: Callable[[Any], Any]) -> None:
    function = getattr(module, name)
    _published.append((module, name, function))
    setattr(module, name, wrap(function))


def _kept_symbols(parse: Callable[..., Any]) -> Callable[..., Any]:
    kept = functools.lru_cache(_MAX_TEXTS)(parse)

    # Deriving a symbol writes its context into it: the kept ones stay blank.
    def parse_once(*args: Any, **kwargs: Any) -> Any:
        return copy.deepcopy(kept(*args, **kwargs))

    return parse_once


def _copy_context(context: dict[str, Any]) -> dict[str, Any]:
    return {
        **context,
        "variables": dict(context["variables"]),
        "mapping": dict(context["mapping"]),
    }
