// Bundles the page's script and style, and the notebook's module, into the package; --check only
// compares.
import { readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const HOME = new URL("../w2stree/viewer/", import.meta.url);
const MOST_BYTES = 100_000;

const bundled = async (entry, options) =>
  (
    await build({
      entryPoints: [new URL(entry, import.meta.url).pathname],
      bundle: true,
      minify: true,
      write: false,
      charset: "ascii",
      legalComments: "none",
      mangleProps: /^_[a-z]/,
      define: { "process.env.NODE_ENV": '"production"' },
      ...options,
    })
  ).outputFiles[0].text;

const parts = {
  "page.js":
    "/*! Made of viewer/src; holds @tanstack/virtual-core, MIT, (c) Tanner Linsley */\n" +
    (await bundled("src/main.ts", { format: "iife", target: "es2022" })),
  "page.css": await bundled("src/page.css", {}),
};
const size = Object.values(parts).reduce((sum, text) => sum + text.length, 0);
if (size > MOST_BYTES) throw new Error(`${size} bytes; at most ${MOST_BYTES}`);
// Of notebooks alone, and in no page.
parts["widget.js"] =
  "/*! Made of viewer/src/widget.ts */\n" +
  (await bundled("src/widget.ts", { format: "esm", target: "es2022" }));
for (const [name, text] of Object.entries(parts)) {
  if (/<\/(script|style)|<!--/i.test(text)) throw new Error(`${name} would end its own element`);
  const file = new URL(name, HOME);
  if (!process.argv.includes("--check")) writeFileSync(file, text);
  else if (readFileSync(file, "utf8") !== text) throw new Error(`${name} is stale: npm run build`);
}
console.log(`${size} bytes`);
