// The page: one place at a time, and everything on the page shows it.
//
//   a click, a key, an address ──> go(place) ──> tasks, map, outline, node, runs

import { around, type Told } from "./around";
import { gradient, palette, parsed } from "./colours";
import { unpacked, type Columns } from "./columns";
import { Detail } from "./detail";
import { button, byId, element } from "./elements";
import { Forest } from "./forest";
import { Icicle } from "./icicle";
import { counted, measures, type Measure } from "./measures";
import { Outline } from "./outline";
import type { Look } from "./painting";
import { fragmentOf, NOWHERE, placeOf, type Place } from "./place";
import { Reading } from "./reading";
import { Runs } from "./runs";
import { Hits } from "./search";
import { shell, TABS, type Tab } from "./shell";
import { Tasks } from "./tasks";
import { line } from "./visible";

const TYPING = 140; // milliseconds of silence before a search
const PAN = 60;

class Page {
  private readonly forest: Forest;
  private readonly runs: Runs;
  private readonly measures: Measure[];
  private readonly levels = new Map<string, Uint8Array>();
  private readonly treeOf = new Map<string, number>();
  private readonly tasks: Tasks;
  private readonly map: Icicle;
  private readonly outline: Outline;
  private readonly detail: Detail;
  private readonly reading: Reading;
  private place: Place = NOWHERE;
  private tree = -1;
  private node = -1;
  private hits: Hits | null = null;
  private look!: Look;
  private readonly tell: Told | null;

  constructor(columns: Columns) {
    const forest = (this.forest = new Forest(columns));
    this.runs = new Runs(forest, columns);
    this.measures = measures(forest);
    for (let tree = forest.numTrees; tree-- > 0; ) this.treeOf.set(forest.task(tree), tree);
    const pick = (node: number): void => this.pick(node);
    const compare = (one: number, other: number): void =>
      this.go({ runs: [forest.run[one], forest.run[other]] }, true);
    this.tasks = new Tasks(forest, byId("tasks"), (tree) => this.pickTree(tree));
    this.outline = new Outline(forest, byId("outline"), pick);
    this.detail = new Detail(forest, this.runs, byId("detail"), {
      pick,
      compare,
      read: (run) => this.go({ runs: [forest.run[run]] }, true),
    });
    this.reading = new Reading(forest, this.runs, byId("reading"), {
      pick: (node) => this.go({ node, runs: [] }, true),
      close: () => this.go({ runs: [] }, true),
    });
    this.map = new Icicle(forest, byId<HTMLCanvasElement>("map"), {
      pick,
      point: (node, x, y) => this.point(node, x, y),
    });
    this.signs();
    this.controls();
    this.tell = columns.header.in_frame
      ? around(({ task, node, runs }) => this.go({ task, node, runs }, true))
      : null;
    const given = placeOf(location.hash);
    const opening = location.hash.length > 1 ? given : placeOf(columns.header.open_at ?? "");
    this.show(opening, true);
    window.addEventListener("hashchange", () => {
      if (location.hash.replace(/^#/, "") !== fragmentOf(this.place)) {
        this.show(placeOf(location.hash), false);
      }
    });
  }

  // Places -----------------------------------------------------------------------------------

  private pick(node: number): void {
    const tree = this.forest.treeOf(node);
    this.go({ task: this.forest.task(tree), node }, tree !== this.tree);
    if (isPhone()) this.tab("detail");
  }

  private pickTree(tree: number): void {
    this.go({ task: this.forest.task(tree), node: this.forest.root[tree] }, true);
  }

  /** To a place that differs so from this one; `isStep` leaves this one for Back. */
  private go(change: Partial<Place>, isStep: boolean): void {
    this.show({ ...this.place, ...change }, false);
    if (this.tell) return; // a frame has no address that anybody sees
    const fragment = fragmentOf(this.place);
    if (location.hash.replace(/^#/, "") === fragment) return;
    if (isStep) location.hash = fragment;
    else location.replace(`#${fragment}`);
  }

  private show(asked: Place, isFirst: boolean): void {
    const { forest } = this;
    const place = this.possible(asked);
    const before = this.place;
    this.place = place;
    if (isFirst || place.query !== before.query) this.search(place.query);
    else if (place.by !== before.by) this.relook();
    const tree = place.node >= 0 ? forest.treeOf(place.node) : -1;
    const isOther = tree !== this.tree || isFirst;
    this.tree = tree;
    this.node = place.node;
    if (isOther) {
      this.tasks.select(tree);
      this.outline.showTree(tree);
      this.map.fit(tree < 0 ? -1 : forest.root[tree], !isFirst);
    }
    // On a phone one pane is seen: that of the place, whoever leads there.
    if (isPhone() && (isFirst || place.node !== before.node)) {
      this.tab(tree < 0 ? "tasks" : forest.depth[place.node] ? "detail" : "map");
    }
    this.map.select(place.node);
    this.outline.select(place.node);
    this.describe();
    if (place.runs.join() !== before.runs.join() || isFirst) this.read();
    this.tell?.(place, isFirst);
  }

  /** Of what is asked, what the forest has. */
  private possible(asked: Place): Place {
    const { forest } = this;
    const tree = asked.task === null ? undefined : this.treeOf.get(asked.task);
    const runs = asked.runs.map((run) => forest.positionOf(run)).filter((run) => run >= 0);
    let node = asked.node < forest.numNodes ? asked.node : -1;
    if (node < 0 && tree !== undefined) node = forest.root[tree];
    if (node < 0 && runs.length) {
      node = runs.length === 2 ? this.parting(runs) : forest.endNode[runs[0]];
    }
    if (node < 0 && forest.numTrees === 1) node = forest.root[0];
    const known = this.measures.some((measure) => measure.name === asked.by);
    const nodes = [node, ...runs.map((run) => forest.endNode[run])];
    const areOfOneTree = new Set(nodes.map((n) => forest.treeOf(n))).size === 1;
    return {
      task: node < 0 ? null : forest.task(forest.treeOf(node)),
      node,
      runs: areOfOneTree ? runs.map((run) => forest.run[run]) : [],
      query: asked.query,
      by: known ? asked.by : NOWHERE.by,
    };
  }

  private parting([one, other]: number[]): number {
    const { forest } = this;
    const trees = [one, other].map((run) => forest.treeOf(forest.endNode[run]));
    return trees[0] === trees[1] ? forest.parting(one, other) : -1;
  }

  private describe(): void {
    const { forest, node } = this;
    if (node < 0) this.detail.empty();
    else this.detail.show(node, this.look, this.place.query);
    const crumbs = byId("crumbs");
    const all = button("crumb", "All tasks", () => this.go({ task: null, node: -1 }, true));
    const parts: HTMLElement[] = [all];
    if (node >= 0) {
      const root = forest.root[this.tree];
      parts.push(button("crumb task", line(forest.task(this.tree)), () => this.pick(root)));
      const depth = forest.depth[node];
      if (depth) parts.push(element("span", "crumb", `step ${depth}`));
    }
    crumbs.replaceChildren(...parts);
  }

  private read(): void {
    const [one, other] = this.place.runs.map((run) => this.forest.positionOf(run));
    if (one === undefined) this.reading.close();
    else if (other === undefined) this.reading.one(one, this.place.query);
    else this.reading.two(one, other, this.place.query);
  }

  // Search and colours -----------------------------------------------------------------------

  private search(query: string): void {
    const input = byId<HTMLInputElement>("search");
    if (document.activeElement !== input) input.value = query;
    this.hits = query ? new Hits(query, this.forest, this.runs) : null;
    const found = this.hits;
    byId("found").textContent = found === null ? "" : counted(found.count, "place");
    byId("app").classList.toggle("searching", found !== null);
    this.tasks.setHits(found);
    this.relook();
  }

  private step(by: 1 | -1): void {
    const next = this.hits?.next(Math.max(0, this.node), by) ?? -1;
    if (next >= 0) this.pick(next);
  }

  private relook(): void {
    const measure = this.measures.find((one) => one.name === this.place.by) ?? this.measures[0];
    let levels = this.levels.get(measure.name);
    if (levels === undefined) this.levels.set(measure.name, (levels = measure.levels()));
    const style = getComputedStyle(document.body);
    const of = (name: string): string => style.getPropertyValue(name).trim();
    const pageColour = style.backgroundColor;
    const isDark = parsed(pageColour)[0] < 128;
    const colours = palette(measure.scale, isDark, parsed(pageColour));
    this.look = {
      palette: colours,
      levels,
      measure,
      hits: this.hits?.at ?? null,
      ink: of("--ink"),
      soft: of("--soft"),
      accent: of("--accent"),
      ring: of("--ring"),
      pageColour,
    };
    byId<HTMLSelectElement>("by").value = measure.name;
    const bar = element("span", "gradient");
    bar.style.background = gradient(colours);
    byId("legend").replaceChildren(
      element("span", "", measure.low),
      bar,
      element("span", "", measure.high),
    );
    this.map.setLook(this.look);
    this.outline.setLook(this.look);
    if (this.node >= 0) this.detail.show(this.node, this.look, this.place.query);
  }

  private point(node: number, x: number, y: number): void {
    const tip = byId("tip");
    tip.hidden = node < 0;
    if (node < 0) return;
    const { forest, look } = this;
    const depth = forest.depth[node];
    const name = depth
      ? line(forest.texts.text(forest.action[node]), 160) || "(no action)"
      : line(forest.task(forest.treeOf(node)), 160);
    const facts = `${counted(forest.count[node], "run")}, ${look.measure.title.toLowerCase()} ${look.measure.shown(node)}`;
    tip.replaceChildren(
      element("b", "", name),
      element("span", "", `${depth ? `step ${depth}, ` : ""}${facts}`),
    );
    const box = byId("map").getBoundingClientRect();
    const left = Math.min(x + 14, box.width - tip.offsetWidth - 8);
    const top = y + 18 + tip.offsetHeight > box.height ? y - tip.offsetHeight - 10 : y + 18;
    tip.style.transform = `translate(${Math.max(0, left)}px, ${Math.max(0, top)}px)`;
  }

  /** What the marks on the map mean. */
  private signs(): void {
    const sign = (kind: string, told: string): HTMLElement =>
      element("span", "sign", element("i", kind), told);
    byId("signs").replaceChildren(
      sign("best", "best path"),
      sign("pairs", "runs part, pairs made"),
      sign("decision", "runs part, no pair"),
      sign("luck", "answered differently"),
      element("span", "soft", "as wide as its runs, one row a step"),
    );
  }

  // Hands ------------------------------------------------------------------------------------

  private controls(): void {
    const by = byId<HTMLSelectElement>("by");
    for (const measure of this.measures) {
      const option = element("option", "", measure.title);
      option.value = measure.name;
      by.append(option);
    }
    by.addEventListener("change", () => this.go({ by: by.value }, false));
    const search = byId<HTMLInputElement>("search");
    let waiting = 0;
    search.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = window.setTimeout(() => this.go({ query: search.value }, false), TYPING);
    });
    search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        clearTimeout(waiting);
        if (search.value !== this.place.query) this.go({ query: search.value }, false);
        this.step(event.shiftKey ? -1 : 1);
      } else if (event.key === "Escape") {
        search.value = "";
        this.go({ query: "" }, false);
        search.blur();
      }
    });
    const press = (id: string, act: () => void): void =>
      byId(id).addEventListener("click", act);
    press("previous", () => this.step(-1));
    press("next", () => this.step(1));
    press("in", () => this.map.zoom(0.6));
    press("out", () => this.map.zoom(1 / 0.6));
    press("fit", () => this.fit());
    press("open-all", () => this.outline.toggleAll(true));
    press("fold-all", () => this.outline.toggleAll(false));
    press("theme", () => this.theme());
    press("help", () => byId<HTMLDialogElement>("keys").showModal());
    for (const tab of TABS) {
      byId("tabs")
        .querySelector(`[data-tab=${tab}]`)
        ?.addEventListener("click", () => this.tab(tab));
    }
    document.addEventListener("keydown", (event) => this.key(event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.relook());
    this.tab("tasks");
  }

  private fit(): void {
    this.map.fit(this.tree < 0 ? -1 : this.forest.root[this.tree]);
  }

  private tab(tab: Tab): void {
    byId("app").dataset.tab = tab;
    for (const made of byId("tabs").querySelectorAll("button")) {
      made.setAttribute("aria-pressed", String(made.dataset.tab === tab));
    }
  }

  private theme(): void {
    const isDark = parsed(getComputedStyle(document.body).backgroundColor)[0] < 128;
    document.documentElement.dataset.theme = isDark ? "light" : "dark";
    this.relook();
  }

  private key(event: KeyboardEvent): void {
    const on = event.target as HTMLElement;
    if (on.matches("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (byId<HTMLDialogElement>("keys").open) return;
    const act = this.act(event.key, on === this.map.canvas || on === document.body);
    if (act === null) return;
    event.preventDefault();
    act();
  }

  private act(key: string, isOnMap: boolean): (() => void) | null {
    const { forest, node, map } = this;
    if (key === "/") return () => byId("search").focus();
    if (key === "?") return () => byId<HTMLDialogElement>("keys").showModal();
    if (key === "t") return () => this.theme();
    if (key === "n" && this.hits) return () => this.step(1);
    if (key === "N" && this.hits) return () => this.step(-1);
    if (key === "Escape") return () => this.go({ runs: [] }, true);
    if (key === "[" || key === "]") {
      const next = this.tree + (key === "]" ? 1 : -1);
      return next >= 0 && next < forest.numTrees ? () => this.pickTree(next) : null;
    }
    if (node >= 0 && forest.count[node] && (key === "c" || key === "r")) {
      const order = forest.bestFirst(node);
      const chosen = key === "r" ? order.slice(0, 1) : [order[0], order[order.length - 1]];
      return () => this.go({ runs: [...new Set(chosen)].map((run) => forest.run[run]) }, true);
    }
    if (!isOnMap) return null;
    if (key === "+" || key === "=") return () => map.zoom(0.6);
    if (key === "-") return () => map.zoom(1 / 0.6);
    if (key === "0") return () => this.fit();
    if (key === "a") return () => map.pan(-PAN, 0);
    if (key === "d") return () => map.pan(PAN, 0);
    if (!key.startsWith("Arrow") && key !== "Enter") return null;
    if (node < 0) return forest.numTrees ? () => this.pickTree(0) : null;
    if (key === "Enter") return () => map.fit(node);
    const next = this.beside(key);
    return () => next >= 0 && this.pick(next);
  }

  private beside(key: string): number {
    const { forest, node } = this;
    const parent = forest.parent[node];
    if (key === "ArrowUp") return parent;
    if (key === "ArrowDown") return forest.numChildren[node] ? node + 1 : -1;
    if (parent < 0) {
      const tree = this.tree + (key === "ArrowRight" ? 1 : -1);
      return tree >= 0 && tree < forest.numTrees ? forest.root[tree] : -1;
    }
    if (key === "ArrowRight") {
      const next = forest.subtreeEnd[node];
      return next < forest.subtreeEnd[parent] ? next : -1;
    }
    const siblings = forest.children(parent);
    return siblings[siblings.indexOf(node) - 1] ?? -1;
  }
}

function isPhone(): boolean {
  return matchMedia("(max-width: 820px)").matches;
}

async function open(): Promise<void> {
  const data = byId("data");
  const columns = await unpacked((data.textContent ?? "").trim());
  data.remove();
  const { header } = columns;
  document.body.append(shell(line(header.title)));
  const page = new Page(columns);
  Object.assign(globalThis, { w2streeView: page });
  requestAnimationFrame(() => {
    performance.mark("drawn");
    document.documentElement.dataset.ready = "yes";
  });
}

open().catch((error: unknown) => {
  const told =
    typeof DecompressionStream === "undefined"
      ? "This browser is too old to unpack the view: it has no DecompressionStream (2023 and later have)."
      : `The view cannot be read: ${String(error)}. Write it anew with w2stree view.`;
  document.body.append(element("p", "failed", told));
});

