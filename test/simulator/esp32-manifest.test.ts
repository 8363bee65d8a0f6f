// The files that a person writes for `npm run esp32`: what a product's manifest keeps to itself, and what is no configuration.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { gather, readBench } from "../../simulator/esp32/configuration.js";
import { examineManifest } from "../../simulator/esp32/manifest.js";

const root = fileURLToPath(new URL("../../../", import.meta.url));

function written(t: ExecutionContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "skerry-manifest-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "manifest.json");
  writeFileSync(path, text);
  return path;
}

for (const name of ["sensor-node", "embedded"])
  test(`the manifest of ${name} takes all of it`, t => {
    t.deepEqual(examineManifest(join(root, "examples", name, "manifest.json")), { notes: [] });
  });

test("a table, settings and a cloud of the product's own are told", t => {
  const build = { PARTITIONS_FILE: "./table.csv", SDKCONFIGPATH: "./settings" };
  const { problem, notes } = examineManifest(written(t, JSON.stringify({ build })));
  t.is(problem, undefined);
  t.is(notes.length, 3);
  t.regex(notes[0]!, /names PARTITIONS_FILE itself: its partition table is built in/);
  t.regex(notes[1]!, /names SDKCONFIGPATH itself: ESP-IDF is not told the size of --flash/);
  t.regex(notes[2]!, /does not include "\$\(SKERRY_CONFIG\)" itself/);
});

test("the manifest of the guide leaves table and settings to the command", t => {
  const guide = readFileSync(join(root, "docs", "embed.md"), "utf8");
  const [, text = ""] = /```json\n([^`]*)```/.exec(guide) ?? [];
  const { problem, notes } = examineManifest(written(t, text));
  t.is(problem, undefined);
  t.deepEqual(
    notes.map(note => / itself/.test(note) && /SKERRY_CONFIG/.test(note)),
    [true],
    "Wi-Fi and cloud are the product's",
  );
});

test("a manifest that is no JSON is named before anything is called", t => {
  const path = written(t, "{");
  t.regex(examineManifest(path).problem!.what, /manifest\.json cannot be read as JSON: /);
});

const node = { endpoint: "192.168.1.20", port: 8883, trustAnchors: ["PEM"] };
for (const [text, what] of [
  ["null", /has no config\.sensorNode\./],
  ['{"config":null}', /has no config\.sensorNode\./],
  ['{"config":{"sensorNode":null}}', /has no config\.sensorNode\./],
  [configOf({ ...node, endpoint: 7 }), /has a wrong config\.sensorNode\.endpoint/],
  [configOf({ ...node, port: "8883" }), /has a wrong config\.sensorNode\.port/],
  [configOf({ ...node, trustAnchors: [] }), /has a wrong config\.sensorNode\.trustAnchors/],
  [configOf({ ...node, endpoint: "LocalHost" }), /is LocalHost: on a board/],
] as const)
  test(`the configuration ${text} is refused in words`, t => {
    const [problem] = gather({ config: written(t, text) }).problems;
    t.regex(problem!.what, what);
  });

test("a bench.json that is a list is refused, not added to", t => {
  const path = written(t, "{}");
  writeFileSync(join(path, "..", "bench.json"), "[1]");
  t.throws(() => readBench(path), { message: /bench\.json is no JSON object/ });
});

function configOf(sensorNode: object): string {
  return JSON.stringify({ config: { sensorNode } });
}
