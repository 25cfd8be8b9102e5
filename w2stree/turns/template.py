"""Chat templates: which one a model has, by whose choice, and that it renders the same tomorrow.

    {% set enable_thinking = false +%}      the configuration's arguments
    {{ bos_token }}… "26 Jul 2024" …        the template, its clock stopped

Everything that changes the rendering is written into the template itself. So whatever reads the
tokenizer (this package, vLLM, a chat server, the trained model's directory) sees one text, and no
second state has to travel with it.
"""

from __future__ import annotations

import difflib
import importlib.util
import json
import math
import re
from collections.abc import Mapping
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput, MissingDependency

TemplateArgument = bool | int | float | str
"""The value of a template's variable."""

TODAY = date(2024, 7, 26)
"""What every template is told that today is: the day that Llama 3's own names without a clock.

A run over midnight, or one that goes on next week, would else train on other prompts than it
explored with.
"""

_GIVEN = ("messages", "tools", "documents", "add_generation_prompt")
"""What a template is given at each rendering, by whoever renders."""

_CLOCK = re.compile(r"strftime_now\(\s*(?P<quote>[\"'])(?P<format>[^\"']*)(?P=quote)\s*\)")
_CLOCK_TEST = re.compile(r"strftime_now\s+is\s+(not\s+)?defined")


def set_template(
    tokenizer: Any,
    chat_template: str | Path | None = None,
    template_arguments: Mapping[str, TemplateArgument] | None = None,
) -> None:
    """Give the tokenizer the template it will be used with, in place.

    `chat_template`, a name or a file (`read_template`), replaces its own; the arguments are set
    at its beginning; its clock is stopped (`stop_clock`). A tokenizer without a template, and
    without one given, stays without. Raises as `read_template`, and `InvalidInput` for an
    argument that the template does not read.
    """
    template = own_template(tokenizer) if chat_template is None else read_template(chat_template)
    if template is None:
        if template_arguments:
            raise InvalidInput("template_arguments: the model has no chat template to give them to")
        return
    tokenizer.chat_template = with_arguments(stop_clock(template), template_arguments or {})


def own_template(tokenizer: Any) -> str | None:
    """The template a tokenizer comes with; of several by name, the one called `default`."""
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    # As Jinja reads line breaks, and as a saved template's file is read again.
    return template.replace("\r\n", "\n").replace("\r", "\n") if template else None


def read_template(name_or_file: str | Path) -> str:
    """The text of a template: a file's, this package's (`builtin_names`), or TRL's by its name.

    Which of them is a file `is_file_name` tells. Raises `InvalidInput` where there is none, and
    `MissingDependency` for a name of TRL's where TRL is not installed.
    """
    text = str(name_or_file)
    if isinstance(name_or_file, Path) or is_file_name(text):
        try:
            # Some editors begin a file with a mark of its encoding, which no chat should have.
            return Path(text).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"chat_template: {text}: {error}") from None
    if text in builtin_names():
        return str((_builtin() / f"{text}.jinja").read_text(encoding="utf-8"))
    folder = trl_folder()
    if folder is None:
        raise MissingDependency(
            f"chat_template: {text!r} is none of ours ({', '.join(builtin_names())}), and TRL, "
            "whose templates have names too, is not installed: pip install 'w2stree[train]', or "
            "give a file"
        )
    known = [*builtin_names(), *sorted(file.stem for file in folder.glob("*.jinja"))]
    if text not in known:
        near = difflib.get_close_matches(text, known, n=1)
        raise InvalidInput(
            f"chat_template: no template {text!r}; "
            + (f"did you mean {near[0]}? " if near else "")
            + f"give a file, or one of {', '.join(known)}"
        )
    return (folder / f"{text}.jinja").read_text(encoding="utf-8")


def is_file_name(chat_template: str) -> bool:
    """Whether that is a file, and no template's name: it has a slash or ends with .jinja."""
    return "/" in chat_template or chat_template.endswith(".jinja")


def builtin_names() -> list[str]:
    """The templates that come with this package (docs/models.md)."""
    return sorted(f.name.removesuffix(".jinja") for f in _builtin().iterdir())


def with_arguments(template: str, arguments: Mapping[str, TemplateArgument]) -> str:
    """The template with its variables set.

    Raises `InvalidInput` for one that it does not read (a mistyped name would change nothing), for
    one that every rendering gives it, and for a value that is no `TemplateArgument`, or not finite.
    """
    for name, value in arguments.items():
        if name in _GIVEN:
            raise InvalidInput(
                f"template_arguments: {name} is no setting; whoever renders a chat gives it"
            )
        is_finite = not isinstance(value, float) or math.isfinite(value)
        if not isinstance(value, TemplateArgument) or not is_finite:
            raise InvalidInput(
                f"template_arguments: {name} is {value!r}; give a text, a finite number, true or "
                "false"
            )
        if not name.isidentifier() or not re.search(rf"\b{name}\b", template):
            raise InvalidInput(f"template_arguments: the chat template reads no {name!r}")
    # `+` keeps a line break that the template begins with.
    settings = (f"{{% set {n} = {_literal(v)} +%}}" for n, v in arguments.items())
    return "".join(settings) + template


def stop_clock(template: str) -> str:
    """The template with `TODAY` wherever it asks for the date.

    Raises `InvalidInput` where it asks in another way than `strftime_now("…")`.
    """
    stopped = _CLOCK.sub(lambda call: json.dumps(TODAY.strftime(call["format"])), template)
    if "strftime_now" in _CLOCK_TEST.sub("", stopped):
        raise InvalidInput(
            "the chat template reads the clock with a format of its own making: write "
            'strftime_now("…") with the format in place, or the date itself (chat_template: FILE)'
        )
    return stopped


def _literal(value: TemplateArgument) -> str:
    # Jinja reads what JSON writes of these, but for characters written as two halves.
    return json.dumps(value, ensure_ascii=False)


def _builtin() -> Any:
    return resources.files("w2stree.turns") / "chat_templates"


def trl_folder() -> Path | None:
    """The folder of TRL's templates, found without importing TRL, which takes seconds."""
    found = importlib.util.find_spec("trl")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "chat_templates"
