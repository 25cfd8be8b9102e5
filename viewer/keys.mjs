// The keys that the page obeys are those that it lists: node keys.mjs VIEW.html
//
// Every key is pressed everywhere, at the start, the middle and the end of a view of three tasks and
// more; what the page keeps from the browser it obeys.
import assert from "node:assert/strict";
import { opened } from "./browser.mjs";

const SIGNS = { "↑": "ArrowUp", "↓": "ArrowDown", "←": "ArrowLeft", "→": "ArrowRight",
  "⏎": "Enter", "−": "-", Esc: "Escape" };
const NAMED = ["Enter", "Escape", "Tab", "Backspace", "Delete", "Insert", "Home", "End", "PageUp",
  "PageDown", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "F1", "F2"];
const PRINTED = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));

const { browser, page, said } = await opened(process.argv[2]);
const listed = await page.evaluate(() =>
  [...document.querySelectorAll("#keys dt")].flatMap((key) => key.textContent.split(" ")),
);
const obeyed = await page.evaluate((keys) => {
  const view = globalThis.w2streeView;
  const { root, subtreeEnd, numNodes } = view.forest;
  const found = new Set();
  for (const node of [-1, root[0], root[1] + 1, subtreeEnd[root[1]] - 1, numNodes - 1]) {
    for (const place of ["body", "#map", "#tasks", "#outline", "#detail"]) {
      for (const key of keys) {
        document.getElementById("keys").close();
        const task = node < 0 ? null : view.forest.task(view.forest.treeOf(node));
        view.show({ task, node, runs: [], query: "wash", by: "return" }, false);
        const press = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
        document.querySelector(place).dispatchEvent(press);
        if (press.defaultPrevented) found.add(key);
      }
    }
  }
  return [...found];
}, [...NAMED, ...PRINTED]);
const names = listed.map((key) => SIGNS[key] ?? key);
assert.deepEqual([...obeyed].sort(), [...new Set(names)].sort());
assert.deepEqual(said, []);
await browser.close();
console.log("pressed");
