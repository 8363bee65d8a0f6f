// Puts numbers into an outbox on a file, and tells each one that was taken, until it is killed.
import { createFlash } from "../../../hosts/node/flash.js";
import { Outbox } from "../../../src/outbox/outbox.js";
import { toUtf8 } from "../../../src/util/bytes.js";

const [directory, from] = process.argv.slice(2);
const outbox = new Outbox(createFlash(directory!).open({ path: "outbox" }), { generation: 7 });

function append(number: number): void {
  const time = 1_767_225_600_000 + number;
  const payload = toUtf8(String(number));
  const id = outbox.append({ priority: 1, topic: "dt/a", payload, time, isTimeCertain: true });
  if (id === undefined) throw new Error(`${number} was not taken`);
  process.send!(number);
  setImmediate(append, number + 1);
}

process.once("disconnect", () => process.exit());
append(Number(from));
