// Runs that are longer, larger or stranger than most, in a real browser: node odd.mjs VIEW.html
// The view has a run of 20,000 steps, returns up to a billion and names of characters of two units
// (tests/viewer/test_in_browser.py writes it).
import assert from "node:assert/strict";
import { opened } from "./browser.mjs";

const DEEP = 19_990; // a node of the long run, as its depth is
const [view] = process.argv.slice(2);
const { browser, page, said } = await opened(view);

// Each number of the table stands in its own column, and no character is cut in two.
const rows = await page.evaluate(() =>
  [...document.querySelectorAll(".task-row")].map((row) =>
    [...row.children].map((cell) => {
      const range = document.createRange();
      range.selectNodeContents(cell);
      const { left, right } = range.getBoundingClientRect();
      const words = [...cell.children].map((part) => part.textContent);
      return { left, right, text: cell.textContent, isWhole: words.every((text) => text.isWellFormed()) };
    }),
  ),
);
assert.equal(rows.length, 3);
for (const cells of rows) {
  for (const [i, { left, right, text, isWhole }] of cells.entries()) {
    assert.ok(isWhole, `${text} has half a character`);
    const next = cells[i + 1];
    assert.ok(!next || i === 0 || right <= next.left, `${text} lies over ${next?.text}`);
    assert.ok(left < right, `${text} is not seen`);
  }
}

// A step of a long run: what it costs grows as its length does, and its number has room.
const cost = await page.evaluate((node) => {
  const { outline } = globalThis.w2streeView;
  let looks = 0;
  const isPassed = outline.isPassed.bind(outline);
  outline.isPassed = (n) => (looks++, isPassed(n));
  outline.select(node);
  return looks;
}, DEEP);
assert.ok(cost < 10 * DEEP, `${cost} looks for ${DEEP} steps`);
await page.evaluate((node) => void (location.hash = `node=${node}`), DEEP);
await page.waitForFunction((n) => globalThis.w2streeView.node === n, DEEP);
const label = await page.evaluate((step) => {
  const { context, canvas } = globalThis.w2streeView.map.painting;
  const drawn = [];
  const fillText = context.fillText.bind(context);
  context.fillText = (text, x, y) => {
    if (text === String(step)) drawn.push(x - context.measureText(text).width);
    fillText(text, x, y);
  };
  return new Promise((done) => {
    globalThis.w2streeView.map.pan(0, 0);
    const before = canvas.dataset.drawn;
    const wait = () => (canvas.dataset.drawn === before ? requestAnimationFrame(wait) : done(drawn));
    requestAnimationFrame(wait);
  });
}, DEEP);
assert.ok(label.length > 0 && label.every((left) => left >= 0), `number of a step begins at ${label}`);
await browser.close();

// On a phone, an address leads to the pane of its place.
for (const [fragment, tab] of [["", "tasks"], ["node=0", "map"], [`node=${DEEP}`, "detail"]]) {
  const phone = await opened(view, { fragment, width: 390, height: 844 });
  const shown = () => phone.page.evaluate(() => document.getElementById("app").dataset.tab);
  assert.equal(await shown(), tab, fragment);
  await phone.page.evaluate(() => void (location.hash = "node=5"));
  await phone.page.waitForFunction(() => globalThis.w2streeView.node === 5);
  assert.equal(await shown(), "detail");
  await phone.browser.close();
}
assert.deepEqual(said, []);
console.log("walked");
