// A page in a frame, of a notebook or of a report: it tells the frame's owner each place, and goes
// where that says. A page that is a file does neither.

import { placeOf, type Place } from "./place";

export type Told = (place: Place, isFirst: boolean) => void;

export function around(go: (asked: Place) => void): Told {
  addEventListener("message", ({ source, data }) => {
    if (source === parent && typeof data === "string") go(placeOf(data));
  });
  // Numbers alone, so that whoever else may listen learns nothing of the texts.
  return ({ node, runs }, isFirst) => parent.postMessage({ node, runs, isFirst }, "*");
}
