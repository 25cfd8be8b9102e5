// What is always on the page: one row of controls, three panes, and on phones a bar of tabs.

import { element } from "./elements";

export const TABS = ["tasks", "map", "outline", "detail"] as const;
export type Tab = (typeof TABS)[number];

const TAB_NAMES: Record<Tab, string> = {
  tasks: "Tasks",
  map: "Map",
  outline: "Outline",
  detail: "Node",
};

const KEYS: [string, string][] = [
  ["/", "search all texts; ⏎ and ⇧ ⏎ there go to the next place and the last one, Esc empties it"],
  ["n N", "the next place, the last one"],
  ["[ ]", "the task before, the next one"],
  ["↑ ↓ ← →", "on the map: the step before, the next one, the branches beside"],
  ["⏎ + = − 0", "come to the node, closer, go back, show all of the task"],
  ["a d", "move sideways, as do ⇧ and the wheel; the wheel alone comes closer"],
  ["↑ ↓ k j", "in a list: the row before, the next one"],
  ["PageUp PageDown", "a page of it"],
  ["Home End", "its first row, its last one"],
  ["← → ⏎", "in the outline: fold, open"],
  ["c", "the best run through here beside the worst one"],
  ["r", "the best run through here, whole"],
  ["t", "light or dark"],
  ["?", "these keys"],
  ["Esc", "close what lies over the tree"],
];

export function shell(title: string): HTMLElement {
  const app = identified("div", "app");
  app.dataset.tab = "tasks";
  app.append(top(title), panes(), tabs(), keys());
  return app;
}

function top(title: string): HTMLElement {
  const header = identified("header", "top");
  const search = identified("input", "search");
  search.type = "search";
  search.placeholder = "Search all texts";
  search.autocomplete = "off";
  search.spellcheck = false;
  search.setAttribute("aria-label", "Search all texts");
  const found = identified("span", "found");
  found.setAttribute("role", "status");
  const by = identified("select", "by");
  by.setAttribute("aria-label", "Colour by");
  header.append(
    element("div", "brand", element("b", "", "w2stree"), element("span", "soft", title)),
    element("div", "find", search, found, press("previous", "‹", "Place before (N)"), press("next", "›", "Next place (n)")),
    element("div", "tools", element("span", "soft by-label", "Colour"), by, press("theme", "◐", "Light or dark (t)"), press("help", "?", "Keys (?)")),
  );
  return header;
}

function panes(): HTMLElement {
  const filter = identified("input", "filter");
  filter.type = "search";
  filter.placeholder = "Filter tasks";
  filter.autocomplete = "off";
  filter.spellcheck = false;
  filter.setAttribute("aria-label", "Filter tasks by name");
  const tasks = identified("section", "tasks-pane");
  tasks.append(
    element("div", "pane-head", filter, identified("div", "outcomes")),
    identified("div", "task-head"),
    identified("div", "tasks"),
    identified("footer", "shown-tasks"),
  );

  const map = identified("canvas", "map");
  map.tabIndex = 0;
  map.setAttribute("role", "img");
  const crumbs = identified("nav", "crumbs");
  crumbs.setAttribute("aria-label", "Where you are");
  crumbs.setAttribute("aria-live", "polite");
  const mapPane = identified("section", "map-pane");
  mapPane.append(
    element(
      "div",
      "pane-head",
      crumbs,
      identified("div", "legend"),
      element("div", "group", press("out", "−", "Go back (−)"), press("in", "+", "Come closer (+)"), press("fit", "All", "All of the task (0)")),
    ),
    element("div", "map-box", map, identified("div", "tip")),
    identified("div", "signs"),
  );
  const outlinePane = identified("section", "outline-pane");
  outlinePane.append(
    element(
      "div",
      "pane-head",
      element("b", "", "Outline"),
      element("div", "group", press("open-all", "Open all", ""), press("fold-all", "Fold all", "")),
    ),
    identified("div", "outline"),
  );
  const tree = element("div", "tree-pane", mapPane, outlinePane);
  const detail = identified("section", "detail");
  detail.tabIndex = 0;
  const reading = identified("section", "reading");
  reading.hidden = true;
  return element("main", "", tasks, tree, detail, reading);
}

function tabs(): HTMLElement {
  const bar = identified("nav", "tabs");
  for (const tab of TABS) {
    const made = element("button", "", TAB_NAMES[tab]);
    made.type = "button";
    made.dataset.tab = tab;
    bar.append(made);
  }
  return bar;
}

function keys(): HTMLElement {
  const dialog = identified("dialog", "keys");
  const list = element("dl", "");
  for (const [key, told] of KEYS) list.append(element("dt", "", key), element("dd", "", told));
  const close = element("button", "quiet", "Close");
  close.type = "submit";
  const form = element("form", "", close);
  form.method = "dialog";
  dialog.append(element("h2", "", "Keys"), list, form);
  return dialog;
}

function press(id: string, label: string, told: string): HTMLButtonElement {
  const made = identified("button", id);
  made.type = "button";
  made.className = "quiet";
  made.textContent = label;
  made.title = told;
  if (label.length === 1) made.setAttribute("aria-label", told);
  return made;
}

function identified<K extends keyof HTMLElementTagNameMap>(
  name: K,
  id: string,
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  made.id = id;
  return made;
}
