// A view in a cell of a notebook (anywidget's protocol): the page in a frame that may run its one
// script and nothing else, with no origin of its own, so that it reaches neither the notebook nor a
// server.
//
//   model.selected ──"node=17&runs=3,9"──> frame      as an address has it (place.ts)
//                  <──{ node, runs }──────

interface Selected {
  node: number; // -1: none
  runs: number[];
}

interface Model {
  get(name: "_page"): DataView<ArrayBuffer>;
  get(name: "height"): number;
  get(name: "selected"): Selected;
  set(name: "selected", value: Selected): void;
  save_changes(): void;
  on(event: string, act: () => void): void;
  off(event: string, act: () => void): void;
}

const WAITING =
  "The view is being loaded. If this line stays, the notebook does not let a frame run a script: " +
  "write the view to a file and open that, w2stree.viewer.write_view(forest, \"view.html\").";

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const page = model.get("_page");
  const url = URL.createObjectURL(new Blob([page], { type: "text/html" }));
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-scripts");
  frame.title = "Runs as a forest";
  frame.style.cssText = "display: block; width: 100%; border: 0";
  frame.style.colorScheme = isDark(el) ? "dark" : "light";
  const waiting = document.createElement("p");
  waiting.textContent = WAITING;
  let shown = ""; // of the frame

  const resize = (): void => {
    frame.style.height = `${model.get("height")}px`;
  };
  const move = (): void => {
    const asked = fragmentOf(model.get("selected"));
    if (asked !== shown) frame.contentWindow?.postMessage(asked, "*");
  };
  const hear = ({ source, data }: MessageEvent<unknown>): void => {
    if (source !== frame.contentWindow || !isSaid(data)) return;
    waiting.remove();
    const { node, runs, isFirst } = data;
    shown = fragmentOf({ node, runs });
    const asked = fragmentOf(model.get("selected"));
    if (shown === asked) return;
    if (isFirst && asked) return move(); // it was moved while it was loaded, or loaded again
    model.set("selected", { node, runs });
    model.save_changes();
  };

  window.addEventListener("message", hear);
  model.on("change:selected", move);
  model.on("change:height", resize);
  resize();
  frame.src = `${url}#${fragmentOf(model.get("selected"))}`;
  el.replaceChildren(waiting, frame);
  return () => {
    window.removeEventListener("message", hear);
    model.off("change:selected", move);
    model.off("change:height", resize);
    URL.revokeObjectURL(url);
  };
}

function fragmentOf({ node, runs }: Selected): string {
  const parts = node < 0 ? [] : [`node=${node}`];
  if (runs.length) parts.push(`runs=${runs.join(",")}`);
  return parts.join("&");
}

function isSaid(data: unknown): data is Selected & { isFirst: boolean } {
  const { node, runs } = (data ?? {}) as Partial<Selected>;
  return Number.isInteger(node) && Array.isArray(runs) && runs.every(Number.isInteger);
}

/** Whether it stands upon something dark: notebooks have themes of their own. */
function isDark(element: HTMLElement): boolean {
  for (let on: HTMLElement | null = element; on !== null; on = on.parentElement) {
    const [red, green, blue, alpha = 1] = (getComputedStyle(on).backgroundColor.match(/[\d.]+/g) ?? []).map(Number);
    if (alpha > 0.5) return 0.299 * red + 0.587 * green + 0.114 * blue < 128;
  }
  return false;
}

export default { render };
