"""ReAct turns: `Thought: …` then `Action: …`, one action a turn.

Yao et al., "ReAct: Synergizing Reasoning and Acting in Language Models", ICLR 2023.

    Thought: I could say                thought
    Action: left                        weighed in it: another action line comes, after prose
    but that door closes.
    Action: right                       the action
    Observation: Room 2.                invented: the turn is over at the first of these lines
    Action: right
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from w2stree.turns.thinking import spoken

THOUGHT = "Thought:"
ACTION = "Action:"
UNPARSED = "Your reply had no action. Reply with a line 'Thought: …' and a line 'Action: …'."
"""The observation of a turn without an action; such a turn costs a step."""

# `Action:` as models write it: **Action:** **Action**: `Action: … ` ### Action 1: - action\uff1a
# Final Action:
_MARKED = (
    r"(?P<marks>[*_`\"]*){}(?:[ \t]*\d+)?(?P<closed>(?P=marks))?"
    r"[ \t]*[:\uff1a](?P<closes>(?P=marks))?"
)
_LINE = r"^[ \t>#+•-]*(?:\*[ \t]+|\d+[.)][ \t]*)?" + _MARKED.format(
    "(?:Final[ \t]+)?(?P<name>Action|Thought|Observation)"
)
_LABEL = re.compile(_LINE, re.MULTILINE | re.IGNORECASE)
_EXACT_LABEL = re.compile(_LINE, re.MULTILINE)  # a text of several lines may have an `action:`
_WITHIN_LINE = re.compile(r"(?<!\w)" + _MARKED.format("Action"))
_FENCED = re.compile(r"\s*```[^\n`]*\n(.*?)^[ \t]*```[ \t]*$", re.DOTALL | re.MULTILINE)
_OPEN_FENCE = re.compile(r"```\w*")
_AROUND = (
    *(("```", "```"), ("**", "**"), ("*", "*"), ("`", "`"), ('"', '"'), ("'", "'")),
    *(("\u201c", "\u201d"), ("\u2018", "\u2019")),
)
_RENDERED = re.compile(rf"(?:{THOUGHT}[^\n]*\n+)?{ACTION} (.*)", re.DOTALL)


def is_unparsed(action: str, observation: str) -> bool:
    """Whether it was a turn without an action, which no environment answered."""
    return action == "" and observation == UNPARSED


def render_turn(thought: str, action: str) -> str:
    """The agent's turn as text; the thought line is left out where there is none."""
    return f"{THOUGHT} {thought}\n{ACTION} {action}" if thought else f"{ACTION} {action}"


def parse_thought(response: str) -> str:
    """What stands before the action that `parse_action` finds, on one line, without `Thought:`."""
    said = spoken(response)
    label = _chosen(said, _labels(said, _LABEL))
    before = said[: label.begin] if label else ""
    opening = _LABEL.match(before.lstrip())
    if opening and opening["name"].lower() == "thought":
        before = before.lstrip()[opening.end() :]
    return " ".join(before.split())


def parse_action(
    response: str,
    *,
    actions: Collection[str] = (),
    multi_line: bool = False,
    is_cut: bool = False,
    begins_in_thinking: bool = False,
) -> str | None:
    """The action's command, stripped; None where there is none, it is empty, or it is not whole.

    Where: thinking (`spoken`) is passed over. An action stands on a line that begins with
    `Action:`, in any case and in Markdown's marks, or on the line after it, or in a fenced block
    there. The turn is over at the first line after it that begins with `Observation:` or
    `Thought:`, for what follows such a line is invented. Of several such lines before that, the
    last counts if a thought stands before the first one, which was weighed in it; else the first.
    Of lines that follow one another directly, a plan, the first counts. Where no line begins with
    `Action:`, one within a line counts, if it is the only one.

    What: the rest of the line (a block of several lines is no one action), or, with
    `multi_line`, all up to the next label. Then labels must be written as here, and what is in a
    fenced block is no label. Marks and quotes around all of it are taken off, unless it is one
    of `actions` (those the environment lists) as it stands. `render_turn` of one of `actions` is
    that action, whatever text it is.

    `is_cut`: an action that reaches to the turn's end may have been longer, so it is none.
    `begins_in_thinking` as in `spoken`.
    """
    rendered = _RENDERED.fullmatch(response)
    if rendered and rendered[1] in actions and not is_cut:
        return rendered[1]
    said = spoken(response, begins_in_thinking=begins_in_thinking)
    found = _found(said, _EXACT_LABEL if multi_line else _LABEL)
    if found is None:
        return None
    label, end = found
    read = _lines if multi_line else _line
    text = read(said[label.end : end], may_go_on=is_cut and end == len(said))
    if text not in actions:
        text = text.removesuffix(label.unclosed).rstrip()
    return _bare(text, actions) or None


def logged_action(response: str) -> str | None:
    """The action of a turn in a log, where nothing says how much of it the environment took: as
    `parse_action` finds it, with the lines after it up to the next label.

    `Action: search`, `Action Input: Oslo` is both lines. Of two turns that differ in such a line
    one line would make one action, and what came of both one mean.
    """
    said = spoken(response)
    if (found := _found(said, _LABEL)) is None:
        return None
    label, end = found
    text = _lines(said[label.end : end], may_go_on=False)
    return _bare(text.removesuffix(label.unclosed).rstrip(), ()) or None


@dataclass(frozen=True, slots=True)
class _Label:
    """`Action:`, `Thought:` or `Observation:` at [begin, end) of a text; `unclosed` are the marks
    before it that nothing at it closes."""

    name: str
    begin: int
    end: int
    unclosed: str


def _label(match: re.Match[str], name: str) -> _Label:
    is_closed = match["closed"] or match["closes"]
    return _Label(name, match.start(), match.end(), "" if is_closed else match["marks"])


def _labels(said: str, pattern: re.Pattern[str]) -> list[_Label]:
    """The lines' labels up to where the turn is over, that line's included; else the only one
    within a line."""
    labels: list[_Label] = []
    position, has_action = 0, False
    while match := pattern.search(said, position):
        name = match["name"].lower()
        labels.append(_label(match, name))
        if has_action and name != "action":
            return labels
        has_action = has_action or name == "action"
        fenced = _FENCED.match(said, match.end()) if name == "action" else None
        position = fenced.end() if fenced else match.end()
    if not has_action:
        over = next((label.begin for label in labels if label.name == "observation"), len(said))
        within = list(_WITHIN_LINE.finditer(said, 0, over))
        labels += [_label(match, "action") for match in within] if len(within) == 1 else []
    return labels


def _chosen(said: str, labels: Sequence[_Label]) -> _Label | None:
    found = [label for label in labels if label.name == "action"]
    if not found:
        return None
    chosen = found[0]
    has_thought = bool(said[: chosen.begin].strip())
    for before, label in pairwise(found):
        between = said[before.end : label.begin].strip()
        is_empty = before is chosen and not between
        if is_empty or (has_thought and "\n" in between):
            chosen = label
    return chosen


def _found(said: str, pattern: re.Pattern[str]) -> tuple[_Label, int] | None:
    """The label of the action that counts, and where the next one begins, or the turn ends."""
    labels = _labels(said, pattern)
    if (label := _chosen(said, labels)) is None:
        return None
    return label, next((o.begin for o in labels if o.begin >= label.end), len(said))


def _line(text: str, *, may_go_on: bool) -> str:
    """The one line after a label; "" where there is none, or it may have gone on."""
    if fenced := _FENCED.match(text):
        inside = fenced[1].strip()
        return "" if "\n" in inside else inside
    line, line_break, _ = text.lstrip().partition("\n")
    is_whole = line_break or not may_go_on
    return line.strip() if is_whole and not _OPEN_FENCE.fullmatch(line.strip()) else ""


def _lines(text: str, *, may_go_on: bool) -> str:
    """All after a label; "" where it may have gone on."""
    if fenced := _FENCED.match(text):
        return fenced[1].strip("\n").rstrip()
    return "" if may_go_on else text.strip()


def _bare(text: str, actions: Collection[str]) -> str:
    """Without the marks and quotes around all of it."""
    while text not in actions:
        for opening, closing in _AROUND:
            inner = text.removeprefix(opening).removesuffix(closing)
            is_around = len(inner) == len(text) - len(opening) - len(closing)
            if is_around and inner and opening not in inner and closing not in inner:
                text = inner.strip()
                break
        else:
            break
    return text
