"""Which calls of models are the run: its agent's own, and not those beside or below them.

POST /chat ──┬── chat                         outside of any agent: a title, a route, a check
             └── invoke_agent ──┬── chat                                           the run
                                ├── execute_tool ── chat                       of a tool
                                ├── invoke_agent ── chat      of an agent that was asked
                                └── chat                                           the run

POST /chat ──┬── chat                         the run: its agent has no span of its own
             ├── execute_tool ── invoke_agent ── chat         of an agent that was asked
             └── chat                                                              the run
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from w2stree.formats.telemetry_spans import Span

INPUT, OUTPUT = "gen_ai.input.messages", "gen_ai.output.messages"
OPERATION = "gen_ai.operation.name"
OUTSIDE = "calls outside of any agent"

_OF_TOOLS = "calls that a tool made"
_ASKED = "calls of agents that an agent asked"
_CALLS_OF_MODELS = ("chat", "generate_content", "text_completion")

Id = tuple[str, str]
"""Of a span: its trace's and its own."""


class Place(NamedTuple):
    """How many agents (`invoke_agent`) and tools (`execute_tool`) a span stands within."""

    agents: int
    tools: int


_NOWHERE = Place(0, 0)


@dataclass(frozen=True, slots=True)
class Chosen:
    """`own`: the run's calls that say what was said, or the spans of its agents where no call does;
    empty where none does. `line`: all calls at their level, and the spans above them, outermost
    first. `aside`: the other calls that say something, by why they are not the run's. `others`: the
    ids of all other calls and agents."""

    own: list[Span]
    line: list[Span]
    aside: dict[str, list[Span]]
    others: set[Id]


def asks_a_model(span: Span) -> bool:
    operation = span.get(OPERATION)
    return isinstance(operation, str) and operation in _CALLS_OF_MODELS


def is_of_an_agent(span: Span) -> bool:
    """Whether its trace is a run, also where it does not say what was said: that is refused."""
    return _has_words(span) or asks_a_model(span) or _is_agent(span)


def chosen_of(spans: Sequence[Span]) -> Chosen:
    """Of a run's `spans`, in the order of their time. Where a trace has calls within agents, those
    of the outermost are the run, unless a tool asked that one: then those are that stand within
    nothing. Calls without words count for where the run is, or others would stand in for them;
    one whose parent is not here may be anything, and so has to fit the conversation."""
    by_id = {span.id: span for span in spans if not span.is_log}
    above = {id(span): _above(span, by_id) for span in spans}
    calls = [span for span in spans if asks_a_model(span)]
    levels = {
        trace: _level([_place(above[id(call)]) for call in calls if call.trace == trace])
        for trace in {call.trace for call in calls}
    }
    of_level = [
        call
        for call in calls
        if (place := _place(above[id(call)])) == levels[call.trace]
        or (place == _NOWHERE and _is_torn_off(by_id.get(call.id, call), above[id(call)]))
    ]
    own = [call for call in of_level if call.get(OUTPUT) is not None]
    if not own:
        around = {s.id for call in of_level for s in above[id(call)]} if calls else set(by_id)
        agents = [s for s in spans if _is_agent(s) and _has_words(s) and s.id in around]
        fewest = min((sum(_place(above[id(agent)])) for agent in agents), default=0)
        own = [agent for agent in agents if sum(_place(above[id(agent)])) == fewest]
    aside: dict[str, list[Span]] = {}
    taken = set(map(id, of_level))
    for call in calls:
        if call.get(OUTPUT) is not None and id(call) not in taken:
            aside.setdefault(_reason(above[id(call)]), []).append(call)
    line = [s for one in (*of_level, *own) for s in (*above[id(one)], one)]
    ids = {span.id for span in line}
    others = {s.id for s in spans if (asks_a_model(s) or _is_agent(s)) and s.id not in ids}
    return Chosen(own, line, aside, others)


def _level(places: Sequence[Place]) -> Place | None:
    within = [place for place in places if place.agents and not place.tools]
    without = [place for place in places if not place.agents and not place.tools]
    return min(within or without or places, key=sum, default=None)


def _place(above: Sequence[Span]) -> Place:
    return Place(sum(map(_is_agent, above)), sum(map(_is_tool, above)))


def _is_torn_off(span: Span, above: Sequence[Span]) -> bool:
    """Whether what it stood within is not among the spans: in another file, or not recorded."""
    top = above[0] if above else span
    return top.is_log or bool(top.parent)


def _reason(above: Sequence[Span]) -> str:
    """By what is nearest."""
    asking = [span for span in above if _is_agent(span) or _is_tool(span)]
    if not asking:
        return OUTSIDE
    return _OF_TOOLS if _is_tool(asking[-1]) else _ASKED


def _above(span: Span, by_id: Mapping[Id, Span]) -> list[Span]:
    """The spans that it stands within, outermost first; a log record stands where its span does."""
    found: list[Span] = []
    seen = {span.id}
    begin = by_id.get(span.id, span) if span.is_log else span
    above = by_id.get((begin.trace, begin.parent))
    while above is not None and above.id not in seen:  # a damaged export may go round
        seen.add(above.id)
        found.insert(0, above)
        above = by_id.get((above.trace, above.parent))
    return found


def _has_words(span: Span) -> bool:
    return span.get(INPUT) is not None or span.get(OUTPUT) is not None


def _is_agent(span: Span) -> bool:
    return bool(span.get(OPERATION) == "invoke_agent")


def _is_tool(span: Span) -> bool:
    return bool(span.get(OPERATION) == "execute_tool")
