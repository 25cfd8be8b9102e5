// What a reader waits for: node bench.mjs VIEW.html prints JSON, of each thing the milliseconds by
// the clock (median, 95th of a hundred, or of $TIMES), and those of the processors, all threads of
// the page and of its drawing together (mean).
import { opened } from "./browser.mjs";

const [view] = process.argv.slice(2);
const OPENINGS = 3;
const TIMES = Number(process.env.TIMES ?? 100);
const figures = {};

const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
const keep = (name, times, processor) => {
  const sorted = [...times].sort((a, b) => a - b);
  figures[name] = [at(sorted, 0.5), at(sorted, 0.95), processor];
};

const { browser, page } = await opened(view);
const client = await browser.newBrowserCDPSession();

const openings = [];
const spent = [];
for (let i = 0; i < OPENINGS; i++) {
  const before = await spentSoFar();
  await page.reload();
  await page.waitForSelector("html[data-ready=yes]");
  // Since the navigation began: reading the file, unpacking, laying out, the first frame.
  openings.push(await page.evaluate(() => performance.getEntriesByName("drawn")[0].startTime));
  spent.push((await spentSoFar()) - before);
}
keep("open", openings, at(spent.sort((a, b) => a - b), 0.5));

/** Do it so often, a frame after the other, each from the call to after its frame. */
async function measure(name, act, times = TIMES) {
  const before = await spentSoFar();
  const measured = await page.evaluate(
    async ([body, count]) => {
      const view = globalThis.w2streeView;
      const act = new Function("view", "i", body);
      const drawn = () =>
        new Promise((go) => {
          requestAnimationFrame(() => {
            const channel = new MessageChannel();
            channel.port1.onmessage = go;
            channel.port2.postMessage(0);
          });
        });
      const found = [];
      for (let i = 0; i < count; i++) {
        await drawn();
        const begun = performance.now();
        act(view, i);
        await drawn();
        found.push(performance.now() - begun);
      }
      return found;
    },
    [act, times],
  );
  keep(name, measured, (await spentSoFar() - before) / times);
}

/** Milliseconds that the page's process and the one that draws have had of the processors. */
async function spentSoFar() {
  const { processInfo } = await client.send("SystemInfo.getProcessInfo");
  const counted = processInfo.filter(({ type }) => type === "renderer" || type === "GPU");
  return 1000 * counted.reduce((sum, { cpuTime }) => sum + cpuTime, 0);
}

const wheel = (more) =>
  `document.getElementById("map").dispatchEvent(new WheelEvent("wheel", { ${more}, bubbles: true, cancelable: true }))`;
await measure("pan, all in sight", wheel("deltaX: i % 2 ? 40 : -40"));
await measure("zoom in and out", wheel("deltaY: i % 20 < 10 ? -120 : 120, clientX: 700, clientY: 250"));
await page.evaluate(() => globalThis.w2streeView.map.zoom(0.05));
await measure("pan, close", wheel("deltaX: i % 20 < 10 ? 60 : -60"));
// The largest task, its outline all open: fold and open one branch of it.
await page.evaluate(() => {
  const view = globalThis.w2streeView;
  const { forest } = view;
  const size = (root) => forest.subtreeEnd[root] - root;
  const largest = [...forest.root].reduce((a, b) => (size(a) >= size(b) ? a : b));
  view.pick(largest);
  view.outline.toggleAll(true);
});
await measure("fold or open", "view.outline.toggle(view.forest.children(view.node)[0])");
await measure("go to a node", "view.pick(view.forest.root[view.tree] + 1 + (i % 20))");
for (const query of ["mug pan", "zebra", "e"]) {
  await measure(`search "${query}"`, `view.search(${JSON.stringify(query)})`, 20);
}
await browser.close();
console.log(JSON.stringify(figures));
