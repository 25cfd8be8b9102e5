"""The stage that keeps which tasks are demonstrated, explored and tested."""

from __future__ import annotations

from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.run_json import write_json
from w2stree.experiment.stages.context import TASKS_FILE, Context, file_of

FILES = (TASKS_FILE,)


def tasks(context: Context, out: StageWriter) -> None:
    """Each part's tasks with their openings' hashes: later stages and a resumed run read them.

    The tasks of each part are in a file of their own too, so that another panel of test tasks
    redoes no stage that plays others.
    """
    write_json(out.folder / TASKS_FILE, context.parts_record())
    parts = context.parts()
    for played, task_ids in parts.played().items():
        write_json(out.folder / file_of(played), task_ids)
    num_shared = parts.num_shared()
    for name, part in parts.by_name().items():
        out.metrics[name] = {
            "num_tasks": len(part.openings),
            "num_repeated": part.num_repeated,
            "num_shared": num_shared[name],
        }
