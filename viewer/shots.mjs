// Pictures of a view: node shots.mjs VIEW.html FOLDER [FRAGMENT [RUNS]]
import { join } from "node:path";
import { opened } from "./browser.mjs";

const [view, folder, fragment = "", runs = ""] = process.argv.slice(2);
const SIZES = { desktop: [1366, 768, 1], phone: [390, 844, 2] };

for (const colorScheme of ["light", "dark"]) {
  for (const [size, [width, height, deviceScaleFactor]] of Object.entries(SIZES)) {
    const { browser, page } = await opened(view, { width, height, deviceScaleFactor, colorScheme });
    const shoot = async (name) => {
      await page.waitForTimeout(400);
      await page.screenshot({ path: join(folder, `${size}-${colorScheme}-${name}.png`) });
    };
    const go = (place) => page.evaluate((to) => void (location.hash = to), place);
    await shoot("first");
    await go(fragment);
    for (const tab of size === "phone" ? ["map", "outline", "detail"] : [""]) {
      if (tab) await page.click(`#tabs [data-tab=${tab}]`);
      await shoot(tab || "node");
    }
    if (runs) {
      await go(`${fragment}&runs=${runs}`);
      await shoot("two-runs");
    }
    await browser.close();
  }
}
