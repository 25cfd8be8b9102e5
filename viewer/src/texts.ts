// Texts by number, in one piece of UTF-8: decoded when they are shown, searched as bytes.

import type { Columns } from "./columns";

const KEPT = 4096; // decoded texts that are kept; a screen shows some hundred

export class Texts {
  private readonly bytes: Uint8Array;
  private readonly start: Uint32Array;
  private readonly decoder = new TextDecoder();
  private readonly decoded = new Map<number, string>();

  constructor(columns: Columns) {
    this.bytes = columns.get("text") as Uint8Array;
    this.start = columns.get("text_start") as Uint32Array;
  }

  get count(): number {
    return this.start.length - 1;
  }

  text(number: number): string {
    let text = this.decoded.get(number);
    if (text === undefined) {
      text = this.decoder.decode(this.bytes.subarray(this.start[number], this.start[number + 1]));
      if (this.decoded.size >= KEPT) this.decoded.clear();
      this.decoded.set(number, text);
    }
    return text;
  }

  /** By text, 1 where it holds the query; letters a to z in either case are the same. */
  holding(query: string): Uint8Array {
    const found = new Uint8Array(this.count);
    const wanted = new TextEncoder().encode(query).map(folded);
    if (wanted.length === 0) return found;
    const { bytes, start } = this;
    const skip = skips(wanted);
    const last = wanted.length - 1;
    let text = 0;
    for (let at = 0; at + last < bytes.length; ) {
      let i = last;
      while (i >= 0 && FOLDED[bytes[at + i]] === wanted[i]) i--;
      if (i >= 0) {
        at += skip[FOLDED[bytes[at + last]]];
        continue;
      }
      text = textAt(start, at, text);
      if (at + last < start[text + 1]) {
        found[text] = 1;
        at = start[text + 1];
      } else at++;
    }
    return found;
  }
}

const FOLDED = Uint8Array.from({ length: 256 }, (_, byte) => folded(byte));

function folded(byte: number): number {
  return byte >= 65 && byte <= 90 ? byte + 32 : byte;
}

/** How far to go on, by the byte that stands under the last one wanted (Horspool 1980). */
function skips(wanted: Uint8Array): Uint32Array {
  const skip = new Uint32Array(256).fill(wanted.length);
  for (let i = 0; i + 1 < wanted.length; i++) skip[wanted[i]] = wanted.length - 1 - i;
  return skip;
}

/** The text that a byte is of; empty texts have none. `from`: it is this one or a later one. */
function textAt(start: Uint32Array, at: number, from: number): number {
  let low = from;
  let high = start.length - 1;
  while (low + 1 < high) {
    const middle = (low + high) >> 1;
    if (start[middle] <= at) low = middle;
    else high = middle;
  }
  return low;
}
