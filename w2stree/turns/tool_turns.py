"""A turn of tool calls and its answer, as the template writes them.

opening … ▏<tool_call>⏎{"name": "look", "arguments": {}}⏎</tool_call><|im_end|>▏⏎<|im_start|>user…
           └ the turn, up to the mark that ends it in any case ───────────────┘└ the answer
"""

from __future__ import annotations

from w2stree.errors import InvalidInput
from w2stree.trajectories.trajectory import Message, Step
from w2stree.turns.proof import num_shared
from w2stree.turns.rendering import Rendering


def tool_pieces(rendering: Rendering, opening: str, step: Step) -> tuple[str, str]:
    """The texts of the turn, its end-of-turn mark included, and of what stands up to the next.

    `opening` is the rendering of a task alone. Raises `InvalidInput` where the template writes no
    tool calls, or does not end a turn of them with a special token.
    """
    task, turn = rendering.message(Message("user", "task")), rendering.turn(step)
    whole = rendering.write([task, turn, *rendering.answers(step)])
    closed = rendering.write([task, turn], generate=False)
    if not whole.startswith(opening):
        raise InvalidInput("the chat template rewrites what stands before a turn of tool calls")
    shared = num_shared(whole, closed)
    mark = rendering.marks.find_special(whole, len(opening), shared)
    if mark is None:  # none that both have: the next speaker's ends the turn
        mark = rendering.marks.find_special(whole, shared)
    if mark is None:
        raise InvalidInput("the chat template does not mark the end of a turn of tool calls")
    turn_text, answer = whole[len(opening) : mark.end()], whole[mark.end() :]
    shown = rendering.marks.shown(turn_text)
    for call in step.tool_calls:
        if call.name not in shown:
            raise InvalidInput(
                f"the chat template writes nothing of a call of the tool {call.name!r}: use one "
                "that knows tool calls (chat_template, or chat_template.jinja in its directory; "
                "docs/models.md)"
            )
        if isinstance(call.arguments_given(), str) and call.arguments not in shown:
            raise InvalidInput(
                f"a call of the tool {call.name!r} has arguments that are no JSON, and the chat "
                "template does not write them as the model did: use one that writes a text as it "
                "is (chat_template; docs/models.md), or leave such runs out"
            )
    return turn_text, answer
