import w2stree as w2s


def run(actions: str, total_return: float) -> w2s.Trajectory:  # or w2s.read_trajectories("runs/")
    steps = tuple(w2s.Step(action, f"You {action}.") for action in actions.split(", "))
    prompt = (w2s.Message("user", "Fry the egg, then eat it."),)
    return w2s.Trajectory("task-3", prompt, steps, total_return, "done")


forest = w2s.build_forest(
    [
        run("take egg, fry egg, eat egg", 1.0),
        run("take egg, fry egg, drop egg", 0.5),
        run("take egg, boil egg", 0.25),
        run("open window", 0.0),
    ]
)
print(forest["task-3"])
for pair in forest.pairs(min_gap=0.5):
    chosen, rejected = (t.steps[pair.depth].action for t in (pair.chosen, pair.rejected))
    print(f"after {pair.depth} steps: {chosen!r} over {rejected!r}, gap {pair.gap}")
(best,) = forest.search(num_simulations=1000).best_trajectories()
print("best path:", " > ".join(step.action for step in best.steps))
