// The agent's core stays portable: it imports nothing from outside src, and reaches for no host.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const src = join(root, "src");

function sourcesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter(name => name.endsWith(".ts"))
    .map(name => join(folder, name));
}

/** Lines of code, comments left out. */
function codeOf(path: string): string {
  return readFileSync(path, "utf8").replace(/\/\*[\s\S]*?\*\/|(^|\s)\/\/.*$/gm, "$1");
}

test("src imports nothing outside src", t => {
  for (const path of sourcesOf(src)) {
    for (const [, specifier] of codeOf(path).matchAll(
      /\b(?:from|import)\s*\(?\s*["']([^"']+)["']/g,
    )) {
      t.regex(specifier!, /^\.\.?\/.*\.js$/, `${relative(root, path)} imports ${specifier}`);
      t.true(
        resolve(dirname(path), specifier!).startsWith(src),
        `${relative(root, path)} imports ${specifier}`,
      );
    }
  }
});

test("src names no global of a host", t => {
  const forbidden =
    /\b(Buffer|process|console|globalThis|trace|setTimeout|setInterval|setImmediate|queueMicrotask|TextEncoder|TextDecoder|Promise|async|await)\b|\bDate\b|Math\.random|JSON\.parse/;
  for (const path of sourcesOf(src)) {
    const found = forbidden.exec(codeOf(path));
    t.is(found, null, `${relative(root, path)} names ${found?.[0]}`);
  }
});

test("src has no # methods, which take memory of every object on XS", t => {
  const method = /^ +(?:(?:static|get|set|async) )*\*?(#\w+)\s*(?:<[^>]*>)?\(/m;
  t.regex("  get #name(): string {", method);
  for (const path of sourcesOf(src)) {
    const found = method.exec(codeOf(path));
    t.is(found, null, `${relative(root, path)} has the method ${found?.[1]}`);
  }
});

const layers: Record<string, number> = {
  util: 0,
  codec: 1,
  trust: 1,
  cloud: 1,
  mqtt: 2,
  connection: 3,
  jobs: 4,
  outbox: 4,
  provisioning: 4,
  shadow: 4,
  ota: 5,
  telemetry: 5,
};
const ground = new Set(["errors", "limits", "host"]);

test("layers look downwards only", t => {
  for (const path of sourcesOf(src)) {
    const own = relative(src, path).split("/")[0]!;
    const level = layers[own];
    if (level === undefined) continue;
    for (const [, specifier] of codeOf(path).matchAll(
      /import (?!type)[^;]*? from ["']([^"']+)["']/g,
    )) {
      const other = relative(src, resolve(dirname(path), specifier!))
        .split("/")[0]!
        .replace(/\.js$/, "");
      if (ground.has(other) || other === own) continue;
      t.true((layers[other] ?? 9) < level, `${relative(src, path)} looks up to ${other}`);
    }
  }
});
