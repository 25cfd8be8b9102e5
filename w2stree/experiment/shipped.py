"""Which configurations come with the package; needs no extra, so that help can name them."""

from __future__ import annotations

from importlib import resources


def shipped_names(folder: str) -> list[str]:
    """Of the YAML files in a folder of `w2stree/experiment`."""
    files = (resources.files("w2stree.experiment") / folder).iterdir()
    return sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml"))
