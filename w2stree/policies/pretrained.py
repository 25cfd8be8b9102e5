"""What a model's directory holds, read by transformers: as data, from the disk, no code of its own.

    config.json             auto_map: {"AutoModelForCausalLM": "modeling_own.Own"}     never run
    tokenizer_config.json   auto_map: {"AutoTokenizer": ["tokenization_own.Own", null]} never run
    chat_template.jinja     rendered in transformers' sandbox
    *.safetensors           numbers; *.bin: what torch reads with weights_only, numbers too

A directory whose type transformers knows by itself is read by transformers' own classes, whatever
its auto_map says.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.shorten import quoted

_CONFIGURATIONS = ("config.json", "tokenizer_config.json", "processor_config.json")


def pretrained(loader: Any, directory: str | Path, *, file: str = "", **settings: Any) -> Any:
    """`loader.from_pretrained`, an `Auto…` class's. Nothing is fetched, nothing asked on standard
    input, no code of the directory's runs.

    Raises `InvalidInput` with the loader's reason, told of `file` where it reads one alone, and,
    where the directory names code, with the file that does.
    """
    from safetensors import SafetensorError

    try:
        return loader.from_pretrained(
            directory, local_files_only=True, trust_remote_code=False, **settings
        )
    except (OSError, ValueError, ImportError, KeyError, TypeError, SafetensorError) as error:
        if isinstance(error, InvalidInput):
            raise
        own_code = _own_code(Path(directory))
        if own_code is not None:
            raise InvalidInput(f"{directory}: {own_code}") from error
        raise InvalidInput(f"{Path(directory) / file}: {error}") from error


def _own_code(directory: Path) -> str | None:
    """Which file names code of the directory's own; None where none does."""
    for name in _CONFIGURATIONS:
        try:
            record = json.loads((directory / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(record, dict) and record.get("auto_map"):
            return (
                f"{name} names Python code of its own (auto_map: "
                f"{quoted(str(record['auto_map']), 200)}), which transformers does not have and "
                "w2stree never runs. Use a model that transformers knows by itself (perhaps a "
                "newer transformers does), or convert it: save it, its code read and run by you, "
                "in a type that transformers has"
            )
    return None
