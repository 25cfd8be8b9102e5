// A real browser with a view in it, for tests, figures and pictures.
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

export const EXECUTABLE = process.env.CHROMIUM ?? "/usr/bin/chromium";
// As root, and without a word to anybody's servers; drawn by software.
const FLAGS = [
  ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
];

/** An empty page; what is said in it and asked for is kept in `said` and `asked`. */
export async function launched({ width = 1366, height = 768, ...more } = {}) {
  // Its profile is a new, empty folder, which goes with it.
  const browser = await chromium.launch({ executablePath: EXECUTABLE, args: FLAGS });
  const context = await browser.newContext({ viewport: { width, height }, ...more });
  context.setDefaultTimeout(120_000); // a machine may be busy
  const page = await context.newPage();
  const said = [];
  const asked = [];
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  page.on("request", (request) => asked.push(request.url()));
  return { browser, page, said, asked };
}

/** A page at the view's place. */
export async function opened(view, { fragment = "", ...more } = {}) {
  const { browser, page, said, asked } = await launched(more);
  const url = `${pathToFileURL(view)}${fragment ? `#${fragment}` : ""}`;
  await page.goto(url);
  await page.waitForSelector("html[data-ready=yes], .failed", { timeout: 120_000 });
  return { browser, page, said, asked, url };
}
