// One XS worker process: evaluate, commands in both directions, computrons, memory counters and how it ended.

import { type ChildProcess, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import type { Bundle } from "./bundle.js";
import { encodeNetstring, NetstringReader } from "./netstring.js";

export interface MachineOptions {
  /** Path of the worker, from `buildEngine`. */
  readonly worker: string;
  /** Computrons one command may use before the machine ends with "too much computation"; default 300,000,000. */
  readonly limit?: number;
  readonly creation?: MachineCreation;
  /** Built-in objects are frozen, as they are in a device's flash; default true. */
  readonly frozen?: boolean;
}

/** Sizes of a new machine. Small increments make the peaks those of a small device: XS collects before it grows. */
export interface MachineCreation {
  readonly chunkBytes?: number;
  readonly chunkIncrementBytes?: number;
  readonly slots?: number;
  readonly slotIncrement?: number;
  readonly stackSlots?: number;
  readonly keys?: number;
  readonly keyIncrement?: number;
}

export interface Reply {
  readonly result: Buffer;
  /** What this command cost. The same program costs the same on every run and machine. */
  readonly computrons: number;
}

/** Counted after a collection, peaks before it. A fresh machine's built-ins are included: subtract them. */
export interface MemoryCounters {
  /** Bytes in one slot: 16 on a 32-bit build as on ESP32, else 32. */
  readonly slotBytes: number;
  readonly slots: number;
  readonly slotPeak: number;
  readonly chunkBytes: number;
  readonly chunkPeak: number;
  readonly keys: number;
}

export type MachineErrorKind =
  /** The guest threw; the machine goes on. */
  | "exception"
  /** The guest's command succeeded, yet XS wrote to stderr: an unhandled rejection, as a rule. The machine goes on. */
  | "stderr"
  /** The machine is gone. */
  | "ended";

export class MachineError extends Error {
  override readonly name = "MachineError";

  constructor(
    readonly kind: MachineErrorKind,
    message: string,
    readonly exitCode?: number,
  ) {
    super(message);
  }
}

interface Pending {
  readonly message: Buffer;
  resolve(reply: Reply): void;
  reject(error: MachineError): void;
}

const defaultLimit = 300_000_000;
// XS looks at the limit once in so many computrons; what a program costs does not depend on it.
const meteringInterval = 1000;

const exitReasons: Readonly<Record<number, string>> = Object.freeze({
  2: "the pipe to it broke",
  11: "out of memory",
  12: "stack overflow",
  15: "unhandled exception",
  16: "too many property names",
  17: "too much computation",
});

// What a device's linker does to preloaded objects. Accessors and classes are reached through their constructors.
const freezeBuiltIns = `for (const name of Object.getOwnPropertyNames(globalThis)) {
  const value = globalThis[name];
  if (typeof value === "function" || (value && typeof value === "object" && value !== globalThis)) {
    Object.freeze(value);
    if (value.prototype) Object.freeze(value.prototype);
  }
}`;

/** Commands are answered in the order they were given, one at a time. */
export class Machine {
  /** Answers what the guest asks by `issueCommand`; the guest stands still meanwhile. @throws answered as an empty reply and reported. */
  onRequest: ((bytes: Buffer) => Uint8Array) | undefined;
  /** A line the guest wrote with `print`. */
  onPrint: ((text: string) => void) | undefined;
  /** The process is gone. @param error undefined when it was closed on purpose. */
  onEnd: ((error: MachineError | undefined) => void) | undefined;
  readonly #child: ChildProcess;
  readonly #input: Writable;
  readonly #reader = new NetstringReader();
  readonly #queue: Pending[] = [];
  readonly #ended: Promise<void>;
  #current: Pending | undefined;
  #computrons = 0;
  #stderr = "";
  #requestFault: unknown;
  #end: MachineError | undefined;
  #closing = false;

  /** @throws MachineError "ended" when the worker does not start. */
  static async start(options: MachineOptions): Promise<Machine> {
    const machine = new Machine(options);
    await machine.evaluate(options.frozen === false ? "0" : freezeBuiltIns);
    return machine;
  }

  private constructor(options: MachineOptions) {
    const limit = String(options.limit ?? defaultLimit);
    this.#child = spawn(options.worker, ["-i", String(meteringInterval), "-l", limit], {
      stdio: ["ignore", "pipe", "pipe", "pipe", "pipe"],
      env: { SKERRY_XS_CREATION: creationText(options.creation ?? {}) },
      // A group of its own: Ctrl-C at the terminal is for the owner, who says goodbye first. When the owner is gone the
      // worker reads the end of its input, and ends.
      detached: true,
    });
    const [, stdout, stderr, input, output] = this.#child.stdio as unknown as [
      null,
      Readable,
      Readable,
      Writable,
      Readable,
    ];
    this.#input = input;
    // The exit code tells more than the broken pipe.
    input.on("error", error => this.#noteStderr(error.message));
    stdout.setEncoding("utf8").on("data", (text: string) => this.onPrint?.(text.trimEnd()));
    stderr.setEncoding("utf8").on("data", (text: string) => this.#noteStderr(text));
    output.on("data", (chunk: Buffer) => this.#receive(chunk));
    this.#ended = new Promise(resolve => {
      this.#child.on("error", error =>
        this.#finish(`does not start: ${error.message}`, undefined, resolve),
      );
      this.#child.on("close", (code, signal) =>
        this.#finish(
          exitReasons[code ?? -1] ?? signal ?? `exit code ${code}`,
          code ?? undefined,
          resolve,
        ),
      );
    });
  }

  /** Computrons of all commands so far. */
  get computrons(): number {
    return this.#computrons;
  }

  /** Why it ended; undefined while it runs and after a plain `close`. */
  get ended(): MachineError | undefined {
    return this.#end;
  }

  get processId(): number | undefined {
    return this.#child.pid;
  }

  evaluate(source: string): Promise<Reply> {
    return this.#send("e", Buffer.from(source));
  }

  runBundle(bundle: Bundle): Promise<Reply> {
    return this.evaluate(bundle.code);
  }

  /** Calls the guest's `handleCommand` and runs every promise job before it answers. */
  command(bytes: Uint8Array): Promise<Reply> {
    return this.#send("?", bytes);
  }

  /** Collects garbage, then counts. @param options.resetPeaks peaks start again from what is live now. */
  async memory(options: { readonly resetPeaks?: boolean } = {}): Promise<MemoryCounters> {
    const reply = await this.evaluate(`memoryCounters(${options.resetPeaks ?? false})`);
    return JSON.parse(reply.result.toString()) as MemoryCounters;
  }

  /** A collection before every allocation: peaks are then what was live, and everything is slower by far. */
  async collectAlways(isOn: boolean): Promise<void> {
    await this.evaluate(`collectAlways(${isOn})`);
  }

  /** Ends the process; a command that still runs is cut off. May be called twice. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#current !== undefined || this.#child.pid === undefined) this.#child.kill("SIGKILL");
    else this.#input.end(encodeNetstring([Buffer.from("q")]));
    await this.#ended;
  }

  #send(kind: "e" | "?", bytes: Uint8Array): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#end !== undefined || this.#closing) {
        reject(this.#end ?? new MachineError("ended", "XS machine: closed"));
        return;
      }
      const message = encodeNetstring([Buffer.from(kind), bytes]);
      this.#queue.push({ message, resolve, reject });
      if (this.#current === undefined) this.#next();
    });
  }

  #next(): void {
    this.#current = this.#queue.shift();
    if (this.#current !== undefined) this.#input.write(this.#current.message);
  }

  #receive(chunk: Buffer): void {
    try {
      for (const message of this.#reader.push(chunk)) this.#handle(message);
    } catch (error) {
      this.#noteStderr(`${error}`);
      this.#child.kill("SIGKILL");
    }
  }

  #handle(message: Buffer): void {
    const body = message.subarray(1);
    switch (message[0]) {
      case 0x3f: // "?"
        this.#input.write(encodeNetstring([Buffer.from("/"), this.#answer(body)]));
        break;
      case 0x2e: // "."
        this.#settle(body.subarray(body.indexOf(1) + 1), meterOf(body));
        break;
      case 0x21: // "!"
        this.#settle(body, undefined);
        break;
      default:
        throw new Error(`XS worker: message of kind ${message[0]}`);
    }
  }

  #answer(request: Buffer): Uint8Array {
    try {
      if (this.onRequest === undefined) throw new Error("no handler for issueCommand");
      return this.onRequest(request);
    } catch (error) {
      this.#requestFault ??= error;
      return new Uint8Array(0);
    }
  }

  /**
   * XS writes to stderr before it answers, but two pipes may be read in either order. After two turns of the loop all that was
   * written before the answer has been read.
   */
  #settle(body: Buffer, computrons: number | undefined): void {
    const current = this.#current;
    this.#computrons += computrons ?? 0;
    setImmediate(() =>
      setImmediate(() => {
        if (this.#end !== undefined || current === undefined) return;
        const stderr = this.#stderr.trim();
        const fault = this.#requestFault;
        this.#stderr = "";
        this.#requestFault = undefined;
        this.#next();
        if (computrons === undefined) {
          current.reject(new MachineError("exception", body.toString() || stderr));
        } else if (fault !== undefined) {
          current.reject(new MachineError("exception", `request handler: ${fault}`));
        } else if (stderr !== "") {
          current.reject(new MachineError("stderr", stderr));
        } else {
          current.resolve({ result: body, computrons });
        }
      }),
    );
  }

  #noteStderr(text: string): void {
    this.#stderr += text;
  }

  #finish(reason: string, exitCode: number | undefined, resolve: () => void): void {
    const stderr = this.#stderr.trim();
    const detail = stderr === "" ? "" : ` (${stderr})`;
    const end = new MachineError("ended", `XS machine ended: ${reason}${detail}`, exitCode);
    if (!this.#closing) this.#end ??= end;
    for (const pending of [this.#current, ...this.#queue.splice(0)]) pending?.reject(end);
    this.#current = undefined;
    this.onEnd?.(this.#end);
    resolve();
  }
}

function meterOf(body: Buffer): number {
  const meter = JSON.parse(body.toString("latin1", 0, body.indexOf(1))) as { compute: number };
  return meter.compute;
}

function creationText(creation: MachineCreation): string {
  return [
    creation.chunkBytes,
    creation.chunkIncrementBytes,
    creation.slots,
    creation.slotIncrement,
    creation.stackSlots,
    creation.keys,
    creation.keyIncrement,
  ]
    .map(value => value ?? 0)
    .join(",");
}
