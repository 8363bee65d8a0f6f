// What a product's manifest takes from `npm run esp32`, and what it keeps to itself.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
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
