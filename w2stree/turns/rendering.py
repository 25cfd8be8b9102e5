"""What a chat template makes of a conversation, as text.

    Message("user", …)       {"role": "user", "content": …}
    Step, in words           {"role": "assistant", "content": response}
                             {"role": "user", "content": observation}
    Step, of tool calls      {"role": "assistant", "content": response, "tool_calls": […]}
                             {"role": "tool", "content": result, "name": …}, … one for each call

The marks in everybody's words are hidden (`Marks.hide`); those in the rendering are the template's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.trajectories.answers import Answer, answers_to
from w2stree.trajectories.tool_call import ToolCall
from w2stree.trajectories.trajectory import Message, Step
from w2stree.turns.marks import Marks
from w2stree.turns.template import own_template, stop_clock

Record = dict[str, Any]
"""One message as a template reads it."""


class Rendering:
    """A tokenizer's template, its clock stopped, and the control tokens under it.

    Raises `InvalidInput` for a tokenizer without a template.
    """

    def __init__(self, tokenizer: Any) -> None:
        template = own_template(tokenizer)
        if template is None:
            raise InvalidInput(
                f"the tokenizer of {tokenizer.name_or_path or 'this model'} has no chat template: "
                "give it one (chat_template: plain for a base model, chatml, another name or a "
                "file; or a chat_template.jinja in its directory; docs/models.md)"
            )
        self._tokenizer = tokenizer
        self.template = stop_clock(template)
        self.marks = Marks(tokenizer, self.template)

    def chat(self, prompt: Sequence[Message], steps: Sequence[Step] = ()) -> str:
        """A prompt and some steps, with the generation prompt."""
        records = [self.message(message) for message in prompt]
        for step in steps:
            records += [self.turn(step), *self.answers(step)]
        return self.write(records)

    def message(self, message: Message) -> Record:
        is_agent = message.role == "assistant"
        content = self.marks.hide(message.content, of_agent=is_agent)
        return {"role": message.role, "content": content}

    def turn(self, step: Step) -> Record:
        """What the agent said in a step."""
        said = self.message(Message("assistant", step.response))
        if step.tool_calls:
            said["tool_calls"] = [self._call(call) for call in step.tool_calls]
        return said

    def answers(self, step: Step) -> list[Record]:
        """What was said to it, a message for each call that was answered."""
        return [self._answer(step, answer) for answer in answers_to(step)]

    def _answer(self, step: Step, answer: Answer) -> Record:
        made: Record = {"role": answer.role, "content": self.marks.hide(answer.text)}
        if answer.call is not None:
            call = step.tool_calls[answer.call]
            made["name"] = self.marks.hide(call.name)
            if call.id is not None:
                made["tool_call_id"] = self.marks.hide(call.id)
        return made

    def write(self, records: Sequence[Record], *, generate: bool = True) -> str:
        """What the template writes; raises `InvalidInput` where it refuses to."""
        try:
            rendered = self._tokenizer.apply_chat_template(
                list(records),
                chat_template=self.template,
                tokenize=False,
                add_generation_prompt=generate,
            )
        except Exception as error:  # whatever a stranger's template raises
            roles = ", ".join(record["role"] for record in records)
            raise InvalidInput(
                f"the chat template does not render a conversation of ({roles}): {error}"
            ) from None
        return str(rendered)

    def _call(self, call: ToolCall) -> Record:
        arguments = self._hidden(call.arguments_given())
        function = {"name": self.marks.hide(call.name), "arguments": arguments}
        made = {"type": "function", "function": function}
        return made if call.id is None else {**made, "id": self.marks.hide(call.id)}

    def _hidden(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.marks.hide(value, of_agent=True)
        if isinstance(value, dict):
            return {self._hidden(key): self._hidden(item) for key, item in value.items()}
        return [self._hidden(item) for item in value] if isinstance(value, list) else value
