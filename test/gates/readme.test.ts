// The README's example is code that compiles, and no longer than it says.
import { spawnSync } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";

const root = fileURLToPath(new URL("../../../", import.meta.url));

test("the README's product example compiles, in fifteen lines", async t => {
  const readme = await readFile(join(root, "README.md"), "utf8");
  const code = /```ts\n([\s\S]*?)```/.exec(readme)?.[1];
  t.truthy(code);
  const lines = code!.split("\n").filter(line => line.trim() !== "");
  t.true(lines.length <= 15, `${lines.length} lines`);

  const folder = join(root, "node_modules", ".cache", "skerry-readme");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "example.ts"), code!);
  await writeFile(
    join(folder, "product.ts"),
    `export const anchor = "";
export const claim = { certificate: "", key: "" };
export const readSensor = () => ({ temperature: 21.5 });
export const setLed = (_colour: "off" | "red" | "blue") => undefined;
`,
  );
  const settings = {
    extends: "../../../tsconfig.json",
    compilerOptions: { noEmit: true, composite: false, declaration: false, types: ["node"] },
    files: ["example.ts", "product.ts"],
    references: [],
  };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(settings));
  const tsc = join(root, "node_modules", ".bin", "tsc");
  const { status, stdout } = spawnSync(tsc, ["-p", folder], { encoding: "utf8" });
  t.is(status, 0, stdout);
});
