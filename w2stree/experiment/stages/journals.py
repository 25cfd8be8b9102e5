"""Journals of stages that play for long: they lie in the run until the stage is complete.

RUN/.explore-0123456789abcdef.journal          of the stage and its key: other settings, another
RUN/..explore-0123456789abcdef.journal.owner   left by those who were killed
RUN/.explore-0123456789ab.journal              of versions before: its name tells the model alone
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from w2stree.experiment.hashes import hash_files
from w2stree.experiment.methods import sft
from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.stages.context import Context

_OLDER_STAGE, _OLDER_DIGITS = "explore", 12


def journal_of(context: Context, out: StageWriter, stage: str) -> Path:
    """The journal of this very result. Those of others, of another model or other settings, stay
    until the stage is complete (`outlived`)."""
    path = context.run_dir / f".{stage}-{out.key[:16]}.journal"
    if stage != _OLDER_STAGE:
        return path
    if (older := older_journals(context.run_dir)) and not path.exists():
        model = hash_files(context.model_dir(sft.WEAK.name))
        fingerprint = hashlib.sha256(json.dumps(model).encode("utf-8")).hexdigest()
        for journal in older:
            if journal.stem.endswith(fingerprint[:_OLDER_DIGITS]):
                journal.rename(path)
                break
    return path


def outlived(run_dir: Path, stage: str) -> list[Path]:
    """All that a stage has left of its journals, under whatever settings."""
    journals = _journals(stage)
    return [path for left in (journals, f".{journals}.owner") for path in run_dir.glob(left)]


def recorded_journals(run_dir: Path, stage: str) -> list[Path]:
    """Journals of a stage that was interrupted once an episode had ended."""
    return [path for path in run_dir.glob(_journals(stage)) if path.stat().st_size > 0]


def older_journals(run_dir: Path) -> list[Path]:
    """Those of versions before: their names tell their models, and nothing of settings."""
    return list(run_dir.glob(f".{_OLDER_STAGE}-{'[0-9a-f]' * _OLDER_DIGITS}.journal"))


def _journals(stage: str) -> str:
    return f".{stage}-*.journal"
