"""How a symptom reads: shares as percent, told apart from their threshold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("pydantic")

from w2stree.cli.app import main
from w2stree.experiment.diagnosis.symptom import Symptom


def symptom(measured: float, threshold: float, *, is_share: bool = True) -> Symptom:
    return Symptom(
        name="errors",
        stage="explore",
        measured=measured,
        threshold=threshold,
        is_share=is_share,
        is_above=measured > threshold,
        says="of the episodes ended in an error",
        command="",
    )


@pytest.mark.parametrize(
    ("measured", "threshold", "shown"),
    [
        (1.0, 0.25, "100.0% > 25.0%"),
        (0.0, 0.5, "0.0% < 50.0%"),
        (5 / 7, 0.5, "71.4% > 50.0%"),
        (0.00137, 0.01, "0.1% < 1.0%"),
        (0.0201, 0.02, "2.01% > 2.00%"),
        (1 / 20_000, 0.0, "0.01% > 0.00%"),
        (1999 / 2000, 0.25, "99.95% > 25.00%"),
        (-0.03, 0.02, "-3.0% < 2.0%"),
    ],
)
def test_a_share_reads_as_percent(measured: float, threshold: float, shown: str) -> None:
    found = symptom(measured, threshold)
    assert found.found == f"errors in explore: {shown}"
    assert found.told == f"{shown.split()[0]} of the episodes ended in an error"


def test_a_return_and_a_reward_do_not() -> None:
    assert symptom(-0.25, 0.0, is_share=False).found == "errors in explore: -0.25 < 0"


def test_runs_without_a_step_are_not_called_greedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.jsonl"
    empty = {"task_id": "a", "prompt": [{"role": "user", "content": "Go."}], "steps": []}
    rows = [{**empty, "total_return": i / 2, "status": "done"} for i in range(3)]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert main(["doctor", str(log)]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "no-diversity in explore: 0.0% < 50.0%" in told
    assert "no run has a step at all" in told
    assert "temperature" not in told
