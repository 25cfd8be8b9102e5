"""An invented shop in WebShop's file layout, and where the real small one is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

REAL = Path(
    os.environ.get("WEBSHOP_DATA")
    or Path(__file__).resolve().parents[2] / "../shared/data/webshop_small"
)
needs_real_shop = pytest.mark.skipif(
    not (REAL / "items_shuffle_1000.json").is_file(),
    reason="no WebShop data: set $WEBSHOP_DATA to the directory of its small files",
)


def record(asin: str, name: str, **fields: Any) -> dict[str, Any]:
    """One product as WebShop's files have it."""
    return {
        "asin": asin,
        "name": name,
        "full_description": "",
        "small_description": [""],
        "pricing": "$10.00",
        "category": "garden",
        "query": "lamps",
        "product_category": "Home \u203a Light \u203a Lamps",
        "customization_options": "",
        "images": ["none.jpg"],
    } | fields


TABLE = record(
    "B000000001",
    "Oakhill Reading Table",
    full_description="A sturdy table.\n",
    small_description=["Made of solid oak. ", "Easy to assemble."],
    pricing="$1,120.00",
    query=" Reading Tables",
    product_category="Home \u203a Furniture \u203a Tables",
    customization_options={
        "Color": [{"value": "Dark Oak"}, {"value": "Snow White/Cream"}],
        "Size": [{"value": "Small"}, {"value": "Large"}],
        "Style": None,
    },
)
LAMP = record("B000000002", "Moonbeam Desk Lamp", pricing="$20.00 - $40.00")
SHADE = record("B000000003", "Moonbeam Lamp Shade", small_description="Fits a lamp.", pricing="")
RECORDS = [TABLE, LAMP, SHADE, TABLE | {"name": "again"}, record("nan", "Nothing")]

ATTRIBUTES = {
    "B000000001": {
        "attributes": ["solid wood", "easy assemble"],
        "instruction": "find me tables with solid wood",
        "instruction_attributes": ["solid wood", "easy assemble"],
    },
    "B000000002": {
        "attributes": ["energy efficient"],
        "instruction": "find me lamps that are energy efficient",
        "instruction_attributes": ["energy efficient"],
    },
    "B000000003": {"attributes": ["energy efficient"]},
}
HUMAN = {
    "B000000001": [
        {
            "instruction": "i want a small oak table.",
            "instruction_attributes": ["solid wood"],
            "instruction_options": ["small"],
        },
        {"instruction": "anything", "instruction_attributes": [], "instruction_options": []},
    ]
}


def write_shop(folder: Path, records: list[dict[str, Any]], size: str = "_1000") -> Path:
    """The three files of a shop with these products."""
    for name, content in (
        ("items_shuffle", records),
        ("items_ins_v2", ATTRIBUTES),
        ("items_human_ins", HUMAN),
    ):
        (folder / f"{name}{size}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder
