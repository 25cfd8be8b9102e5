"""`w2stree doctor`: why a run came out as it did, and what to type next."""

from __future__ import annotations

import json
import shlex
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from w2stree.cli.extra import needs
from w2stree.cli.given_paths import refuse_a_store
from w2stree.cli.inputs import AsJson
from w2stree.cli.say import counted, say, terminal_width

_LEAST_WIDTH = 60
_MOST_WIDTH = 100


def doctor(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", help="a run directory, an exploration's, or a file or folder of runs"
        ),
    ],
    as_json: AsJson = False,
) -> int:
    """Look for the method's failure signatures in a run, each with a number and what to type next.

    What a training, its data and its test episodes left is measured against thresholds whose source
    is told (docs/doctor.md). Nothing is trained or played. Of runs alone the signatures of
    exploring are asked. The exit status is 1 where any is found.
    """
    with needs("explore"):
        from w2stree.experiment.diagnosis.diagnose import diagnose
    refuse_a_store(run, f"w2stree convert {shlex.quote(str(run))} -o runs.jsonl, then give that")
    found = diagnose(run)
    if as_json:
        symptoms = [asdict(symptom) for symptom in found.symptoms]
        record = {"symptoms": symptoms, "healthy": found.healthy, "not_asked": found.not_asked}
        say(json.dumps(record, indent=2))
        return 1 if found.symptoms else 0
    width = min(_MOST_WIDTH, max(_LEAST_WIDTH, terminal_width() or _MOST_WIDTH))
    for symptom in found.symptoms:
        say(symptom.found)
        _indented(symptom.told, width)
        _indented(f"threshold: {symptom.source}", width)
        say(f"  next: {symptom.command}\n")
    say(f"{counted(len(found.symptoms), 'symptom')} found")
    _indented(f"looked for and not found: {', '.join(found.healthy) or 'none'}", width)
    if found.not_asked:
        _indented(f"nothing to measure it on: {', '.join(found.not_asked)}", width)
    return 1 if found.symptoms else 0


def _indented(text: str, width: int) -> None:
    say(
        textwrap.fill(
            text,
            width,
            initial_indent="  ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    )
