"""Whether an environment lists the actions that a policy chooses from, asked before it plays."""

from __future__ import annotations

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.environments.options import Options
from w2stree.errors import EnvironmentFailure, InvalidInput


def unlisted(environment: Options, chooser: str) -> str:
    """What is said where an environment says of itself that it lists none."""
    return (
        f"{chooser} chooses among the actions that the environment lists, and {environment.title} "
        "lists none here: set environment.list_actions: true"
    )


def refuse_unlisted(environment: Options, pool: EnvironmentPool, task_id: str) -> None:
    """Raises `InvalidInput` if it lists none at a task's start, though it says that it does.

    Only the environment itself knows: a game of the user's own may list none. A task that cannot be
    reset tells nothing; when it is played, it is an error of its own.
    """
    try:
        _, info = pool[0].call("reset", task_id)
    except EnvironmentFailure:
        pool.replace(0)
        return
    if not info["admissible_actions"]:
        raise InvalidInput(
            f"environment: {environment.title} lists no actions at the start of {task_id}, which "
            "random play, noise and admissible decoding choose from: set environment.list_actions: "
            "false (turns are then decoded freely), or have the environment list them"
        )
