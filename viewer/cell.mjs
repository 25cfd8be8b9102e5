// What a reader does with a view in a cell of a notebook: node cell.mjs WIDGET.json
//
// WIDGET has the widget's state as the kernel sends it, the page in base64, and where in the forest
// things are (tests/viewer/test_forest_widget.py writes it). The model here keeps anywidget's
// protocol: get, set, save_changes, on, off; what is saved is what a kernel would be sent.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { launched } from "./browser.mjs";

const expected = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { browser, page, said, asked } = await launched({ colorScheme: null });
const NOTEBOOK = "http://notebook.test/";
await page.route(NOTEBOOK, (route) =>
  route.fulfill({
    contentType: "text/html",
    body: "<!doctype html><body style='background: #111'><div id=cell></div></body>",
  }),
);
await page.goto(NOTEBOOK);
await page.evaluate(async ({ esm, state, content }) => {
  class Model {
    state = { ...state, _page: new DataView(Uint8Array.from(atob(content), (c) => c.charCodeAt(0)).buffer) };
    saved = [];
    changed = {};
    acts = new EventTarget();
    kept = new Map();
    get(name) {
      return this.state[name];
    }
    set(name, value) {
      this.state[name] = value;
      this.changed[name] = value;
      this.acts.dispatchEvent(new Event(`change:${name}`));
    }
    save_changes() {
      this.saved.push(structuredClone(this.changed));
      this.changed = {};
    }
    on(event, act) {
      this.acts.addEventListener(event, act);
    }
    off(event, act) {
      this.acts.removeEventListener(event, act);
    }
  }
  const url = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
  const { default: widget } = await import(url);
  const model = new Model();
  const el = document.getElementById("cell");
  const again = () => void (globalThis.end = widget.render({ model, el }));
  Object.assign(globalThis, { model, again });
  again();
}, expected);

const cell = page.frameLocator("#cell iframe");
const ready = () => cell.locator("html[data-ready=yes]").waitFor();
const saved = () => page.evaluate(() => globalThis.model.saved);
const until = (node) => page.waitForFunction((n) => globalThis.model.state.selected.node === n, node);
const heading = (text) => cell.locator("#detail h2", { hasText: text }).waitFor();

// It opens where it was told to, as the model has it: nothing is sent.
await ready();
await page.locator("#cell p").waitFor({ state: "detached" });
await heading(expected.task);
assert.deepEqual(await saved(), []);
const box = await page.locator("#cell iframe").boundingBox();
assert.equal(box.height, expected.state.height);
// Upon a dark notebook it is dark.
const dark = await cell.locator("body").evaluate((body) => getComputedStyle(body).backgroundColor);
assert.ok(dark.match(/\d+/g).every((part) => part < 80), dark);

// A node that is chosen is told to the kernel, with its numbers alone.
await cell.locator("#outline .outline-row").nth(1).click();
await until(expected.child);
assert.deepEqual(await saved(), [{ selected: { node: expected.child, runs: [] } }]);

// Two runs to read.
await cell.locator("body").press("c");
await page.waitForFunction(() => globalThis.model.state.selected.runs.length === 2);
await cell.locator("#reading", { hasText: "Two runs" }).waitFor();

// The kernel goes to a node of another task, and nothing is sent back.
const before = (await saved()).length;
await page.evaluate((node) => globalThis.model.set("selected", { node, runs: [] }), expected.other);
await heading(expected.other_task);
assert.equal((await saved()).length, before);

// What a text says is text.
await page.evaluate((node) => globalThis.model.set("selected", { node, runs: [] }), expected.evil);
await cell.locator("#detail .escape").first().waitFor();
assert.equal(await cell.locator("img, iframe, #detail script").count(), 0);

// The frame has no origin: neither the notebook nor what it has stored is within reach.
const frame = page.frames()[1];
assert.equal(await frame.evaluate(() => globalThis.origin), "null");
for (const reach of ["parent.document", "localStorage", "document.cookie"]) {
  const refused = await frame.evaluate((text) => {
    const parts = text.split(".");
    try {
      return void parts.reduce((on, name) => on[name], globalThis);
    } catch (error) {
      return error.name;
    }
  }, reach);
  assert.equal(refused, "SecurityError", reach);
}

// Words of others are not heard: of another frame, of another form.
const count = (await saved()).length;
await page.evaluate(() => {
  window.postMessage({ node: 0, runs: [], isFirst: false }, "*");
});
await frame.evaluate(() => {
  parent.postMessage({ node: "0", runs: [] }, "*");
  parent.postMessage({ node: 0, runs: ["</script>"] }, "*");
  parent.postMessage(null, "*");
});
// Loaded again, as where a cell is moved, it is where it was.
await page.evaluate(() => document.body.append(document.getElementById("cell")));
await ready();
await cell.locator("#detail .escape").first().waitFor();
assert.equal((await saved()).length, count);

// Its height follows.
await page.evaluate(() => globalThis.model.set("height", 300));
assert.equal((await page.locator("#cell iframe").boundingBox()).height, 300);

// Where it is gone, nothing is heard; shown again, it opens at the same place.
await page.evaluate(() => (globalThis.end(), globalThis.again()));
await ready();
await cell.locator("#detail .escape").first().waitFor();
assert.equal((await saved()).length, count);

assert.deepEqual(said, []);
assert.deepEqual(asked.filter((address) => !/^(about:|blob:|http:..notebook.test.$)/.test(address)), []);
await browser.close();
console.log("read");
