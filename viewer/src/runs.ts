// The runs' own words: what they said at each step, where they stand, how they ended.

import type { Columns } from "./columns";
import type { Forest } from "./forest";

const STATUSES = ["done", "truncated", "error"];

export interface Turn {
  node: number;
  action: string;
  response: string;
  observation: string;
  reward: number;
}

export interface Message {
  role: string;
  content: string;
}

export class Runs {
  /** Whether the runs themselves are in the file, and not what the tree keeps of them alone. */
  readonly areGiven: boolean;
  readonly response;
  readonly otherObservation;
  readonly start: Uint32Array;
  private readonly status;
  private readonly place;
  private readonly origin;
  readonly prompt;

  constructor(
    private readonly forest: Forest,
    private readonly columns: Columns,
  ) {
    const { numRuns } = forest;
    this.areGiven = columns.has("run_status");
    this.start = new Uint32Array(numRuns + 1);
    for (let i = 0; i < numRuns; i++) {
      this.start[i + 1] = this.start[i] + forest.depth[forest.endNode[i]];
    }
    const numSteps = this.start[numRuns];
    this.response = columns.optional("step_response", numSteps);
    this.otherObservation = columns.optional("step_observation", numSteps);
    this.status = columns.optional("run_status", numRuns);
    this.place = columns.optional("run_place", numRuns);
    this.origin = columns.optional("run_origin", numRuns);
    this.prompt = columns.optional("run_prompt", numRuns);
  }

  statusOf(run: number): string {
    return this.areGiven ? STATUSES[this.status[run]] : "";
  }

  /** "runs.jsonl:17", or which of all it is. */
  placeOf(run: number): string {
    return this.forest.texts.text(this.place[run]) || `run ${this.forest.run[run]}`;
  }

  originOf(run: number): string {
    return this.forest.texts.text(this.origin[run]);
  }

  promptOf(run: number): Message[] {
    if (!this.areGiven) return [];
    const start = this.columns.get("prompt_start");
    const role = this.columns.get("message_role");
    const content = this.columns.get("message_text");
    const prompt = this.prompt[run];
    const messages = [];
    for (let i = start[prompt]; i < start[prompt + 1]; i++) {
      messages.push({
        role: this.forest.texts.text(role[i]),
        content: this.forest.texts.text(content[i]),
      });
    }
    return messages;
  }

  /** By prompt, 1 where one of its messages is among the texts that are `found`. */
  promptsWith(found: Uint8Array): Uint8Array {
    if (!this.areGiven) return new Uint8Array(0);
    const start = this.columns.get("prompt_start");
    const content = this.columns.get("message_text");
    const having = new Uint8Array(start.length - 1);
    for (let prompt = 0; prompt < having.length; prompt++) {
      for (let i = start[prompt]; i < start[prompt + 1]; i++) having[prompt] |= found[content[i]];
    }
    return having;
  }

  turns(run: number): Turn[] {
    const path = this.forest.pathTo(this.forest.endNode[run]).slice(1);
    return path.map((node, i) => this.turn(node, this.start[run] + i));
  }

  private turn(node: number, step: number): Turn {
    const { texts, action, observation } = this.forest;
    const other = this.otherObservation[step];
    return {
      node,
      action: texts.text(action[node]),
      response: texts.text(this.response[step]),
      observation: texts.text(other ? other - 1 : observation[node]),
      reward: this.columns.has("step_reward") ? this.columns.get("step_reward")[step] : NaN,
    };
  }

  /** What was said on the way into a node, each text once, the most frequent first. */
  saidAt(node: number): { text: number; runs: number[] }[] {
    const depth = this.forest.depth[node];
    const found = new Map<number, number[]>();
    if (depth > 0) {
      const [begin, end] = this.forest.runs(node);
      for (let run = begin; run < end; run++) {
        const text = this.response[this.start[run] + depth - 1];
        const runs = found.get(text);
        if (runs === undefined) found.set(text, [run]);
        else runs.push(run);
      }
    }
    found.delete(0);
    return [...found]
      .map(([text, runs]) => ({ text, runs }))
      .sort((a, b) => b.runs.length - a.runs.length);
  }
}
