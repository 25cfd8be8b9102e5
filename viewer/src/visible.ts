// Texts from outside, on a page: set as text, and nothing hidden in them. What a terminal would
// obey or nobody would see is written as Python writes it, \x1b, as w2stree/shorten.py does; line
// breaks and tabs stay.

const HIDDEN = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

function escaped(character: string): string {
  const code = character.codePointAt(0) as number;
  if (character === "\r") return "\\r";
  const digits = code.toString(16);
  if (code < 0x100) return `\\x${digits.padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${digits.padStart(4, "0")}` : `\\U${digits.padStart(8, "0")}`;
}

/** On one line, for rows and labels: white space as single spaces, "…" where it is cut. */
export function line(text: string, most = 400): string {
  const kept = text.length > most ? [...text.slice(0, most + 1)].slice(0, -1).join("") : text;
  const shown = kept
    .replace(/[^\S\ufeff]+/g, " ") // \s has it, and nobody sees it
    .replace(/^ | $/g, "")
    .replace(HIDDEN, escaped);
  return kept === text ? shown : `${shown}…`;
}

/** At most so many characters of what is on one line, "…" where it is cut. */
export function shortened(text: string, most: number): string {
  return text.length <= most ? text : most < 2 ? "" : `${text.slice(0, between(text, most - 1))}…`;
}

/** The place, or the one before where it is in the midst of a character of two units. */
export function between(text: string, at: number): number {
  return (text.codePointAt(at - 1) ?? 0) > 0xffff ? at - 1 : at;
}

/** Whole, into an element: escapes are marked as such, and so is what is looked for. */
export function show(into: HTMLElement, text: string, query = ""): void {
  let shown = 0;
  for (const found of text.matchAll(HIDDEN)) {
    plain(into, text.slice(shown, found.index), query);
    const escape = document.createElement("span");
    escape.className = "escape";
    escape.textContent = escaped(found[0]);
    into.append(escape);
    shown = found.index + found[0].length;
  }
  plain(into, text.slice(shown), query);
}

function plain(into: HTMLElement, text: string, query: string): void {
  const wanted = query.toLowerCase();
  const low = wanted ? text.toLowerCase() : "";
  if (!wanted || low.length !== text.length) {
    into.append(text);
    return;
  }
  let shown = 0;
  for (let at = low.indexOf(wanted); at >= 0; at = low.indexOf(wanted, shown)) {
    const mark = document.createElement("mark");
    mark.textContent = text.slice(at, at + wanted.length);
    into.append(text.slice(shown, at), mark);
    shown = at + wanted.length;
  }
  into.append(text.slice(shown));
}
