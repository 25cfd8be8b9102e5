// Where one is, as the part of an address behind its #: links lead there, and Back goes back.
//
//   #task=cook%2F3&node=17&runs=3,9&q=mug&by=success

export interface Place {
  task: string | null;
  node: number;
  runs: number[]; // by their index among all: none, one to read, two side by side
  query: string;
  by: string;
}

export const NOWHERE: Place = { task: null, node: -1, runs: [], query: "", by: "return" };

export function placeOf(fragment: string): Place {
  const said = new URLSearchParams(fragment.replace(/^#/, "").replace(/\+/g, "%2B"));
  const whole = (text: string | null): number => (text && /^\d+$/.test(text) ? Number(text) : -1);
  return {
    task: said.get("task"),
    node: whole(said.get("node")),
    runs: (said.get("runs") ?? "").split(",").map(whole).filter((run) => run >= 0).slice(0, 2),
    query: said.get("q") ?? "",
    by: said.get("by") ?? NOWHERE.by,
  };
}

export function fragmentOf(place: Place): string {
  const parts = [];
  if (place.task !== null) parts.push(`task=${encodeURIComponent(place.task)}`);
  if (place.node >= 0) parts.push(`node=${place.node}`);
  if (place.runs.length) parts.push(`runs=${place.runs.join(",")}`);
  if (place.query) parts.push(`q=${encodeURIComponent(place.query)}`);
  if (place.by !== NOWHERE.by) parts.push(`by=${encodeURIComponent(place.by)}`);
  return parts.join("&");
}
