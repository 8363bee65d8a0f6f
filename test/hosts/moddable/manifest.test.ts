// The manifests: each choice of parts links what it needs, once, and nothing else; and all of it is preloaded that can be.
import { readdirSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";
import test from "ava";
import { checkCopies } from "../../../hosts/moddable/copies.js";
import { compiled, importsOf, link, manifestAt, root } from "./linked.js";

/** What may be left out, and what comes with it. */
const needs: Readonly<Record<string, readonly string[]>> = {
  channels: [],
  flash: [],
  jobs: ["shadow"],
  outbox: ["flash"],
  provisioning: [],
  shadow: [],
  sleep: ["outbox", "flash"],
  updates: ["jobs", "shadow", "flash"],
};
const parts = Object.keys(needs);
const platforms = ["lin", "esp32"];

/** What firmware names, or the SDK. */
const entries = ["skerry", "skerry/host", "skerry/network", "rng", "ssl/ciphersuites"];

/** What has to wait for run time: it calls the machine when it is evaluated, or imports a module that does. */
const notPreloadable = ["skerry/host", "skerry/network", "skerry/hosts/moddable/host"];
const notPreloadableOn: Readonly<Record<string, readonly string[]>> = {
  // Storage and flash are files there.
  lin: [
    "skerry/platform/flash",
    "skerry/platform/storage",
    "skerry/platform/update",
    "skerry/hosts/emulation/image",
    "skerry/hosts/emulation/partitions",
    "skerry/hosts/emulation/slots",
  ],
  esp32: [],
};
/** Used by a stand-in only, and on a board only. */
const mayBeIdle = ["skerry/hosts/moddable/absent/missing", "skerry/hosts/moddable/reset-reason"];
const flashPart = "skerry/hosts/moddable/parts/flash";

function modulesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter(name => name.endsWith(".ts") && !name.endsWith(".d.ts"))
    .map(name => join(folder, name).slice(0, -3).split(sep).join("/"))
    .sort();
}

/** @returns names reached from the entries; what is not there ends up in `missing` */
function reach(modules: ReadonlyMap<string, string>, missing: string[]): ReadonlySet<string> {
  const reached = new Set(entries);
  for (const name of reached) {
    const path = modules.get(name);
    if (path === undefined) missing.push(name);
    else
      for (const other of importsOf(name, path))
        if (/^skerry\b/.test(other) || other === "rng") reached.add(other);
  }
  return reached;
}

function choices(): readonly (readonly string[])[] {
  return Array.from({ length: 1 << parts.length }, (_, bits) =>
    parts.filter((_part, index) => bits & (1 << index)),
  );
}

const manifestsOf = (chosen: readonly string[]): readonly string[] => [
  "manifests/core.json",
  ...chosen.map(part => `manifests/${part}.json`),
];

for (const platform of platforms) {
  test(`on ${platform} each choice of parts links all it imports, once, and nothing else`, t => {
    for (const chosen of choices()) {
      const { modules, dropped } = link(manifestsOf(chosen), platform);
      const what = chosen.join(" ") || "core";
      const missing: string[] = [];
      const reached = reach(modules, missing);
      t.deepEqual(missing, [], `${what}: add to modules in manifests/*.json`);
      const idle = [...modules.keys()].filter(name => !reached.has(name));
      t.deepEqual(
        idle.filter(name => !mayBeIdle.includes(name)),
        [],
        `${what}: nobody imports this`,
      );
      t.deepEqual(dropped, [], what);
    }
  });

  test(`on ${platform} all that is linked is preloaded by name, except what has to wait for run time`, t => {
    for (const chosen of choices()) {
      const { modules, preload } = link(manifestsOf(chosen), platform);
      const waits = [...notPreloadable, ...notPreloadableOn[platform]!, flashPart];
      t.deepEqual(
        [...preload].sort(),
        [...modules.keys()].filter(name => !waits.includes(name)).sort(),
        `${chosen.join(" ") || "core"}: preload in manifests/*.json`,
      );
    }
  });
}

test("a part that is not included, nor needed by one that is, has a stand-in", t => {
  for (const chosen of choices()) {
    const { modules } = link(manifestsOf(chosen), "esp32");
    const linked = new Set([...chosen, ...chosen.flatMap(part => needs[part]!)]);
    for (const part of parts) {
      const own = part === "flash" ? flashPart.slice(7) : `src/parts/${part}`;
      const path = linked.has(part) ? own : `hosts/moddable/absent/${part}`;
      t.is(modules.get(`skerry/${own}`), path, `with ${chosen.join(" ") || "core"}`);
    }
  }
});

test("the order of includes makes no difference", t => {
  const names = (paths: readonly string[]) => [...link(paths, "esp32").modules].sort();
  const all = manifestsOf(parts);
  t.deepEqual(names([...all].reverse()), names(all));
});

test("manifest.json is every part, and every module of src but those of types alone", t => {
  const { modules } = link(["manifest.json"], "esp32");
  t.deepEqual([...modules].sort(), [...link(manifestsOf(parts), "esp32").modules].sort());
  const paths = new Set(modules.values());
  for (const path of modulesIn("src")) {
    const isOfTypes = /^(\/\/.*\n)*export \{\};\s*(\/\/.*\s*)?$/.test(compiled(path));
    t.is(paths.has(path), !isOfTypes, path);
  }
});

test("the core tells its version, and two of them are too many", t => {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly version: string;
  };
  t.deepEqual(manifestAt("manifests/core.json").config, { skerry: { [version]: true } });
  const told: string[] = [];
  const check = (versions: unknown) => () => checkCopies(versions, text => told.push(text));
  t.notThrows(check({ [version]: true }));
  t.deepEqual(told, []);
  const message = /^skerry: versions 0\.1\.0 and 0\.2\.0 in one firmware: /;
  t.throws(check({ "0.1.0": true, "0.2.0": true }), { message });
  t.regex(told[0]!, message);
  t.throws(check(undefined), { message: /^skerry: no version in one firmware/ });
});

test("every manifest of ours is one of these, with preload sorted", t => {
  const files = readdirSync(join(root, "manifests")).filter(name => name.endsWith(".json"));
  t.deepEqual(
    files,
    ["core", ...parts]
      .sort()
      .map(name => `${name}.json`)
      .sort(),
  );
  const shared = readdirSync(join(root, "manifests/shared")).map(name => `shared/${name}`);
  for (const name of [...files, ...shared]) {
    const { preload = [] } = manifestAt(join("manifests", name));
    t.deepEqual(preload, [...preload].sort(), name);
  }
});

test("shadow and telemetry alone are less than 60 % of all", t => {
  const bytesOf = (paths: readonly string[]): number => {
    const own = [...link(paths, "esp32").modules.values()].filter(path => path.startsWith("src/"));
    return own.reduce((sum, path) => sum + compiled(path).length, 0);
  };
  const share = bytesOf(manifestsOf(["shadow", "channels"])) / bytesOf(["manifest.json"]);
  t.true(share < 0.6, `${(100 * share).toFixed(1)} % of the compiled text`);
});

test("both platforms bring the same modules", t => {
  const names = (platform: string) => modulesIn(`hosts/moddable/${platform}`).map(fileOf);
  const fileOf = (path: string) => path.split("/").at(-1);
  t.deepEqual(names("esp32"), names("simulator"));
});

test("the SDK brings up no network of its own, and asks nobody for the time", t => {
  // A Wi-Fi that cannot be joined would keep the SDK's from ever starting the product.
  t.deepEqual(manifestAt("hosts/moddable/esp32/manifest.json").modules?.["~"], [
    "$(BUILD)/devices/esp32/setup/network",
    "$(MODULES)/network/sntp/modsntp",
    "$(MODULES)/network/sntp/sntp",
  ]);
});

test("slots are emulated in the simulator's firmware, and in no board's", t => {
  const emulated = (platform: string) =>
    [...link(["manifest.json"], platform).modules.keys()].filter(name =>
      name.includes("/emulation/"),
    );
  t.true(emulated("lin").length > 0);
  t.deepEqual(emulated("esp32"), []);
});

test("the SDK's MQTT client is preloaded where a product asks for it, and only there", t => {
  const folder = "hosts/moddable/sdk-mqtt";
  const own = modulesIn(folder).map(path => `skerry/${path}`);
  t.deepEqual(manifestAt(`${folder}/manifest.json`).preload, own);
  t.false([...link(["manifest.json"], "esp32").modules.keys()].some(name => own.includes(name)));
});

test("a platform without a host is refused in words", t => {
  const { platforms } = manifestAt("manifests/core.json");
  t.deepEqual(Object.keys(platforms!), ["lin", "mac", "win", "esp32", "..."]);
  t.regex(platforms!["..."]!.error!, /^skerry: there is a host for/);
  t.regex(platforms!["win"]!.error!, /^skerry: .* no files/);
});
