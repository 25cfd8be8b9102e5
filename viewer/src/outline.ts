// The same tree to read: folded, a line for each run of steps without a branch; open, a line a step.
//
//   ▸ take key › open door › (3 steps) › go north      4 runs  0.75
//   ▾ take key                                         4 runs  0.75
//     open door                                        4 runs  0.75
//     go north                                         4 runs  0.75  ◆ 6
//       ▸ wait › …                                     1 run   0.00

import { css } from "./colours";
import { button, element } from "./elements";
import type { Forest } from "./forest";
import type { Look } from "./painting";
import { counted, whole } from "./measures";
import { Rows } from "./rows";
import { line, shortened } from "./visible";

const ROW = 28;
const INDENT = 16;
const MOST_INDENT = 12;
const MOST_OF_A_STEP = 60; // characters, in a folded line
const OPEN_AT_ONCE = 160; // nodes of a task that is shown open

export class Outline {
  private readonly rows: Rows;
  private readonly isOpen: Uint8Array;
  private tree = -1;
  private node = new Int32Array(0); // by row
  private level = new Int32Array(0);
  private count = 0;
  private selected = -1;
  private look: Look | null = null;

  constructor(
    private readonly forest: Forest,
    outer: HTMLElement,
    private readonly pick: (node: number) => void,
  ) {
    this.isOpen = new Uint8Array(forest.numNodes);
    outer.tabIndex = 0;
    outer.setAttribute("role", "tree");
    outer.setAttribute("aria-label", "Outline of the task's tree");
    this.rows = new Rows(outer, ROW, (index) => this.row(index));
    outer.addEventListener("keydown", (event) => this.press(event));
  }

  setLook(look: Look): void {
    this.look = look;
    this.refresh();
  }

  showTree(tree: number): void {
    if (tree === this.tree) return;
    this.tree = tree;
    if (tree >= 0) {
      const root = this.forest.root[tree];
      const isSmall = this.forest.subtreeEnd[root] - root <= OPEN_AT_ONCE;
      if (isSmall) this.setAll(1);
      else this.isOpen[root] = 1;
    }
    this.refresh();
    if (this.count) this.rows.scrollTo(0, "start");
  }

  select(node: number): void {
    this.selected = node;
    const { forest } = this;
    for (let n = node; n >= 0; ) {
      const head = this.headOf(n);
      if (n !== node || head !== n) this.isOpen[head] = 1;
      n = forest.parent[head]; // a chain is looked at once: it may be the whole run
    }
    this.refresh();
    const row = this.rowOf(node);
    if (row >= 0) this.rows.scrollTo(row);
  }

  toggleAll(isOpen: boolean): void {
    if (this.tree < 0) return;
    this.setAll(isOpen ? 1 : 0);
    this.isOpen[this.forest.root[this.tree]] = 1;
    this.refresh();
  }

  toggle(head: number): void {
    this.isOpen[head] = this.isOpen[head] ? 0 : 1;
    this.refresh();
  }

  private setAll(value: number): void {
    const root = this.forest.root[this.tree];
    this.isOpen.fill(value, root, this.forest.subtreeEnd[root]);
  }

  // Chains: from a child of a branching node down to where the next branch or an ending is ------

  private isPassed(node: number): boolean {
    const { forest } = this;
    return (
      forest.depth[node] > 0 && forest.numChildren[node] === 1 && forest.numTerminal[node] === 0
    );
  }

  private headOf(node: number): number {
    let n = node;
    while (this.forest.depth[n] > 1 && this.isPassed(this.forest.parent[n])) n--;
    return n;
  }

  private lastOf(head: number): number {
    let n = head;
    while (this.isPassed(n)) n++;
    return n;
  }

  /** Which lines there are, of what is open. */
  private refresh(): void {
    this.count = 0;
    if (this.tree >= 0) this.collect(this.forest.root[this.tree]);
    this.rows.reset(this.count);
  }

  private collect(root: number): void {
    const { forest } = this;
    const waiting: [number, number][] = [[root, 0]];
    while (waiting.length) {
      const [head, level] = waiting.pop() as [number, number];
      if (!this.isOpen[head]) {
        this.add(head, level);
        continue;
      }
      const last = this.lastOf(head);
      for (let n = head; n <= last; n++) this.add(n, level);
      const children = forest.children(last);
      for (let i = children.length - 1; i >= 0; i--) waiting.push([children[i], level + 1]);
    }
  }

  private add(node: number, level: number): void {
    if (this.count === this.node.length) {
      const size = Math.max(1024, 2 * this.count);
      this.node = grown(this.node, size);
      this.level = grown(this.level, size);
    }
    this.node[this.count] = node;
    this.level[this.count++] = level;
  }

  private rowOf(node: number): number {
    let low = 0; // rows are in the order of nodes
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.node[middle] < node) low = middle + 1;
      else high = middle;
    }
    return low < this.count && this.node[low] === node ? low : -1;
  }

  private row(index: number): HTMLElement {
    const { forest, look } = this;
    const node = this.node[index];
    const head = this.headOf(node);
    const isHead = head === node;
    const last = this.lastOf(head);
    const isFolded = isHead && !this.isOpen[head];
    const isLeaf = last === head && forest.numChildren[head] === 0;
    const of = isFolded ? last : node;
    const row = element("div", "outline-row");
    row.setAttribute("role", "treeitem");
    row.setAttribute("aria-level", String(this.level[index] + 1));
    const isSelected = isFolded
      ? this.selected >= head && this.selected <= last
      : this.selected === node;
    row.setAttribute("aria-selected", String(isSelected));
    row.style.paddingLeft = `${8 + INDENT * Math.min(MOST_INDENT, this.level[index])}px`;
    if (isHead && !isLeaf) {
      row.setAttribute("aria-expanded", String(!isFolded));
      const fold = button("fold", isFolded ? "▸" : "▾", () => this.toggle(head));
      fold.tabIndex = -1;
      fold.setAttribute("aria-label", isFolded ? "Open" : "Fold");
      row.append(fold);
    } else row.append(element("span", "fold"));
    if (look !== null) {
      const swatch = element("span", "swatch");
      swatch.style.background = css(look.palette.colours[look.levels[of]]);
      row.append(swatch);
    }
    const words = element("span", "words", isFolded ? this.folded(head, last) : this.word(node));
    if (look?.hits && this.holds(look.hits, head, isFolded ? last : node, node)) {
      words.classList.add("hit");
    }
    row.append(words, ...this.marks(of));
    if (look !== null) {
      row.append(element("span", "number", counted(forest.count[of], "run")));
      if (look.measure.name !== "runs") {
        row.append(element("span", "number value", look.measure.shown(of)));
      }
    }
    row.addEventListener("click", () => this.pick(of));
    row.addEventListener("dblclick", () => isHead && !isLeaf && this.toggle(head));
    return row;
  }

  private holds(hits: Uint8Array, head: number, last: number, node: number): boolean {
    for (let n = head === node ? head : node; n <= last; n++) if (hits[n]) return true;
    return false;
  }

  private marks(node: number): HTMLElement[] {
    const { forest } = this;
    const found = [];
    if (forest.isBest[node]) found.push(mark("best", "best", "On a best path of the search"));
    const rows = forest.rowsAt[node];
    if (rows) found.push(mark("made", counted(rows, "row"), "Preference rows were made here"));
    if (forest.isDecision(node)) {
      const pairs = forest.pairsAt[node];
      const text = pairs ? counted(pairs, "pair") : "parts";
      const told = pairs ? "Runs chose different actions here: pairs" : "Runs chose differently";
      found.push(mark(pairs ? "pairs" : "decision", text, told));
    }
    if (forest.isEnvironment(node)) {
      found.push(mark("luck", "luck", "One action was answered in different ways"));
    }
    if (forest.numTerminal[node]) {
      found.push(mark("ends", `${whole(forest.numTerminal[node])} end`, "Runs end here"));
    }
    return found;
  }

  private word(node: number): string {
    const { forest } = this;
    if (forest.depth[node] === 0) return line(forest.task(this.tree));
    return line(forest.texts.text(forest.action[node])) || "(no action)";
  }

  private folded(head: number, last: number): string {
    const steps = last - head + 1;
    const shown = (n: number): string => shortened(this.word(n), MOST_OF_A_STEP);
    if (steps <= 4) {
      return Array.from({ length: steps }, (_, i) => shown(head + i)).join(" › ");
    }
    return `${shown(head)} › ${shown(head + 1)} › (${steps - 3} steps) › ${shown(last)}`;
  }

  private press(event: KeyboardEvent): void {
    let row = this.rowOf(this.selected);
    if (row < 0 && this.selected >= 0) row = this.rowOf(this.headOf(this.selected));
    const node = row >= 0 ? this.node[row] : -1;
    const isHead = node >= 0 && this.headOf(node) === node;
    const to = this.rows.next(event.key, row);
    if (to !== null) {
      const next = this.node[to];
      const folds = this.headOf(next) === next && !this.isOpen[next];
      this.pick(folds ? this.lastOf(next) : next);
    } else if (event.key === "ArrowRight" && isHead && !this.isOpen[node]) this.toggle(node);
    else if (event.key === "ArrowLeft" && node >= 0) {
      const head = this.headOf(node);
      if (this.isOpen[head] && this.forest.depth[head] > 0) {
        this.isOpen[head] = 0;
        this.refresh();
        this.pick(this.lastOf(head));
      } else if (this.forest.parent[head] >= 0) this.pick(this.forest.parent[head]);
    } else if (event.key === "Enter" && isHead) this.toggle(node);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

function mark(kind: string, text: string, told: string): HTMLElement {
  const made = element("span", `mark ${kind}`, text);
  made.title = told;
  return made;
}

function grown(array: Int32Array<ArrayBuffer>, size: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(size);
  larger.set(array);
  return larger;
}
