"""What a turn says, without what its model only thought.

    <think>⏎Maybe⏎Action: left⏎</think>⏎Action: right   ──>  Action: right
    Maybe⏎Action: left⏎</think>⏎Action: right           ──>  Action: right   the prompt opened it
    <think>⏎Maybe⏎Action: left                          ──>  (nothing)       never closed

Reasoning models mark their thinking; the marks stand in the text where no server took them out.
A ReAct turn's `Thought:` is no such thinking: it is said.
"""

from __future__ import annotations

import re

# Qwen, DeepSeek, GLM and most: <think>; Seed: <seed:think>; Magistral: [THINK]; Cohere; Kimi-VL;
# Gemma 4's channel.
_WORDS = r"(?:\w+[:_])?(?:think|thinking|thought|reasoning)"
_MARK = re.compile(
    rf"(?P<opens><{_WORDS}>|\[think\]|<\|start_thinking\|>|◁think▷|<\|channel>thought)"
    rf"|</{_WORDS}>|\[/think\]|<\|end_thinking\|>|◁/think▷|<channel\|>",
    re.IGNORECASE,
)

# gpt-oss writes several messages a turn, each into a channel; only `final` is for the reader.
_CHANNEL = "<|channel|>"
_FINAL = re.compile(
    r"<\|channel\|>final\b[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>"
    r"(.*?)(?=<\|(?:end|start|channel|return|call)\|>|\Z)",
    re.DOTALL,
)
# The same, decoded without its special tokens.
_BARE_CHANNEL = re.compile(r"(?:analysis|commentary)(?=[^\W\d_])")
_BARE_FINAL = "assistantfinal"


def spoken(response: str, *, begins_in_thinking: bool = False) -> str:
    """The turn without its thinking; a line break stands where a block of it stood.

    A block that is not closed reaches to the end. A closing mark without an opening one closes
    what the prompt opened: all before it was thinking. `begins_in_thinking` says that the prompt
    did open a block, which a turn that was cut off in it does not show.
    """
    if _CHANNEL in response:
        return "\n".join(match[1] for match in _FINAL.finditer(response))
    if _BARE_CHANNEL.match(response):
        return response.rpartition(_BARE_FINAL)[2] if _BARE_FINAL in response else ""
    kept: list[str] = []
    position, is_thinking = 0, begins_in_thinking
    for mark in _MARK.finditer(response):
        if not mark["opens"]:
            if not is_thinking:
                kept.clear()
            is_thinking = False
        elif not is_thinking:
            kept.append(response[position : mark.start()])
            is_thinking = True
        position = mark.end()
    if not is_thinking:
        kept.append(response[position:])
    return "\n".join(kept)


def opens_thinking(prompt: str) -> bool:
    """Whether a prompt ends in a block of thinking that it opened, as some templates have it."""
    marks = list(_MARK.finditer(prompt))
    return bool(marks and marks[-1]["opens"]) and not prompt[marks[-1].end() :].strip()
