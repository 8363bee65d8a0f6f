// A whole world on the XS engine, so that ten thousand links are a matter of seconds: virtual time, a network without way, and a
// server that takes everything and breaks each link after a minute.
import { Bridge } from "../../hosts/xs/bridge.js";
import { Random } from "../../simulator/world/random.js";
import type {
  Host,
  ResolveOptions,
  Resolver,
  TimerHandle,
  TLSSocket,
  TLSSocketOptions,
} from "../../src/host.js";
import { Agent } from "../../src/index.js";

interface Entry {
  dueAt: number;
  readonly intervalMs: number | undefined;
  readonly callback: () => void;
}

/** By due time; equal ones in the order they were set. */
const timers: Entry[] = [];
let ticks = 0;
let onlines = 0;
let openSockets = 0;

function insert(entry: Entry): Entry {
  const later = timers.findIndex(other => other.dueAt > entry.dueAt);
  timers.splice(later < 0 ? timers.length : later, 0, entry);
  return entry;
}

const timer = {
  set: (callback: () => void, delayMs: number) =>
    insert({ dueAt: ticks + delayMs, intervalMs: undefined, callback }),
  repeat: (callback: () => void, intervalMs: number) =>
    insert({ dueAt: ticks + intervalMs, intervalMs, callback }),
  clear: (handle: TimerHandle | undefined) => {
    const at = timers.indexOf(handle as Entry);
    if (at >= 0) timers.splice(at, 1);
  },
};

function fireNext(): void {
  const entry = timers.shift()!;
  ticks = entry.dueAt;
  if (entry.intervalMs !== undefined) {
    entry.dueAt += entry.intervalMs;
    insert(entry);
  }
  entry.callback();
}

class Socket implements TLSSocket {
  readonly #options: TLSSocketOptions;
  #arrived: number[] = [];
  #isOpen = true;

  constructor(options: TLSSocketOptions) {
    this.#options = options;
    openSockets++;
    this.#later(100, () => options.onWritable?.(4096));
  }

  read(count = this.#arrived.length): ArrayBuffer | undefined {
    if (this.#arrived.length === 0) return undefined;
    return Uint8Array.from(this.#arrived.splice(0, count)).buffer;
  }

  write(bytes: Uint8Array): number {
    const answer = answerTo(bytes);
    if (answer.length > 0) {
      this.#later(50, () => {
        this.#arrived.push(...answer);
        this.#options.onReadable?.(this.#arrived.length);
      });
    }
    if (bytes[0] === connect) this.#later(61_000, () => this.#options.onError?.());
    return 4096;
  }

  close(): void {
    if (this.#isOpen) openSockets--;
    this.#isOpen = false;
  }

  #later(delayMs: number, work: () => void): void {
    timer.set(() => this.#isOpen && work(), delayMs);
  }
}

const connect = 0x10;

/** One whole packet at a time is what the agent writes here. @returns what MQTT 5 answers to it */
function answerTo(bytes: Uint8Array): readonly number[] {
  if (bytes[0] === connect) return [0x20, 3, 1, 0, 0];
  if (bytes[0] === 0xc0) return [0xd0, 0];
  if ((bytes[0]! & 0xf6) !== 0x32) return [];
  // Topic and payload are short: one byte has the length.
  const idAt = 4 + bytes[3]!;
  return [0x40, 2, bytes[idAt]!, bytes[idAt + 1]!];
}

class InstantResolver implements Resolver {
  #isOpen = true;
  resolve({ host, onResolved }: ResolveOptions): void {
    timer.set(() => this.#isOpen && onResolved(host, "127.0.0.1"), 50);
  }
  close(): void {
    this.#isOpen = false;
  }
}

const random = new Random(1);
const values = new Map<string, ArrayBuffer>();
const unused = (): never => {
  throw new Error("not of this world");
};
const host: Host = {
  clock: { ticks: () => ticks, now: () => 1_767_225_600_000 + ticks },
  timer,
  crypto: {
    random: length => random.bytes(length),
    digest: unused,
    startDigest: unused,
    generateKeyPair: unused,
    sign: unused,
    verifyEcdsa: unused,
    verifyEcdsaDigest: unused,
    rsaPublic: unused,
  },
  system: { id: "board-1", restart: unused, freeHeapBytes: () => undefined },
  dns: { io: InstantResolver },
  tls: { io: Socket },
  keyValue: {
    open: () => ({
      read: key => values.get(key),
      write: (key, value) => void values.set(key, value.slice().buffer),
      delete: key => void values.delete(key),
      close: () => {},
    }),
  },
};

const pem = (label: string) => `-----BEGIN ${label}-----\nAQID\n-----END ${label}-----\n`;
let acknowledged = 0;

const bridge = new Bridge();
bridge.install();
bridge.on("start", () => {
  const agent = new Agent({
    host,
    endpoint: "cloud.test",
    trustAnchors: [pem("CERTIFICATE")],
    identity: { thingName: "node-1", certificate: pem("CERTIFICATE"), key: pem("PRIVATE KEY") },
    onStatus: ({ type }) => {
      if (type === "online") onlines++;
      if (type === "telemetry") acknowledged++;
    },
  });
  agent.start();
  // Through so many links, each with a message, and some seconds into the last.
  bridge.on("links", ([count]) => {
    for (const end = onlines + (count as number); onlines < end; ) {
      const before = onlines;
      while (onlines === before) fireNext();
      agent.telemetry.send("climate", { temperature: 21.5 });
    }
    for (const end = ticks + 5000; timers[0]!.dueAt <= end; ) fireNext();
    bridge.event("state", [onlines, acknowledged, timers.length, openSockets]);
  });
});
