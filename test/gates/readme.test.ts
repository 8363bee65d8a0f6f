// The examples of the README and of docs/embed.md are code that compiles, and no longer than they say.
import { spawnSync } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";

const root = fileURLToPath(new URL("../../../", import.meta.url));

/** What stands in the place of the product's own parts. */
const product = `export const anchor = "";
export const claim = { certificate: "", key: "" };
export const readSensor = () => ({ temperature: 21.5 });
export const setLed = (_colour: "off" | "red" | "blue") => undefined;
export const releaseKey = "";
export const isPumping = () => false;
export const calibrate = async (_offset: number) => undefined;
export const log = (_type: string, _what: object) => undefined;
`;

async function examplesIn(document: string): Promise<readonly string[]> {
  const text = await readFile(join(root, document), "utf8");
  return [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code!);
}

function compile(folder: string) {
  const tsc = join(root, "node_modules", ".bin", "tsc");
  return spawnSync(tsc, ["-p", folder], { encoding: "utf8" });
}

const linesOf = (code: string): number =>
  code.split("\n").filter(line => line.trim() !== "").length;

test("the README's product example compiles, in fifteen lines; with updates and jobs it has less than sixty", async t => {
  const [small = "", whole = ""] = await examplesIn("README.md");
  const [embedded = ""] = await examplesIn("docs/embed.md");
  t.true(linesOf(small) > 0 && linesOf(small) <= 15, `${linesOf(small)} lines`);
  t.true(linesOf(whole) > 0 && linesOf(whole) < 60, `${linesOf(whole)} lines`);
  t.true(linesOf(embedded) > 0 && linesOf(embedded) < 60, `${linesOf(embedded)} lines`);
  for (const part of ["signers:", "health.check(", "jobs.on(", "jobs.gate(", "settings(", "send("])
    t.true(whole.includes(part), `${part} is not shown`);

  const folder = join(root, "node_modules", ".cache", "skerry-readme");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "small.ts"), small);
  await writeFile(join(folder, "whole.ts"), whole);
  await writeFile(join(folder, "embedded.ts"), embedded);
  await writeFile(join(folder, "product.ts"), product);
  const settings = {
    extends: "../../../tsconfig.json",
    compilerOptions: { noEmit: true, composite: false, declaration: false, types: ["node"] },
    files: ["small.ts", "whole.ts", "embedded.ts", "product.ts"],
    references: [],
  };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(settings));
  const { status, stdout } = compile(folder);
  t.is(status, 0, stdout);
});
