// The product manifest names every module there is: a module it forgets costs RAM or is missing at run time.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";

interface Manifest {
  readonly modules: Readonly<Record<string, string | readonly string[]>>;
  readonly preload: readonly string[];
  readonly platforms?: Readonly<
    Record<string, { readonly include?: string; readonly error?: string }>
  >;
}

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const product = manifestAt("manifest.json");

/** What has to wait for run time: it calls the machine when it is evaluated. */
const notPreloadable = ["skerry/hosts/moddable/host"];

function manifestAt(path: string): Manifest {
  return JSON.parse(readFileSync(join(root, path), "utf8")) as Manifest;
}

/** Module names, by the folder of their sources, of `.ts` files that are not declarations. */
function modulesIn(folder: string, recursive: boolean): string[] {
  return readdirSync(join(root, folder), { recursive, encoding: "utf8" })
    .filter(name => name.endsWith(".ts") && !name.endsWith(".d.ts"))
    .map(name => `skerry/${join(folder, name).slice(0, -3).split(sep).join("/")}`)
    .sort();
}

const modules = [
  ...modulesIn("src", true),
  ...modulesIn("hosts", false),
  ...modulesIn("hosts/moddable", false),
];

test("every folder of modules is mapped to what tsc writes", t => {
  for (const name of modules) {
    const folder = dirname(name);
    t.is(product.modules[`${folder}/*`], `./dist/${relative("skerry", folder)}/*`, `for ${name}`);
  }
});

test("every module is preloaded by name, except what has to wait for run time", t => {
  const missing = modules.filter(
    name => !product.preload.includes(name) && !notPreloadable.includes(name),
  );
  t.deepEqual(missing, [], "add to preload in manifest.json");
});

test("nothing is preloaded that does not exist or that has to wait", t => {
  const own = product.preload.filter(name => /^skerry\/(src|hosts)\//.test(name));
  const known = modules.filter(name => !notPreloadable.includes(name));
  t.deepEqual(
    own.filter(name => !known.includes(name)),
    [],
    "remove from preload in manifest.json",
  );
  t.is(new Set(product.preload).size, product.preload.length, "a name stands twice");
});

test("no source is mapped under two names", t => {
  const sources = Object.entries(product.modules)
    .filter(([name]) => name !== "~")
    .map(([, source]) => source);
  t.is(new Set(sources).size, sources.length);
});

test("both platforms bring the same modules", t => {
  const names = (platform: string) =>
    modulesIn(`hosts/moddable/${platform}`, false).map(name => name.split("/").at(-1));
  t.deepEqual(names("esp32"), names("simulator"));
});

test("the machine is preloaded everywhere, storage only where flash is not reached through files", t => {
  t.true(product.preload.includes("skerry/platform/machine"));
  t.deepEqual(manifestAt("hosts/moddable/esp32/manifest.json").preload, [
    "skerry/platform/flash",
    "skerry/platform/storage",
    "skerry/platform/update",
  ]);
  t.false("preload" in manifestAt("hosts/moddable/simulator/manifest.json"));
});

test("slots are emulated in the simulator's firmware, and in no board's", t => {
  const name = "skerry/hosts/emulation/*";
  t.is(
    manifestAt("hosts/moddable/simulator/manifest.json").modules[name],
    "../../../dist/hosts/emulation/*",
  );
  t.false(name in product.modules);
  t.false(name in manifestAt("hosts/moddable/esp32/manifest.json").modules);
});

test("the SDK's MQTT client is preloaded where a product asks for it, and only there", t => {
  const folder = "hosts/moddable/sdk-mqtt";
  t.deepEqual(manifestAt(`${folder}/manifest.json`).preload, modulesIn(folder, false));
  t.false(product.preload.some(name => name.includes("sdk-mqtt")));
});

test("a platform without a host is refused in words", t => {
  t.deepEqual(Object.keys(product.platforms!), ["lin", "mac", "esp32", "..."]);
  t.regex(product.platforms!["..."]!.error!, /^skerry: there is a host for/);
});
