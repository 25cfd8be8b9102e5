// What a reader does with the trees of a report, in a real browser: node report.mjs REPORT.html NODES
//
// NODES: of the preference rows that the report shows, as JSON.
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { launched } from "./browser.mjs";

const [report, rows] = process.argv.slice(2);
const { browser, page, said, asked } = await launched();
await page.goto(String(pathToFileURL(report)));
const frame = page.frames()[1];
await page.click(".sections a[href='#trees']"); // what is out of sight is drawn later
await frame.waitForSelector("html[data-ready=yes]");
const shown = () => frame.evaluate(() => globalThis.w2streeView.node);

// It opens at the tree that shows most, and the links below lead to theirs.
const trees = page.locator("#trees a[data-place]");
assert.equal(`node=${await shown()}`, await trees.first().getAttribute("data-place"));
await trees.last().click();
const last = await trees.last().getAttribute("data-place");
await frame.waitForFunction((place) => `node=${globalThis.w2streeView.node}` === place, last);

// A preference row leads to where it was made.
for (const [index, node] of JSON.parse(rows).entries()) {
  await page.locator("#why a[data-place]").nth(index).click();
  await frame.waitForFunction((at) => globalThis.w2streeView.node === at, node);
  assert.match(await frame.locator("#detail").innerText(), /rows? made here[^]*row \d of the report/);
}

// It fills the window, and goes back to its place.
const height = () => page.locator("#view").evaluate((view) => view.getBoundingClientRect().height);
const before = await height();
await page.setViewportSize({ width: 1366, height: 1200 });
await page.click("a[href='#view']");
assert.ok((await height()) > 1100);
await page.click(".back");
await page.setViewportSize({ width: 1366, height: 768 });
assert.equal(await height(), before);

for (const width of [390, 1000, 1920]) {
  await page.setViewportSize({ width, height: 800 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= width, `${wide} > ${width}`);
}
assert.deepEqual(said, []);
assert.deepEqual(asked.filter((address) => !/^(file|about):/.test(address)), []);
await browser.close();
console.log("read");
