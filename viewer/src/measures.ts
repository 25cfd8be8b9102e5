// What a node is coloured by: a number of 256, by node, and how to read it.

import type { Forest } from "./forest";

export interface Measure {
  name: string;
  title: string;
  /** Of the two scales: of worth, or of amounts. */
  scale: "worth" | "amount";
  low: string;
  high: string;
  /** Of a node, for a person. */
  shown: (node: number) => string;
  levels: () => Uint8Array;
}

export function measures(forest: Forest): Measure[] {
  const { least, greatest } = forest;
  const range = greatest - least || 1;
  const worth = (of: (node: number) => number): Uint8Array =>
    levels(forest, (n) => (forest.count[n] ? of(n) : 0));
  const amount = (of: (node: number) => number, most: number): Uint8Array =>
    levels(forest, (n) => Math.log1p(of(n)) / Math.log1p(Math.max(1, most)));
  const found: Measure[] = [
    {
      name: "return",
      title: "Mean return",
      scale: "worth",
      low: number(least),
      high: number(greatest),
      shown: (n) => (forest.count[n] ? brief(forest.mean(n)) : "–"),
      levels: () => worth((n) => (forest.mean(n) - least) / range),
    },
  ];
  if (forest.successAt !== null) {
    found.push({
      name: "success",
      title: "Success",
      scale: "worth",
      low: "0%",
      high: "100%",
      shown: (n) => (forest.count[n] ? percent(forest.numWins(n) / forest.count[n]) : "–"),
      levels: () => worth((n) => forest.numWins(n) / forest.count[n]),
    });
  }
  const mostRuns = greatestOf(forest, forest.root, (n) => forest.count[n]);
  const mostVisits = greatestOf(forest, forest.root, (n) => forest.visits[n]);
  found.push(
    {
      name: "runs",
      title: "Runs",
      scale: "amount",
      low: "1",
      high: whole(mostRuns),
      shown: (n) => whole(forest.count[n]),
      levels: () => amount((n) => forest.count[n] - 1, mostRuns - 1),
    },
    {
      name: "visits",
      title: "Search visits",
      scale: "amount",
      low: "0",
      high: whole(mostVisits),
      shown: (n) => whole(forest.visits[n]),
      levels: () => amount((n) => forest.visits[n], mostVisits),
    },
    {
      name: "support",
      title: "Support",
      scale: "amount",
      low: "0",
      high: whole(mostRuns >> 1),
      shown: (n) => (forest.isDecision(n) ? whole(forest.support(n)) : "–"),
      levels: () => amount((n) => forest.support(n), mostRuns >> 1),
    },
  );
  return found;
}

function levels(forest: Forest, share: (node: number) => number): Uint8Array {
  const found = new Uint8Array(forest.numNodes);
  for (let n = 0; n < found.length; n++) {
    found[n] = Math.max(0, Math.min(255, Math.round(255 * share(n))));
  }
  return found;
}

function greatestOf(forest: Forest, nodes: Uint32Array, of: (node: number) => number): number {
  let most = 0;
  for (const n of nodes) most = Math.max(most, of(n));
  return forest.numTrees ? most : 0;
}

export function whole(value: number, digits = 0): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: digits });
}

export function number(value: number): string {
  return Number.isInteger(value) || Math.abs(value) >= 1000 ? whole(value, 2) : value.toPrecision(3);
}

/** In a narrow column: 0.42, 250M. */
export function brief(value: number): string {
  return Math.abs(value) < 1000
    ? value.toFixed(2)
    : value.toLocaleString("en-US", { notation: "compact", maximumSignificantDigits: 3 });
}

/** What is not all never reads as all, nor some as none. */
export function percent(share: number): string {
  const shown = Math.round(100 * share);
  if (!shown && share) return "<1%";
  return shown === 100 && share < 1 ? ">99%" : `${shown}%`;
}

/** 1 run, 2,002 runs */
export function counted(count: number, what: string): string {
  return `${whole(count)} ${what}${count === 1 ? "" : "s"}`;
}
