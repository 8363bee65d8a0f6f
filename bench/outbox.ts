// The outbox beside what else could keep records that wait: the same records in and out, in one run.
import { closeSync, ftruncateSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildEngine } from "../hosts/xs/engine/build.js";
import { NorFlash } from "../simulator/world/nor.js";
import { Random } from "../simulator/world/random.js";
import { Outbox } from "../src/outbox/outbox.js";
import { outboxCost } from "./outbox-xs.js";

const count = 100_000;
/** Records that wait before they are drained. */
const batch = 100;
const payloadBytes = 64;
const topic = "dt/acme/field/sensor/node-1/climate";

/** Keeps records in order; both calls leave nothing to be done later. */
interface Store {
  append(time: number, payload: Uint8Array): void | Promise<void>;
  /** Reads the oldest `batch` and forgets each of them on its own. @returns how many were read */
  drain(): number | Promise<number>;
  close(): void | Promise<void>;
}

interface Line {
  readonly what: string;
  readonly bytes: number;
  readonly appendMs: number;
  readonly drainMs: number;
}

/** Bytes this process gave to the system to write, where it tells. */
function writtenBytes(): number {
  try {
    return Number(/wchar: (\d+)/.exec(readFileSync("/proc/self/io", "utf8"))?.[1]);
  } catch {
    return Number.NaN;
  }
}

async function measure(what: string, store: Store, written: () => number): Promise<Line> {
  const before = written();
  let appendMs = 0;
  let drainMs = 0;
  let drained = 0;
  for (let done = 0; done < count; done += batch) {
    const start = performance.now();
    for (let i = 0; i < batch; i++) {
      const wait = store.append(1_767_225_600_000 + done + i, new Uint8Array(payloadBytes).fill(i));
      if (wait) await wait;
    }
    const middle = performance.now();
    drained += await store.drain();
    appendMs += middle - start;
    drainMs += performance.now() - middle;
  }
  await store.close();
  if (drained !== count) throw new Error(`${what}: ${drained} of ${count} came back`);
  return { what, bytes: written() - before, appendMs, drainMs };
}

function onFlash(nor: NorFlash): Store {
  const outbox = new Outbox(nor.open(), { generation: 1 });
  return {
    append: (time, payload) => {
      outbox.append({ priority: 1, topic, payload, time, isTimeCertain: true });
    },
    drain: () => {
      let drained = 0;
      for (; drained < batch; drained++) {
        const entry = outbox.peek(1);
        if (entry === undefined || !outbox.acknowledge(entry)) break;
      }
      return drained;
    },
    close: () => outbox.close(),
  };
}

/** A line for each record, a line for each that is done; emptied when all are. */
function inLines(path: string): Store {
  const file = openSync(path, "a+");
  let id = 0;
  const put = (value: object) => writeSync(file, `${JSON.stringify(value)}\n`);
  return {
    append: (time, payload) => {
      put({ id: ++id, topic, time, payload: Buffer.from(payload).toString("base64") });
    },
    drain: () => {
      const bytes = Buffer.alloc(1 << 16);
      const text = bytes.toString("utf8", 0, readSync(file, bytes, 0, bytes.length, 0));
      const lines = text.trimEnd().split("\n");
      for (const line of lines) put({ done: (JSON.parse(line) as { id: number }).id });
      ftruncateSync(file);
      return lines.length;
    },
    close: () => closeSync(file),
  };
}

interface LevelLike {
  put(key: string, value: Uint8Array, options: { valueEncoding: "view" }): Promise<void>;
  del(key: string): Promise<void>;
  iterator(options: {
    limit: number;
    valueEncoding: "view";
  }): AsyncIterable<readonly [string, Uint8Array]>;
  close(): Promise<void>;
}

async function inLevel(path: string): Promise<Store | string> {
  const name: string = "classic-level";
  type Module = { readonly ClassicLevel: new (path: string) => LevelLike };
  const module = await import(name).then(
    loaded => loaded as Module,
    () => undefined,
  );
  if (module === undefined) return "classic-level is not installed";
  const level = new module.ClassicLevel(path);
  let id = 0;
  return {
    append: (time, payload) => {
      const value = Buffer.concat([Buffer.from(`${topic} ${time} `), payload]);
      return level.put(String(++id).padStart(12, "0"), value, { valueEncoding: "view" });
    },
    drain: async () => {
      const keys: string[] = [];
      for await (const [key] of level.iterator({ limit: batch, valueEncoding: "view" }))
        keys.push(key);
      for (const key of keys) await level.del(key);
      return keys.length;
    },
    close: () => level.close(),
  };
}

/** As WebAssembly, over Node's files: nothing is downloaded or built. Without a write-ahead log, which it does not have. */
async function inSqlite(path: string): Promise<Store | string> {
  const loaded = await import("node-sqlite3-wasm").catch(() => undefined);
  if (loaded === undefined) return "SQLite: node-sqlite3-wasm is not installed";
  const database = new loaded.default.Database(path);
  database.exec("PRAGMA synchronous = OFF");
  database.exec(
    "CREATE TABLE outbox (id INTEGER PRIMARY KEY, topic TEXT, time INTEGER, payload BLOB)",
  );
  const insert = database.prepare("INSERT INTO outbox (topic, time, payload) VALUES (?, ?, ?)");
  const select = database.prepare("SELECT id, payload FROM outbox ORDER BY id LIMIT ?");
  const forget = database.prepare("DELETE FROM outbox WHERE id = ?");
  return {
    append: (time, payload) => void insert.run([topic, time, payload]),
    drain: () => {
      const rows = select.all([batch]);
      for (const row of rows) forget.run([row["id"] as number]);
      return rows.length;
    },
    close: () => {
      for (const statement of [insert, select, forget]) statement.finalize();
      database.close();
    },
  };
}

function tableOf(lines: readonly Line[]): string {
  const rows = lines.map(({ what, bytes, appendMs, drainMs }) => {
    const ratio = (bytes / (count * payloadBytes)).toFixed(3);
    const each = (ms: number) => `${((ms * 1000) / count).toFixed(1)} µs`;
    return `| ${what} | ${ratio} | ${each(appendMs)} | ${each(drainMs)} |`;
  });
  return [
    `| ${count} records of ${payloadBytes} bytes, in and out by ${batch} | written / payload | in, each | out, each |`,
    "|---|---:|---:|---:|",
    ...rows,
  ].join("\n");
}

/** A message each ten seconds for a year, a day in ten offline. */
function yearOfWear(): string {
  const nor = new NorFlash();
  const outbox = new Outbox(nor.open(), { generation: 1 });
  const random = new Random(11);
  let isOnline = true;
  for (let i = 0; i < 365 * 8640; i++) {
    if (i % 8640 === 0) isOnline = random.below(10) > 0;
    const time = 1_767_225_600_000 + i * 10_000;
    outbox.append({ priority: 1, topic, payload: new Uint8Array(64), time, isTimeCertain: true });
    while (isOnline) {
      const entry = outbox.peek(1);
      if (entry === undefined) break;
      outbox.acknowledge(entry);
    }
  }
  const worst = Math.max(...nor.erases);
  const mean = nor.counts.erases / nor.erases.length;
  return `a year on 1 MB: erases of a block worst ${worst}, mean ${mean.toFixed(1)}, least ${Math.min(...nor.erases)}`;
}

export async function outbox(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "outbox-"));
  const lines: Line[] = [];
  const notes: string[] = [];
  try {
    for (const writeAlign of [1, 4]) {
      const nor = new NorFlash({ writeAlign });
      const what = `outbox on 1 MB of NOR flash, written in units of ${writeAlign}`;
      lines.push(await measure(what, onFlash(nor), () => nor.counts.programmed));
    }
    const others = {
      "JSON lines in a file": () => inLines(join(folder, "lines")),
      "classic-level": () => inLevel(join(folder, "level")),
      SQLite: () => inSqlite(join(folder, "sqlite")),
    };
    for (const [what, open] of Object.entries(others)) {
      const store = await open();
      if (typeof store === "string") notes.push(`left out: ${store}`);
      else lines.push(await measure(what, store, writtenBytes));
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  console.log(tableOf(lines));
  notes.push("bytes of the others are what the process gave to the system, nothing was synced");
  notes.push(yearOfWear());
  const engine = await buildEngine({ bits: 32 });
  if (!engine.ok) notes.push(engine.missing);
  else {
    const cost = await outboxCost(engine.worker);
    notes.push(
      `32-bit XS, 1 MB: ${cost.atRest} bytes at rest; at the peak ${cost.appendPeak} more for a record in, ${cost.drainPeak} for one out`,
      `computrons: ${Math.round(cost.append)} for a record in, ${Math.round(cost.drain)} for one out, ${cost.mount} to mount`,
    );
  }
  for (const note of notes) console.log(`- ${note}`);
}
