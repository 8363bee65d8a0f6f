// `npm test` after `npm start`: what the programs leave behind is not ours to format.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";

const root = fileURLToPath(new URL("../../../", import.meta.url));

test("folders that git passes over are passed over by the style check too", t => {
  const { files } = JSON.parse(readFileSync(join(root, "biome.json"), "utf8")) as {
    readonly files: { readonly includes: readonly string[] };
  };
  const lines = readFileSync(join(root, ".gitignore"), "utf8").split("\n");
  const ignored = lines.filter(line => line.endsWith("/")).map(line => line.slice(0, -1));
  t.true(ignored.includes(".skerry"));
  // Biome never looks into node_modules.
  const missing = ignored.filter(
    name =>
      name !== "node_modules" &&
      !files.includes.some(each => /^!(\*\*\/)?/.test(each) && each.endsWith(name)),
  );
  t.deepEqual(missing, []);
});
