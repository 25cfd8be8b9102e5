// A node, whole: what was done, what was answered, what the runs said, and where they went on.

import { css } from "./colours";
import { button, element } from "./elements";
import type { Forest } from "./forest";
import type { Look } from "./painting";
import { counted, number, percent, whole } from "./measures";
import type { Runs } from "./runs";
import { line, show } from "./visible";

const MOST = 12; // of a list, at first
const STEP = 200; // more of it

export interface DetailEvents {
  pick: (node: number) => void;
  compare: (one: number, other: number) => void;
  read: (run: number) => void;
}

export class Detail {
  constructor(
    private readonly forest: Forest,
    private readonly runs: Runs,
    private readonly outer: HTMLElement,
    private readonly events: DetailEvents,
  ) {}

  empty(): void {
    const { forest } = this;
    const header = forest.columns.header;
    const facts: [string, string][] = [
      ["Tasks", whole(forest.numTrees)],
      ["Runs", whole(forest.numRuns)],
      ["Nodes", whole(forest.numNodes)],
      ["Pairs", whole(forest.numTrees ? sumOfPairs(forest) : 0)],
    ];
    if (header.num_errors) facts.push(["Left out", `${counted(header.num_errors, "error row")}`]);
    this.outer.replaceChildren(
      heading("All runs", line(header.title)),
      this.facts(facts),
      element(
        "p",
        "soft",
        "Choose a task on the left, or a cell of the map: each is a place that runs came to, as " +
          "wide as the runs that came there, one row a step. Press ? for the keys.",
      ),
    );
  }

  show(node: number, look: Look, query: string): void {
    const { forest } = this;
    const tree = forest.treeOf(node);
    const depth = forest.depth[node];
    const parts: (Node | null)[] = [
      heading(depth ? `Step ${depth}` : "Task", line(forest.task(tree), 2000)),
      this.ways(node),
      this.facts(this.numbers(node)),
    ];
    if (depth) {
      parts.push(section("Action", text(forest.texts.text(forest.action[node]), query, true)));
      parts.push(this.said(node, query));
      parts.push(
        section("Answer", text(forest.texts.text(forest.observation[node]), query, false)),
      );
    } else parts.push(this.prompt(node, query), this.paths(tree, query));
    parts.push(this.onward(node, look), this.made(node, query), this.pairs(node), this.through(node, look));
    this.outer.replaceChildren(...parts.filter((part) => part !== null));
    this.outer.scrollTop = 0;
  }

  private numbers(node: number): [string, string][] {
    const { forest } = this;
    const count = forest.count[node];
    const facts: [string, string][] = [["Runs", whole(count)]];
    if (count) facts.push(["Mean return", forest.mean(node).toFixed(3)]);
    if (forest.successAt !== null && count) {
      const wins = forest.numWins(node);
      facts.push(["Success", `${percent(wins / count)}`]);
    }
    if (forest.numTerminal[node]) facts.push(["End here", whole(forest.numTerminal[node])]);
    facts.push(["Search visits", whole(forest.visits[node])]);
    if (forest.isDecision(node)) facts.push(["Support", whole(forest.support(node))]);
    return facts;
  }

  private facts(facts: [string, string][]): HTMLElement {
    const list = element("dl", "facts");
    for (const [name, value] of facts) {
      list.append(element("div", "", element("dt", "", name), element("dd", "", value)));
    }
    return list;
  }

  /** To the node above, and to those beside. */
  private ways(node: number): HTMLElement {
    const { forest } = this;
    const parent = forest.parent[node];
    const bar = element("div", "ways");
    const way = (label: string, told: string, to: number): void => {
      const made = button("quiet", label, () => this.events.pick(to));
      made.title = told;
      made.disabled = to < 0;
      bar.append(made);
    };
    const siblings = parent < 0 ? [node] : forest.children(parent);
    const at = siblings.indexOf(node);
    way("↑ Back", "The step before", parent);
    way("← Left", "The branch before", at > 0 ? siblings[at - 1] : -1);
    way("→ Right", "The next branch", at + 1 < siblings.length ? siblings[at + 1] : -1);
    way("↓ On", "The next step", forest.numChildren[node] ? node + 1 : -1);
    return bar;
  }

  private prompt(node: number, query: string): Node | null {
    const { forest, runs } = this;
    if (!runs.areGiven || !forest.count[node]) return null;
    const messages = runs.promptOf(forest.first[node]);
    const parts = messages.map(({ role, content }) =>
      element("div", "message", element("h4", "", role), text(content, query, false)),
    );
    return parts.length ? section("What is asked", ...parts) : null;
  }

  private said(node: number, query: string): Node | null {
    const said = this.runs.saidAt(node);
    if (!said.length) return null;
    const total = this.forest.count[node];
    const entries = said.map(({ text: number, runs }) => (): HTMLElement => {
      const head = element("h4", "", counted(runs.length, "run"));
      const whole = text(this.forest.texts.text(number), query, false);
      return total > 1 ? element("div", "message", head, whole) : whole;
    });
    return section(said.length > 1 ? `Said, in ${said.length} ways` : "Said", listed(entries, 3));
  }

  /** A table of what was done next. */
  private onward(node: number, look: Look): Node | null {
    const { forest } = this;
    if (!forest.numChildren[node]) return null;
    const sides = forest.sides(node);
    const isContrast = sides.length > 1;
    const entries = sides.flatMap((side) =>
      side.nodes.map((child, i) => (): HTMLElement => {
        const row = element("button", "onward");
        row.type = "button";
        const swatch = element("span", "swatch");
        swatch.style.background = css(look.palette.colours[look.levels[child]]);
        const answer = line(forest.texts.text(forest.observation[child]), 160);
        const words = element(
          "span",
          "words",
          element("span", "action", line(forest.texts.text(side.action)) || "(no action)"),
        );
        if (side.nodes.length > 1) {
          words.append(element("span", "soft", ` answer ${i + 1}: ${answer}`));
        }
        row.append(
          swatch,
          words,
          element("span", "number", counted(forest.count[child], "run")),
          ...(look.measure.name === "runs"
            ? []
            : [element("span", "number value", look.measure.shown(child))]),
        );
        row.addEventListener("click", () => this.events.pick(child));
        return row;
      }),
    );
    const luck = forest.isEnvironment(node) ? "; one action was answered in several ways" : "";
    const title = isContrast ? `Here runs part: ${sides.length} actions${luck}` : `Next${luck}`;
    return section(title, listed(entries, MOST));
  }

  private pairs(node: number): Node | null {
    const { forest } = this;
    const count = forest.pairsAt[node];
    if (!count) return null;
    const pairs = forest.widestPairs(node);
    const entries = pairs.map(({ chosen, rejected, gap }) => (): HTMLElement => {
      const row = button("pair", "", () => this.events.compare(chosen, rejected));
      row.append(
        this.ending(chosen),
        element("span", "over", "over"),
        this.ending(rejected),
        element("span", "number value", `+${number(gap)}`),
      );
      return row;
    });
    const of = count > pairs.length ? "; the widest of each two actions" : "";
    return section(`${counted(count, "pair")} made here${of}`, listed(entries, MOST));
  }

  /** Preference rows that were written. */
  private made(node: number, query: string): Node | null {
    const { columns, texts, rowsAt } = this.forest;
    if (!rowsAt[node]) return null;
    const shown = (name: string, row: number): HTMLElement =>
      text(texts.text(columns.get(name)[row]), query, false);
    const entries: (() => HTMLElement)[] = [];
    columns.get("row_node").forEach((at: number, row: number) => {
      if (at !== node) return;
      entries.push(() => {
        const place = line(texts.text(columns.get("row_place")[row]));
        const gap = number(columns.get("row_gap")[row]);
        const label = (kind: string): HTMLElement => element("h4", "", mark(kind, kind));
        return element(
          "div",
          "message",
          element("h4", "", `${place}, gap ${gap}`),
          label("chosen"),
          shown("row_chosen", row),
          label("rejected"),
          shown("row_rejected", row),
        );
      });
    });
    return section(`${counted(rowsAt[node], "row")} made here`, listed(entries, 3));
  }

  private ending(run: number): HTMLElement {
    return element(
      "span",
      "ending",
      element("b", "", number(this.forest.returns[run])),
      element("span", "soft", ` ${line(this.runs.placeOf(run))}`),
    );
  }

  private through(node: number, look: Look): Node | null {
    const { forest, runs } = this;
    const order = forest.bestFirst(node);
    if (!order.length) return null;
    const entries = order.map((run) => (): HTMLElement => {
      const row = element("div", "run");
      const swatch = element("span", "swatch");
      swatch.style.background = css(look.palette.colours[look.levels[forest.endNode[run]]]);
      const read = button("place", line(runs.placeOf(run)), () => this.events.read(run));
      read.title = ["Read it whole", line(runs.originOf(run))].filter(Boolean).join("; ");
      const steps = forest.depth[forest.endNode[run]];
      row.append(
        swatch,
        read,
        element("span", "soft", runs.statusOf(run)),
        element("span", "number", counted(steps, "step")),
        element("span", "number value", number(forest.returns[run])),
      );
      const other = run === order[0] ? order[order.length - 1] : order[0];
      if (other !== run) {
        const told = run === order[0] ? "Beside the worst one" : "Beside the best one";
        const beside = button("quiet", "⇄", () => this.events.compare(order[0], run === order[0] ? other : run));
        beside.title = told;
        beside.setAttribute("aria-label", told);
        row.append(beside);
      }
      return row;
    });
    const title = forest.depth[node] ? "Runs through here" : "Runs";
    return section(`${title}, the best first`, listed(entries, MOST));
  }

  /** What search found, and what was made of runs. */
  private paths(tree: number, query: string): Node | null {
    const { forest } = this;
    const { columns } = forest;
    const root = forest.root[tree];
    const end = forest.subtreeEnd[root];
    const rows: HTMLElement[] = [];
    const best = columns.get("best_node");
    for (let i = 0; i < best.length; i++) {
      if (best[i] < root || best[i] >= end) continue;
      const row = button("onward", "", () => this.events.pick(best[i]));
      row.append(
        mark("best", "searched"),
        element("span", "words", `ends at step ${forest.depth[best[i]]}`),
        element("span", "number", `${whole(columns.get("best_visits")[i])} visits`),
        element("span", "number value", number(columns.get("best_value")[i])),
      );
      rows.push(row);
    }
    const at = columns.get("path_node");
    for (let i = 0; i < at.length; i++) {
      if (at[i] >= root && at[i] < end) rows.push(this.recombined(i, query));
    }
    return rows.length ? section("Best paths", ...rows) : null;
  }

  private recombined(path: number, query: string): HTMLElement {
    const { columns, texts, depth } = this.forest;
    const start = columns.get("path_start");
    const node = columns.get("path_node")[path];
    const steps = start[path + 1] - start[path];
    const made = element("details", "recombined");
    const own = steps - depth[node];
    const told = own ? `leaves the tree after step ${depth[node]}` : "is a path of the tree";
    made.append(
      element(
        "summary",
        "",
        mark("recombined", "recombined"),
        element("span", "words", `${counted(steps, "step")}, ${told}`),
        element("span", "number value", number(columns.get("path_return")[path])),
      ),
    );
    made.addEventListener("toggle", () => {
      if (!made.open || made.childElementCount > 1) return;
      made.append(button("quiet", `Show step ${depth[node]} in the tree`, () => this.events.pick(node)));
      for (let i = start[path]; i < start[path + 1]; i++) {
        made.append(
          element("h4", "", `Step ${i - start[path] + 1}`),
          text(texts.text(columns.get("path_action")[i]), query, true),
          text(texts.text(columns.get("path_observation")[i]), query, false),
        );
      }
    });
    return made;
  }
}

function sumOfPairs(forest: Forest): number {
  let sum = 0;
  for (const root of forest.root) sum += forest.pairsWithin(root);
  return sum;
}

function mark(kind: string, label: string): HTMLElement {
  return element("span", `mark ${kind}`, label);
}

function heading(kicker: string, title: string): HTMLElement {
  return element("header", "", element("p", "kicker", kicker), element("h2", "", title));
}

export function section(title: string, ...parts: Node[]): HTMLElement {
  return element("section", "", element("h3", "", title), ...parts);
}

/** Whole, with what nobody would see shown. */
export function text(whole: string, query: string, isAction: boolean): HTMLElement {
  const made = element("pre", isAction ? "text action" : "text");
  if (whole) show(made, whole, query);
  else made.append(element("span", "soft", "(nothing)"));
  return made;
}

/** The first of them, and more when they are asked for. */
function listed(entries: (() => HTMLElement)[], most: number): HTMLElement {
  const list = element("div", "list");
  const add = (from: number, to: number): void => {
    for (const entry of entries.slice(from, to)) list.append(entry());
    if (to >= entries.length) return;
    const more = button("quiet more", `${whole(entries.length - to)} more`, () => {
      more.remove();
      add(to, to + STEP);
    });
    list.append(more);
  };
  add(0, most);
  return list;
}
