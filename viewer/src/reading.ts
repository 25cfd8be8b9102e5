// A run from its first step to its last, or two side by side from where they part.

import { button, element } from "./elements";
import type { Forest } from "./forest";
import { counted, number } from "./measures";
import type { Runs, Turn } from "./runs";
import { text } from "./detail";
import { line } from "./visible";

export class Reading {
  constructor(
    private readonly forest: Forest,
    private readonly runs: Runs,
    private readonly outer: HTMLElement,
    private readonly events: { pick: (node: number) => void; close: () => void },
  ) {}

  one(run: number, query: string): void {
    const { forest, runs } = this;
    const tree = forest.treeOf(forest.endNode[run]);
    const list = element("div", "turns");
    for (const { role, content } of runs.promptOf(run)) {
      list.append(element("article", "turn", element("h4", "", role), text(content, query, false)));
    }
    runs.turns(run).forEach((turn, i) => list.append(this.turn(turn, i + 1, query)));
    this.outer.className = "reading";
    this.outer.replaceChildren(
      this.bar("One run", line(forest.task(tree), 300)),
      element("div", "scroll", this.head(run, ""), list),
    );
    this.outer.hidden = false;
  }

  two(one: number, other: number, query: string): void {
    const { forest, runs } = this;
    const parting = forest.parting(one, other);
    const shared = forest.depth[parting];
    const tree = forest.treeOf(parting);
    const turns = [runs.turns(one), runs.turns(other)];
    const gap = forest.returns[one] - forest.returns[other];
    const labels = gap > 1e-9 ? ["chosen", "rejected"] : gap < -1e-9 ? ["rejected", "chosen"] : ["", ""];
    const grid = element("div", "two");
    grid.append(this.head(one, labels[0]), this.head(other, labels[1]));

    const before = element("details", "shared");
    const told =
      shared === 0
        ? "They part at the first step"
        : `${counted(shared, "step")} in common; then they part`;
    before.append(element("summary", "", told));
    before.addEventListener("toggle", () => {
      if (!before.open || before.childElementCount > 1) return;
      turns[0].slice(0, shared).forEach((turn, i) => before.append(this.turn(turn, i + 1, query)));
    });
    grid.append(before);
    if (shared > 0) {
      const last = turns[0][shared - 1];
      const where = element("div", "where");
      where.append(element("h4", "", "Where they stood"), text(last.observation, query, false));
      grid.append(where);
    }
    const steps = Math.max(turns[0].length, turns[1].length);
    for (let i = shared; i < steps; i++) {
      for (const side of turns) {
        grid.append(
          i < side.length
            ? this.turn(side[i], i + 1, query)
            : element("div", "turn over", i === side.length ? "It has ended." : ""),
        );
      }
    }
    this.outer.className = "reading";
    this.outer.replaceChildren(
      this.bar("Two runs, from where they part", line(forest.task(tree), 300), parting),
      element("div", "scroll", grid),
    );
    this.outer.hidden = false;
  }

  close(): void {
    this.outer.hidden = true;
    this.outer.replaceChildren();
  }

  private bar(title: string, of: string, node = -1): HTMLElement {
    const bar = element("header", "reading-bar");
    const close = button("quiet close", "✕ Close", this.events.close);
    bar.append(element("div", "titles", element("b", "", title), element("span", "soft", of)));
    if (node >= 0) {
      bar.append(button("quiet", "Show in the tree", () => this.events.pick(node)));
    }
    bar.append(close);
    return bar;
  }

  private head(run: number, label: string): HTMLElement {
    const { forest, runs } = this;
    const steps = forest.depth[forest.endNode[run]];
    const status = runs.statusOf(run);
    const head = element("div", `run-head ${label}`);
    head.append(
      element("b", "", `Return ${number(forest.returns[run])}`),
      ...(label ? [element("span", `mark ${label}`, label)] : []),
      element("span", "soft", `${status ? `${status} after ` : ""}${counted(steps, "step")}`),
      element("span", "soft place", line(runs.placeOf(run))),
    );
    if (runs.originOf(run)) head.append(element("span", "soft origin", line(runs.originOf(run))));
    return head;
  }

  private turn(turn: Turn, step: number, query: string): HTMLElement {
    const made = element("article", "turn");
    const title = button("quiet step", `Step ${step}`, () => this.events.pick(turn.node));
    title.title = "Show it in the tree";
    const head = element("h4", "", title);
    if (!Number.isNaN(turn.reward)) head.append(element("span", "number", number(turn.reward)));
    made.append(head);
    // Mostly the last line of what was said is the action.
    const isSaid = turn.response.trimEnd().endsWith(turn.action) && turn.action !== "";
    if (turn.response) made.append(text(turn.response, query, true));
    if (!isSaid) made.append(text(turn.action, query, true));
    made.append(text(turn.observation, query, false));
    return made;
  }
}
