// The smallest product stays small, compiles against what the package exports, and knows nothing of the inside.
import { spawnSync } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const folder = join(root, "examples", "embedded");
const read = (name: string) => readFile(join(folder, name), "utf8");

/** What a product's own typings say of the SDK. */
const typings = `declare function trace(...text: string[]): void;
declare module "mc/config" {
  const config: {
    readonly sensorNode?: {
      readonly endpoint: string;
      readonly port: number;
      readonly trustAnchors: readonly string[];
      readonly serialNumber: string;
    } & (
      | { readonly template: string; readonly claim: { readonly certificate: string; readonly key: string } }
      | { readonly thingName: string; readonly certificate: string; readonly key: string }
    );
  };
  export default config;
}
`;

/** As docs/embed.md has it, for a product that has its Wi-Fi from elsewhere. */
const wifi = `import { network } from "skerry/network";
network.start({ ssid: "Bench", password: "correct horse" });
`;

test("manifest and main of the smallest product have less than sixty lines together", async t => {
  const [manifest, main] = [await read("manifest.json"), await read("main.ts")];
  const lines = `${manifest}\n${main}`.split("\n").filter(line => line.trim() !== "").length;
  t.log(`${lines} lines`);
  t.true(lines > 20 && lines < 60, `${lines} lines`);
  const { include, modules } = JSON.parse(manifest);
  t.deepEqual(Object.keys(modules), ["main"], "one module of its own");
  // The parts that it uses, and none besides.
  const parts = include.filter((path: string) => path.startsWith(".."));
  t.deepEqual(parts, ["../../manifests/provisioning.json", "../../manifests/shadow.json"]);
  const specifiers = [...main.matchAll(/from "([^"]+)"/g)].map(([, specifier]) => specifier);
  t.deepEqual(specifiers, ["mc/config", "skerry", "skerry/host"]);
  t.regex(main, /identity[\s\S]*agent\.settings\([\s\S]*telemetry\.send\(/);
});

test("it compiles as a product's own source would, strictly", async t => {
  const place = join(root, "node_modules", ".cache", "skerry-embedded");
  await mkdir(place, { recursive: true });
  await writeFile(join(place, "main.ts"), await read("main.ts"));
  await writeFile(join(place, "typings.d.ts"), typings);
  await writeFile(join(place, "wifi.ts"), wifi);
  const compilerOptions = {
    noEmit: true,
    composite: false,
    declaration: false,
    types: [],
    skipLibCheck: false,
  };
  const extended = {
    extends: "../../../tsconfig.json",
    files: ["main.ts", "wifi.ts", "typings.d.ts"],
  };
  const settings = { ...extended, compilerOptions, references: [] };
  await writeFile(join(place, "tsconfig.json"), JSON.stringify(settings));
  const tsc = join(root, "node_modules", ".bin", "tsc");
  const { status, stdout } = spawnSync(tsc, ["-p", place], { encoding: "utf8" });
  t.is(status, 0, stdout);
});
