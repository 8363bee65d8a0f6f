// `npm run bench -- <name>`: measurements that are not part of a test run.

import { busy } from "./busy.js";
import { bytecode } from "./bytecode.js";
import { ota } from "./ota.js";
import { outbox } from "./outbox.js";

const benches: Readonly<Record<string, (words: readonly string[]) => Promise<void>>> = {
  bytecode,
  busy,
  ota,
  outbox,
};

const name = process.argv[2] ?? "";
const run = benches[name];
if (run) await run(process.argv.slice(3));
else {
  console.error(`bench: one of ${Object.keys(benches).join(", ")}`);
  process.exitCode = 1;
}
