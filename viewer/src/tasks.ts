// The table of tasks: filtered, sorted, and while something is looked for, with its hits.

import { button, byId, element } from "./elements";
import type { Forest } from "./forest";
import { brief, counted, number, percent, whole } from "./measures";
import { Rows } from "./rows";
import type { Hits } from "./search";
import { between, line } from "./visible";

const ROW = 34;
const BACK = 9; // characters at the end of a name that are always seen, of short ones half of it

type Key = "task" | "runs" | "success" | "spread" | "pairs" | "hits";
type Outcome = "all" | "none" | "some" | "every";

const OUTCOMES: [Outcome, string, string][] = [
  ["all", "All", "All tasks"],
  ["none", "Never", "No run succeeded"],
  ["some", "Some", "Some runs succeeded, others did not"],
  ["every", "Always", "Every run succeeded"],
];

export class Tasks {
  private readonly rows: Rows;
  private readonly spread: Float64Array;
  private readonly ids: string[] = [];
  private order: number[] = [];
  private key: Key = "task";
  private isDown = false;
  private filter = "";
  private outcome: Outcome = "all";
  private selected = -1;
  private hits: Hits | null = null;

  constructor(
    private readonly forest: Forest,
    outer: HTMLElement,
    private readonly pick: (tree: number) => void,
  ) {
    this.spread = new Float64Array(forest.numTrees);
    for (let tree = 0; tree < forest.numTrees; tree++) {
      const [least, greatest] = this.range(tree);
      this.spread[tree] = forest.count[forest.root[tree]] ? greatest - least : 0;
      this.ids.push(forest.task(tree));
    }
    outer.tabIndex = 0;
    outer.setAttribute("role", "listbox");
    outer.setAttribute("aria-label", "Tasks");
    this.rows = new Rows(outer, ROW, (index) => this.row(this.order[index]));
    this.head();
    byId<HTMLInputElement>("filter").addEventListener("input", (event) => {
      this.filter = (event.target as HTMLInputElement).value.toLowerCase();
      this.refresh();
    });
    outer.addEventListener("keydown", (event) => this.press(event));
    this.refresh();
  }

  select(tree: number): void {
    this.selected = tree;
    this.rows.reset(this.order.length);
    const row = this.order.indexOf(tree);
    if (row >= 0) this.rows.scrollTo(row);
  }

  setHits(hits: Hits | null): void {
    this.hits = hits;
    if (hits !== null) {
      this.key = "hits";
      this.isDown = true;
    } else if (this.key === "hits") {
      this.key = "task";
      this.isDown = false;
    }
    this.head();
    this.refresh();
  }

  private range(tree: number): [number, number] {
    const [begin, end] = this.forest.runs(this.forest.root[tree]);
    let least = Infinity;
    let greatest = -Infinity;
    for (let run = begin; run < end; run++) {
      least = Math.min(least, this.forest.returns[run]);
      greatest = Math.max(greatest, this.forest.returns[run]);
    }
    return [least, greatest];
  }

  private share(tree: number): number {
    const root = this.forest.root[tree];
    return this.forest.count[root] ? this.forest.numWins(root) / this.forest.count[root] : -1;
  }

  private value(tree: number, key: Key): number {
    const { forest } = this;
    const root = forest.root[tree];
    if (key === "runs") return forest.count[root];
    if (key === "spread") return this.spread[tree];
    if (key === "pairs") return forest.pairsWithin(root);
    if (key === "hits") return this.hits?.within(root) ?? 0;
    if (key === "success") {
      if (forest.successAt !== null) return this.share(tree);
      return forest.count[root] ? forest.mean(root) : -Infinity;
    }
    return tree;
  }

  private refresh(): void {
    const { forest, hits } = this;
    const trees = Array.from({ length: forest.numTrees }, (_, tree) => tree);
    const isNamed = (tree: number): boolean => this.ids[tree].toLowerCase().includes(this.filter);
    this.order = trees.filter(
      (tree) =>
        (!this.filter || isNamed(tree)) &&
        (this.outcome === "all" || this.outcomeOf(tree) === this.outcome) &&
        (hits === null || hits.within(forest.root[tree]) > 0),
    );
    const keys = Float64Array.from(trees, (tree) => this.value(tree, this.key));
    const sign = this.isDown ? -1 : 1;
    if (this.key === "task") {
      if (this.isDown) this.order.reverse();
    } else this.order.sort((a, b) => sign * (keys[a] - keys[b]) || a - b);
    this.rows.reset(this.order.length);
    this.tell();
  }

  private tell(): void {
    const { forest, order } = this;
    let runs = 0;
    let pairs = 0;
    for (const tree of order) {
      runs += forest.count[forest.root[tree]];
      pairs += forest.pairsWithin(forest.root[tree]);
    }
    byId("shown-tasks").textContent =
      `${counted(order.length, "task")}, ${counted(runs, "run")}, ${counted(pairs, "pair")}`;
  }

  private outcomeOf(tree: number): Outcome {
    const share = this.share(tree);
    return share === 1 ? "every" : share > 0 ? "some" : "none";
  }

  private head(): void {
    const { forest, hits } = this;
    const gap = forest.columns.header.min_gap;
    const least = gap > 0 ? ` by ${number(gap)} or more` : "";
    const columns: [Key, string, string][] = [
      ["task", "Task", "In the order of the file"],
      ["runs", "Runs", "Runs of the task"],
      forest.successAt === null
        ? ["success", "Mean", "Mean return"]
        : ["success", "Success", `Runs with a return of ${number(forest.successAt)} or more`],
      hits === null
        ? ["spread", "Spread", "Greatest return less the least one"]
        : ["hits", "Found", "Nodes that have what is looked for"],
      ["pairs", "Pairs", `Pairs of runs that part by an action and differ in return${least}`],
    ];
    const head = byId("task-head");
    head.replaceChildren(
      ...columns.map(([key, label, told]) => {
        const isKey = this.key === key;
        const arrow = isKey ? (this.isDown ? " ↓" : " ↑") : "";
        const sort = button(`sort ${key}`, label + arrow, () => {
          this.isDown = isKey ? !this.isDown : key !== "task";
          this.key = key;
          this.head();
          this.refresh();
        });
        sort.title = told;
        sort.setAttribute("aria-pressed", String(isKey));
        return sort;
      }),
    );
    const chips = byId("outcomes");
    chips.hidden = forest.successAt === null;
    chips.replaceChildren(
      ...OUTCOMES.map(([outcome, label, told]) => {
        const chip = button("chip", label, () => {
          this.outcome = outcome;
          this.head();
          this.refresh();
        });
        chip.title = told;
        chip.setAttribute("aria-pressed", String(this.outcome === outcome));
        return chip;
      }),
    );
  }

  private row(tree: number): HTMLElement {
    const { forest } = this;
    const root = forest.root[tree];
    const row = element("div", "task-row");
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", String(tree === this.selected));
    const id = line(this.ids[tree]) || "(no name)";
    const back = between(id, id.length - Math.min(BACK, id.length >> 1));
    const name = element(
      "span",
      "task",
      element("span", "front", id.slice(0, back)),
      element("span", "back", id.slice(back)),
    );
    name.title = id;
    row.append(name, element("span", "runs", whole(forest.count[root])), this.success(tree));
    if (this.hits === null) {
      const [least, greatest] = this.range(tree);
      const spread = element("span", "spread", brief(this.spread[tree]));
      spread.title = `Returns from ${number(least)} to ${number(greatest)}`;
      row.append(spread);
    } else row.append(element("span", "hits", whole(this.hits.within(root))));
    const pairs = forest.pairsWithin(root);
    row.append(element("span", pairs ? "pairs" : "pairs none", pairs < 1e6 ? whole(pairs) : brief(pairs)));
    row.addEventListener("click", () => this.pick(tree));
    return row;
  }

  private success(tree: number): HTMLElement {
    const { forest } = this;
    const cell = element("span", "success");
    const root = forest.root[tree];
    if (!forest.count[root]) return cell;
    if (forest.successAt === null) {
      cell.append(brief(forest.mean(root)));
      return cell;
    }
    const share = this.share(tree);
    const bar = element("span", "bar");
    const part = element("span", "part");
    part.style.width = `${100 * share}%`;
    bar.append(part);
    cell.append(bar, element("span", "share", percent(share)));
    cell.title = `${whole(forest.numWins(root))} of ${counted(forest.count[root], "run")}`;
    return cell;
  }

  private press(event: KeyboardEvent): void {
    const row = this.rows.next(event.key, this.order.indexOf(this.selected));
    if (row === null) return;
    this.pick(this.order[row]);
    event.preventDefault();
    event.stopPropagation();
  }
}
