"""Inspect's own readers, of a log that is written here.

W2STREE_INSPECT_PYTHON=DIR/bin/python pytest tests/formats/test_inspect_reads.py, DIR a virtual
environment with inspect-ai: `pip install inspect-ai`.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from support.looked_at import looked_at

from w2stree.formats.conversation import messages_of
from w2stree.formats.writing import write_trajectories

PYTHON = os.environ.get("W2STREE_INSPECT_PYTHON", "")
READ = """
import json, sys
from inspect_ai.log import read_eval_log, read_eval_log_samples
by_log = read_eval_log(sys.argv[1]).samples
by_samples = list(read_eval_log_samples(sys.argv[1], all_samples_required=False))
for read in (by_log, by_samples):
    print(json.dumps([
        [s.id, s.epoch, s.scores["reward"].as_float(), [m.text for m in s.messages],
         s.error is not None, s.limit is not None]
        for s in sorted(read, key=lambda s: (s.id, s.epoch))
    ]))
"""


@pytest.mark.skipif(
    not PYTHON, reason="W2STREE_INSPECT_PYTHON names no interpreter with inspect-ai"
)
def test_inspect_reads_what_was_written(tmp_path: Path) -> None:
    log = tmp_path / "log.eval"
    write_trajectories(log, looked_at(), format="inspect")
    expected: list[list[object]] = []
    for run in looked_at():
        epoch = 1 + sum(row[0] == run.task_id for row in expected)
        texts = [message.text for message in messages_of(run)]
        is_error, is_cut = run.status == "error", run.status == "truncated"
        expected.append([run.task_id, epoch, run.total_return, texts, is_error, is_cut])
    told = subprocess.run([PYTHON, "-c", READ, str(log)], check=True, capture_output=True)
    for read in told.stdout.splitlines():
        assert json.loads(read) == sorted(expected, key=lambda row: (str(row[0]), row[1]))
