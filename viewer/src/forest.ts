// The forest: what the file says, and what follows from it.
//
//   depth         0 1 2 1 | 0 1      nodes in pre-order: a deeper one follows its parent
//   num_terminal  0 0 2 1 | 0 3      runs that end there
//   subtree_end   4 3 3 4 | 6 6      the next node that is not below it
//   first         0 0 0 2 | 3 3      runs in order of their ends: those through a node are
//   count         3 2 2 1 | 3 3      [first, first + count), as first_trajectory of the core

import type { Columns } from "./columns";
import { Texts } from "./texts";

const DECISION = 1;
const ENVIRONMENT = 2;
const MOST_SIDES = 64; // actions of one node whose pairs are listed

export interface Side {
  action: number;
  nodes: number[];
  count: number;
  mean: number;
}

export interface Pair {
  chosen: number;
  rejected: number;
  gap: number;
}

export class Forest {
  readonly numNodes: number;
  readonly numTrees: number;
  readonly numRuns: number;
  readonly texts: Texts;
  readonly depth;
  readonly action;
  readonly observation;
  readonly numTerminal;
  readonly flags;
  readonly parent: Int32Array;
  readonly subtreeEnd: Uint32Array;
  readonly first: Uint32Array;
  readonly count: Uint32Array;
  readonly numChildren: Uint32Array;
  readonly root: Uint32Array;
  readonly endNode: Uint32Array;
  readonly returns: Float64Array;
  readonly run: Uint32Array;
  readonly pairsAt: Float64Array;
  readonly rowsAt: Uint32Array;
  readonly visits;
  readonly isBest: Uint8Array;
  readonly taskText;
  readonly least: number;
  readonly greatest: number;
  readonly successAt: number | null;
  private readonly returnBefore: Float64Array;
  private readonly winsBefore: Uint32Array;
  private readonly pairsBefore: Float64Array;
  private readonly position: Uint32Array;

  constructor(readonly columns: Columns) {
    this.texts = new Texts(columns);
    this.depth = columns.get("depth");
    this.action = columns.get("action");
    this.observation = columns.get("observation");
    this.numTerminal = columns.get("num_terminal");
    this.flags = columns.get("flags");
    this.taskText = columns.get("task");
    this.run = columns.get("run") as Uint32Array;
    this.returns = columns.get("run_return") as Float64Array;
    this.numNodes = this.depth.length;
    this.numTrees = this.taskText.length;
    this.numRuns = this.run.length;
    this.visits = columns.get("visits");
    this.successAt = columns.header.success_at;

    const { numNodes } = this;
    this.parent = new Int32Array(numNodes);
    this.subtreeEnd = new Uint32Array(numNodes);
    this.first = new Uint32Array(numNodes);
    this.count = new Uint32Array(numNodes);
    this.numChildren = new Uint32Array(numNodes);
    this.root = new Uint32Array(this.numTrees);
    this.endNode = new Uint32Array(this.numRuns);
    this.follow();

    this.returnBefore = new Float64Array(this.numRuns + 1);
    this.winsBefore = new Uint32Array(this.numRuns + 1);
    this.position = new Uint32Array(this.numRuns);
    let least = Infinity;
    let greatest = -Infinity;
    for (let i = 0; i < this.numRuns; i++) {
      const value = this.returns[i];
      least = Math.min(least, value);
      greatest = Math.max(greatest, value);
      this.returnBefore[i + 1] = this.returnBefore[i] + value;
      this.winsBefore[i + 1] = this.winsBefore[i] + Number(this.isWin(value));
      this.position[this.run[i]] = i;
    }
    const isUnit = !(least < 0 || greatest > 1);
    this.least = isUnit ? 0 : least;
    this.greatest = isUnit ? 1 : greatest;

    this.pairsAt = new Float64Array(numNodes);
    const pairNode = columns.get("pair_node");
    const pairCount = columns.get("pair_count");
    for (let i = 0; i < pairNode.length; i++) this.pairsAt[pairNode[i]] = pairCount[i];
    this.pairsBefore = new Float64Array(numNodes + 1);
    for (let n = 0; n < numNodes; n++) this.pairsBefore[n + 1] = this.pairsBefore[n] + this.pairsAt[n];

    this.rowsAt = new Uint32Array(numNodes);
    for (const node of columns.get("row_node")) this.rowsAt[node]++;

    this.isBest = new Uint8Array(numNodes);
    for (const end of columns.get("best_node")) {
      for (let n = end; n >= 0 && !this.isBest[n]; n = this.parent[n]) this.isBest[n] = 1;
    }
  }

  /** Parents, subtrees and runs, of depths and endings. O(nodes). */
  private follow(): void {
    const { depth, parent, first, numTerminal, numChildren, endNode } = this;
    const path: number[] = [];
    let tree = 0;
    let run = 0;
    for (let n = 0; n < this.numNodes; n++) {
      const d = depth[n];
      while (path.length > d) this.close(path.pop() as number, n, run);
      parent[n] = d === 0 ? -1 : path[d - 1];
      if (d === 0) this.root[tree++] = n;
      else numChildren[parent[n]]++;
      first[n] = run;
      for (let i = numTerminal[n]; i > 0; i--) endNode[run++] = n;
      path.push(n);
    }
    while (path.length) this.close(path.pop() as number, this.numNodes, run);
  }

  private close(node: number, end: number, run: number): void {
    this.subtreeEnd[node] = end;
    this.count[node] = run - this.first[node];
  }

  // By node ----------------------------------------------------------------------------------

  mean(node: number): number {
    const begin = this.first[node];
    const end = begin + this.count[node];
    return (this.returnBefore[end] - this.returnBefore[begin]) / (end - begin);
  }

  numWins(node: number): number {
    const begin = this.first[node];
    return this.winsBefore[begin + this.count[node]] - this.winsBefore[begin];
  }

  isDecision(node: number): boolean {
    return (this.flags[node] & DECISION) !== 0;
  }

  isEnvironment(node: number): boolean {
    return (this.flags[node] & ENVIRONMENT) !== 0;
  }

  /** Pairs at the node and at all below it. */
  pairsWithin(node: number): number {
    return this.pairsBefore[this.subtreeEnd[node]] - this.pairsBefore[node];
  }

  children(node: number): number[] {
    const found = [];
    const end = this.subtreeEnd[node];
    for (let child = node + 1; child < end; child = this.subtreeEnd[child]) found.push(child);
    return found;
  }

  /** What was done there: children by action, in order of first appearance. */
  sides(node: number): Side[] {
    const found = new Map<number, Side>();
    for (const child of this.children(node)) {
      const side = found.get(this.action[child]);
      const sum = this.mean(child) * this.count[child];
      if (side === undefined) {
        const count = this.count[child];
        found.set(this.action[child], {
          action: this.action[child],
          nodes: [child],
          count,
          mean: sum,
        });
      } else {
        side.nodes.push(child);
        side.count += this.count[child];
        side.mean += sum;
      }
    }
    for (const side of found.values()) side.mean /= side.count;
    return [...found.values()];
  }

  /** Runs behind the weaker side of the best supported contrast of two actions. */
  support(node: number): number {
    if (!this.isDecision(node)) return 0;
    const counts = this.sides(node).map((side) => side.count);
    return counts.sort((a, b) => b - a)[1];
  }

  treeOf(node: number): number {
    let low = 0;
    let high = this.numTrees;
    while (low + 1 < high) {
      const middle = (low + high) >> 1;
      if (this.root[middle] <= node) low = middle;
      else high = middle;
    }
    return low;
  }

  /** Nodes from the root to this one, both included. */
  pathTo(node: number): number[] {
    const path = [];
    for (let n = node; n >= 0; n = this.parent[n]) path.push(n);
    return path.reverse();
  }

  /** The node at a depth that a run passes through; -1 where it ends before. */
  nodeAt(run: number, depth: number): number {
    let n = this.endNode[run];
    if (this.depth[n] < depth) return -1;
    while (this.depth[n] > depth) n = this.parent[n];
    return n;
  }

  // By run: of its place in the order, not its index ------------------------------------------

  isWin(value: number): boolean {
    const at = this.successAt;
    return at !== null && value >= at - 1e-12 * Math.max(1000, Math.abs(at));
  }

  /** Runs through a node, by place in the order. */
  runs(node: number): [number, number] {
    return [this.first[node], this.first[node] + this.count[node]];
  }

  /** The same, by return. */
  bestFirst(node: number): number[] {
    const [begin, end] = this.runs(node);
    const order = Array.from({ length: end - begin }, (_, i) => begin + i);
    return order.sort((a, b) => this.returns[b] - this.returns[a] || a - b);
  }

  positionOf(index: number): number {
    return index < this.numRuns ? this.position[index] : -1;
  }

  /** Where two runs of one tree are together for the last time. */
  parting(one: number, other: number): number {
    let a = this.endNode[one];
    let b = this.endNode[other];
    while (this.depth[a] > this.depth[b]) a = this.parent[a];
    while (this.depth[b] > this.depth[a]) b = this.parent[b];
    while (a !== b) {
      a = this.parent[a];
      b = this.parent[b];
    }
    return a;
  }

  /** Of each two actions at a node the widest pair of runs, widest first. */
  widestPairs(node: number): Pair[] {
    const found: Pair[] = [];
    let ends = this.sides(node).map((side) => this.extremes(side.nodes));
    if (ends.length > MOST_SIDES) {
      // The widest pair is between the best of all and the worst of all.
      ends.sort((a, b) => this.returns[b.best] - this.returns[a.best]);
      const best = ends.slice(0, MOST_SIDES / 2);
      const rest = ends.slice(MOST_SIDES / 2);
      rest.sort((a, b) => this.returns[a.worst] - this.returns[b.worst]);
      ends = [...best, ...rest.slice(0, MOST_SIDES / 2)];
    }
    for (const [i, one] of ends.entries()) {
      for (const [j, other] of ends.entries()) {
        const gap = this.returns[one.best] - this.returns[other.worst];
        if (i !== j && gap > 1e-9 && gap >= this.columns.header.min_gap - 1e-9) {
          found.push({ chosen: one.best, rejected: other.worst, gap });
        }
      }
    }
    return found.sort((a, b) => b.gap - a.gap);
  }

  private extremes(nodes: number[]): { best: number; worst: number } {
    let best = this.first[nodes[0]];
    let worst = best;
    for (const node of nodes) {
      const [begin, end] = this.runs(node);
      for (let run = begin; run < end; run++) {
        if (this.returns[run] > this.returns[best]) best = run;
        if (this.returns[run] < this.returns[worst]) worst = run;
      }
    }
    return { best, worst };
  }

  task(tree: number): string {
    return this.texts.text(this.taskText[tree]);
  }
}
