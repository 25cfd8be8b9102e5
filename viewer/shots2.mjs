import { mkdtempSync } from "node:fs"; import { tmpdir } from "node:os"; import { join } from "node:path"; import { pathToFileURL } from "node:url"; import { chromium } from "playwright-core";
const [view, out, fragment, theme = "light", w = "1366", h = "768", tab = "", keys = ""] = process.argv.slice(2);
const FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync".split(" ");
const context = await chromium.launchPersistentContext(mkdtempSync(join(tmpdir(), "w2v-")), { executablePath: "/usr/bin/chromium", args: FLAGS, viewport: { width: +w, height: +h }, deviceScaleFactor: +w < 500 ? 2 : 1, colorScheme: theme });
const page = await context.newPage();
page.on("console", (m) => console.log(m.text())); page.on("pageerror", (e) => console.log(String(e)));
await page.goto(`${pathToFileURL(view)}#${fragment}`);
await page.waitForSelector("html[data-ready=yes], .failed"); await page.waitForTimeout(400);
if (tab) await page.click(`#tabs [data-tab=${tab}]`);
for (const key of keys.split(" ").filter(Boolean)) { await page.keyboard.press(key); await page.waitForTimeout(250); }
await page.waitForTimeout(200);
await page.screenshot({ path: out }); await context.close();
