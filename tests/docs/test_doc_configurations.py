"""What pages show of configurations has keys that there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

pytest.importorskip("yaml")

from support.doc_pages import Block, all_pages, blocks_of

from w2stree.experiment.config.experiment import config_of
from w2stree.experiment.config.exploration import ExplorationConfig
from w2stree.experiment.config.yaml_text import parse_yaml
from w2stree.experiment.grid.plan import Grid
from w2stree.experiment.methods import METHODS

SCHEMAS = [kind.model_json_schema() for kind in (config_of(METHODS), ExplorationConfig, Grid)]
SHOWN = [b for page in all_pages() for b in blocks_of(page) if b.language == "yaml"]


@pytest.mark.parametrize("block", SHOWN, ids=lambda block: block.place)
def test_every_key_of_a_shown_configuration_is_one_that_there_is(block: Block) -> None:
    shown = parse_yaml(block.text.encode(), block.place)
    assert isinstance(shown, dict)
    unknown = [
        list(unknown_keys(shown, part, schema.get("$defs", {})))
        for schema in SCHEMAS
        for part in (schema, *schema.get("$defs", {}).values())  # a section may stand alone
    ]
    assert [] in unknown, min(unknown, key=len)


def unknown_keys(value: Any, schema: Mapping[str, Any], known: Any, at: str = "") -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from unknown_keys(one, {"anyOf": list(_of_items(schema, known))}, known, at)
    elif isinstance(value, dict):
        for key, inner in value.items():
            found = [s for one in _alternatives(schema, known) for s in _at(one, str(key))]
            if not found:
                yield f"{at}{key}"
            else:
                yield from unknown_keys(inner, {"anyOf": found}, known, f"{at}{key}.")


def _alternatives(schema: Mapping[str, Any], known: Any) -> Iterator[Mapping[str, Any]]:
    if "$ref" in schema:
        schema = known[schema["$ref"].rpartition("/")[2]]
    yield schema
    for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _alternatives(one, known)


def _of_items(schema: Mapping[str, Any], known: Any) -> Iterator[Mapping[str, Any]]:
    yield from (one["items"] for one in _alternatives(schema, known) if "items" in one)


def _at(schema: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    if key in schema.get("properties", {}):
        yield schema["properties"][key]
    elif schema.get("additionalProperties"):
        others = schema["additionalProperties"]
        yield others if isinstance(others, dict) else {"additionalProperties": True}


def test_an_unknown_key_is_found() -> None:
    schema = SCHEMAS[0]
    shown = {"tree_dpo": {"optimisation": {"lora": {"rank": 8}}}, "weak": {"paht": "x"}}
    found = list(unknown_keys(shown, schema, schema["$defs"]))
    assert found == ["tree_dpo.optimisation.lora.rank", "weak.paht"]
