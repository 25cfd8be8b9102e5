// What a reader does, in a real browser: node walk.mjs VIEW.html EXPECTED.json
//
// EXPECTED has the core's own arrays by node, and where in the forest things are
// (tests/viewer/test_in_browser.py writes it).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { opened } from "./browser.mjs";

const [view, file] = process.argv.slice(2);
const expected = JSON.parse(readFileSync(file, "utf8"));
const { browser, page, said, asked, url } = await opened(view);
const hash = () => page.evaluate(() => location.hash);
const seen = (selector) => page.locator(selector).innerText();
const settled = () =>
  page.evaluate(() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go))));

// The page's arrays are the core's.
const made = await page.evaluate(() => {
  const { parent, subtreeEnd, first, count, isBest } = globalThis.w2streeView.forest;
  const lists = { parent, subtreeEnd, first, count, isBest };
  return Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, [...list]]));
});
for (const [name, list] of Object.entries(expected.arrays)) assert.deepEqual(made[name], list, name);

// A task, by a click in the table.
assert.match(await seen("#shown-tasks"), expected.tasks_pattern && new RegExp(expected.tasks_pattern));
await page.fill("#filter", expected.task);
await page.click(".task-row");
assert.equal(await hash(), `#task=${encodeURIComponent(expected.task)}&node=${expected.root}`);
assert.match(await seen("#detail"), /What is asked/);
assert.equal(await page.locator(".outline-row").count(), expected.num_rows);

// A node, by a click on the map; its texts whole, and what hides in them shown.
await page.waitForTimeout(300); // the map comes closer
const at = await page.evaluate((n) => globalThis.w2streeView.map.placeOf(n), expected.node);
await page.click("#map", { position: at });
assert.match(await hash(), new RegExp(`node=${expected.node}$`));
assert.match(await seen("#detail"), /Here runs part: 2 actions/);
assert.match(await seen("#detail"), /1 row made here[^]*chosen[^]*Action: take[^]*Action: wait/);
assert.match(await seen("#outline"), /1 row/);
await page.keyboard.press("ArrowDown");
assert.match(await hash(), new RegExp(`node=${expected.node + 1}$`));
await page.keyboard.press("ArrowUp");

// Back goes to where one was.
await page.click(".crumb >> nth=0");
assert.equal(await hash(), "");
await page.goBack();
await settled();
assert.match(await hash(), new RegExp(`node=${expected.node}$`));
assert.match(await seen("#detail"), /Here runs part/);

// Two runs, from where they part; the address leads there again.
await page.keyboard.press("c");
assert.match(await seen("#reading"), /chosen[^]*rejected/);
assert.match(await hash(), /runs=\d+,\d+$/);
const link = await hash();
await page.keyboard.press("Escape");
assert.equal(await page.locator("#reading").isVisible(), false);
await page.goto(`about:blank`);
await page.goto(`${url}${link}`);
await page.waitForSelector("html[data-ready=yes]");
assert.match(await seen("#reading"), /steps? in common/);
await page.keyboard.press("Escape");

// The outline folds and opens by keys.
await page.focus("#outline");
await page.keyboard.press("Home");
await page.keyboard.press("Enter");
assert.equal(await page.locator(".outline-row").count(), 1);
await page.keyboard.press("ArrowRight");
assert.ok((await page.locator(".outline-row").count()) > 1);

// Search: the words of a run alone, which no node of the tree has.
await page.keyboard.press("/");
await page.keyboard.type(expected.query);
await page.keyboard.press("Enter");
assert.match(await seen("#found"), new RegExp(`^${expected.num_found} place`));
assert.match(await seen("#detail mark"), new RegExp(expected.query, "i"));
await page.keyboard.press("Escape");

// What is asked is searched too: of each task's root.
await page.keyboard.press("/");
await page.keyboard.type("your task is");
await page.keyboard.press("Enter");
assert.match(await seen("#found"), /^3 places/);
await page.keyboard.press("Escape");

// Another task leaves the runs of the one before.
await page.evaluate((n) => void (location.hash = `node=${n}`), expected.node);
await page.waitForFunction((n) => globalThis.w2streeView.node === n, expected.node);
await page.keyboard.press("c");
assert.match(await hash(), /runs=/);
await page.keyboard.press("[");
assert.equal(await page.locator("#reading").isVisible(), false);
assert.doesNotMatch(await hash(), /runs=/);

// Text is text: nothing in it ran, and what a terminal would obey is shown.
await page.evaluate((n) => void (location.hash = `node=${n}`), expected.evil);
await page.waitForFunction(() => document.querySelector("#detail .escape"));
assert.match(await seen("#detail"), /\\x1b\[2J<img src=x onerror=/);
assert.equal(await page.locator("img, iframe, #detail script").count(), 0);
assert.equal(await page.evaluate(() => globalThis.ran), undefined);

await page.keyboard.press("ArrowUp");
await page.click("#detail details.recombined summary");
await page.waitForFunction(() => document.querySelector("#detail details.recombined .escape"));
assert.match(await seen("#detail details.recombined"), /is a path of the tree[^]*\\x1b\[2J/);

// Light and dark, and a phone's width: nothing wider than the page.
for (const width of [390, 1366]) {
  await page.setViewportSize({ width, height: 800 });
  await page.keyboard.press("t");
  await settled();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= width, `${wide} > ${width}`);
}

assert.deepEqual(said, []);
assert.deepEqual(asked.filter((address) => !/^(file|about):/.test(address)), []);
await browser.close();
console.log("walked");
