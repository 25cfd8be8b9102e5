// Pictures of a view: node shots.mjs VIEW.html FOLDER [FRAGMENT]
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [view, folder, fragment = ""] = process.argv.slice(2);
const FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync".split(" ");
const SIZES = { desktop: [1366, 768], phone: [390, 844] };

for (const theme of ["light", "dark"]) {
  for (const [size, [width, height]] of Object.entries(SIZES)) {
    const profile = mkdtempSync(join(tmpdir(), "w2stree-view-"));
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: "/usr/bin/chromium",
      args: FLAGS,
      viewport: { width, height },
      deviceScaleFactor: size === "phone" ? 2 : 1,
      colorScheme: theme,
    });
    const page = await context.newPage();
    page.on("console", (message) => console.log(message.text()));
    page.on("pageerror", (error) => console.log(String(error)));
    await page.goto(`${pathToFileURL(view)}#${fragment}`);
    await page.waitForSelector("html[data-ready=yes], .failed");
    await page.waitForTimeout(400);
    const shoot = (name) => page.screenshot({ path: join(folder, `${size}-${theme}-${name}.png`) });
    if (size === "desktop") await shoot("first");
    else {
      for (const tab of ["tasks", "map", "outline", "detail"]) {
        await page.click(`#tabs [data-tab=${tab}]`);
        await page.waitForTimeout(150);
        await shoot(tab);
      }
    }
    await context.close();
  }
}
