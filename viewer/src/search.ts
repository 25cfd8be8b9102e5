// What is looked for, in all texts: which nodes have it, in words of the tree or of a run.

import type { Forest } from "./forest";
import type { Runs } from "./runs";

export class Hits {
  /** By node, 1 where something is found. */
  readonly at: Uint8Array;
  readonly count: number;
  private readonly before: Uint32Array;

  constructor(
    readonly query: string,
    private readonly forest: Forest,
    runs: Runs,
  ) {
    const { numNodes, numRuns, action, observation, parent, endNode } = forest;
    const found = forest.texts.holding(query);
    const at = (this.at = new Uint8Array(numNodes));
    for (let n = 0; n < numNodes; n++) at[n] = found[action[n]] | found[observation[n]];
    for (let t = 0; t < forest.numTrees; t++) at[forest.root[t]] |= found[forest.taskText[t]];
    if (runs.areGiven) {
      const { response, otherObservation, start, prompt } = runs;
      const asked = runs.promptsWith(found);
      for (let run = 0; run < numRuns; run++) {
        let step = start[run + 1];
        let n = endNode[run];
        for (; parent[n] >= 0; n = parent[n]) {
          step--;
          const other = otherObservation[step];
          if (found[response[step]] || (other && found[other - 1])) at[n] = 1;
        }
        at[n] |= asked[prompt[run]];
      }
    }
    const before = (this.before = new Uint32Array(numNodes + 1));
    for (let n = 0; n < numNodes; n++) before[n + 1] = before[n] + at[n];
    this.count = before[numNodes];
  }

  within(node: number): number {
    return this.before[this.forest.subtreeEnd[node]] - this.before[node];
  }

  /** The next hit after a node, or before it; around the end. -1 where there is none. */
  next(node: number, step: 1 | -1): number {
    const { numNodes } = this.forest;
    if (this.count === 0) return -1;
    let n = node;
    do n = (n + step + numNodes) % numNodes;
    while (!this.at[n]);
    return n;
  }
}
