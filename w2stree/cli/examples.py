"""What is typed most, for each command's help and for docs/cli.md."""

from __future__ import annotations

import typer

Example = tuple[str, str]
"""A command line, and what it does."""

EXAMPLES: dict[str, tuple[Example, ...]] = {
    "run": (
        ("w2stree run quickstart", "the whole method at toy size, to a report"),
        ("w2stree run mine.yaml seed=1 --run-dir runs/seed1", "a configuration of your own"),
    ),
    "experiment": (
        ("w2stree experiment mine.yaml --budget 8", "go on with it for eight hours"),
        ("w2stree experiment mine.yaml --report-only", "the table of what is there"),
    ),
    "report": (
        ("w2stree report runs/quickstart", "its report, made anew"),
        ("w2stree report runs/a --out here", "of what has finished, the run only read"),
        ("w2stree report runs/seed0 runs/seed1 runs/seed2", "one table over three seeds"),
    ),
    "explore": (
        ("w2stree explore textworld_random", "random play, into a journal"),
        ("w2stree explore mine.yaml --run-dir runs/mine", "a configuration of your own"),
    ),
    "store add": (
        ("w2stree store add all logs/ --recursive", "keep a folder's runs, once"),
        ("w2stree store add all sessions.jsonl --unread", "the bytes alone, at once"),
    ),
    "store ls": (
        ("w2stree store ls all --task cook/ --min-return 1", "successes of some tasks"),
        ("w2stree store ls all --sources", "the files"),
    ),
    "store export": (
        ("w2stree store export all -o out", "every file as it was added"),
        ("w2stree store export all --run logs/a.jsonl:17 -o -", "one run's line"),
        ("w2stree store export all --as-runs -o all.jsonl", "all runs, as lines of ours"),
    ),
    "store rm": (("w2stree store rm all logs/a.jsonl", "a source by its name"),),
    "store gc": (("w2stree store gc all", "free what was removed"),),
    "store check": (("w2stree store check all", "is every file still what was added?"),),
    "tasks": (
        ("w2stree tasks runs/ --sort pairs --limit 20", "where there is most to learn"),
        ("w2stree tasks runs/ --success none", "the tasks that nobody solved"),
        ("w2stree tasks a.jsonl b.jsonl --json", "all of two files, for a program"),
    ),
    "tree": (
        ("w2stree tree runs/", "all runs as a forest, in numbers"),
        ("w2stree tree runs/ --task cook/3 --depth 6", "one task's tree, near its root"),
        ("w2stree tree runs/ --normalize sort_words", "lists in another order are one answer"),
    ),
    "view": (
        ("w2stree view runs/ -o runs.html", "everything, to look at in a browser"),
        ("w2stree view runs/quickstart --open", "what a run explored, and what was made of it"),
        ("w2stree view runs/ --terminal", "the same here, by keys"),
        ("w2stree view logs/ --task cook/3 --min-gap 0.5", "one task; pairs that matter"),
    ),
    "show": (
        ("w2stree show runs.jsonl:17", "the run on line 17"),
        ("w2stree show runs/ --task cook/3", "a task's runs, to choose from"),
        ("w2stree show runs/ --task cook/3 --run best", "its best run, whole"),
    ),
    "diff": (
        ("w2stree diff runs.jsonl:3 runs.jsonl:9", "two runs, from where they part"),
        ("w2stree diff train.jsonl test.jsonl", "which tasks and runs are in both"),
    ),
    "stats": (
        ("w2stree stats runs/", "endings, returns, lengths, samplings, errors"),
        ("zcat runs.jsonl.gz | w2stree stats -", "of JSON lines on standard input"),
    ),
    "convert": (
        (
            "w2stree convert logs/ -o runs.jsonl --reward-field info.score",
            "other tools' logs as runs",
        ),
        ("w2stree convert runs.jsonl --to messages -o runs.parquet", "runs for other tools"),
    ),
    "export speedscope": (
        ("w2stree export speedscope runs/ -o runs.speedscope.json", "which actions runs went by"),
    ),
    "export timeline": (
        ("w2stree export timeline runs/mine -o trace.json", "for ui.perfetto.dev"),
        ("w2stree export timeline runs/quickstart -o trace.json", "of a run's exploration"),
    ),
    "bisect": (
        ("w2stree bisect runs.jsonl:17", "the step at which this run was lost, by its siblings"),
        ("w2stree bisect runs/mine --task cook/3", "where most failures of a task begin, played"),
        ("w2stree bisect runs/ --task cook/3 --run worst --no-play", "by the runs alone"),
    ),
    "doctor": (
        ("w2stree doctor runs/quickstart", "what went wrong, by its numbers, and what next"),
        ("w2stree doctor runs/quickstart/explore --json", "of what was explored alone"),
    ),
    "verify": (
        ("w2stree verify runs/quickstart", "replay all that was recorded"),
        ("w2stree verify runs/quickstart --sample 20", "replay some of it"),
    ),
    "envs": (("w2stree envs", "which environments are installed"),),
    "envs check": (("w2stree envs check textworld_express", "does it work here?"),),
    "train sft": (
        (
            "w2stree train sft runs/ --model m --output out --min-return 1",
            "imitate each task's best run, where it is a success",
        ),
    ),
    "train dpo": (
        (
            "w2stree train dpo runs/ --model m --output out --min-gap 0.5",
            "learn from pairs of runs",
        ),
        (
            "w2stree train dpo logs/ --reward-field won --model m --output out",
            "of another tool's logs, as they are",
        ),
    ),
}
"""By the command's words."""


def add_examples(app: typer.Typer, words: tuple[str, ...] = ()) -> None:
    """Put each command's examples at the end of its help."""
    for command in app.registered_commands:
        name = command.name or str(getattr(command.callback, "__name__", ""))
        command.epilog = _epilog(" ".join((*words, name)))
    for group in app.registered_groups:
        if group.typer_instance is not None:
            name = str(group.name)
            group.epilog = _epilog(name)
            add_examples(group.typer_instance, (*words, name))


def _epilog(command: str) -> str | None:
    examples = EXAMPLES.get(command, ())
    if not examples:
        return None
    lines = (f"  {line}\n      {what}" for line, what in examples)
    return "\b\nExamples:\n" + "\n".join(lines)  # \b: click leaves the lines as they are
