// The guest's end of the bridge. A request stops the guest until the machine's owner has answered; events come one by one.
//
// A frame is one line of JSON, a newline, and raw bytes: a request `[operation, ...arguments]`, an answer `[value]` or
// `{"error": [name, message, code]}`, an event `[name, ...arguments]`. The other end is engine/requests.ts.

import { AgentError, type ErrorCode, errorCodes } from "../../src/errors.js";
import { concat, fromUtf8, toUtf8 } from "../../src/util/bytes.js";

/** Given by the XS worker. */
declare function issueCommand(request: ArrayBuffer): ArrayBuffer;

export type Value = string | number | boolean | null | undefined | readonly Value[];

export interface Answer {
  readonly value: unknown;
  readonly bytes: Uint8Array;
}

export type EventHandler = (args: readonly unknown[], bytes: Uint8Array) => void;

const newline = 10;
const noBytes = new Uint8Array(0);

export class Bridge {
  readonly #handlers = new Map<string, EventHandler>();
  #nextId = 1;

  /** Takes the events: `handleCommand` is what the worker calls. */
  install(): void {
    Object.defineProperty(globalThis, "handleCommand", {
      value: (frame: ArrayBuffer) => this.#handle(frame),
    });
  }

  on(event: string, handler: EventHandler): void {
    this.#handlers.set(event, handler);
  }

  /** A number that names a timer, a socket, a request. */
  id(): number {
    return this.#nextId++;
  }

  /** @throws what the owner's host threw, as AgentError when it was one. */
  request(operation: string, args: readonly Value[] = [], bytes: Uint8Array = noBytes): Answer {
    const answer = decode(issueCommand(encode([operation, ...args], bytes)));
    if (Array.isArray(answer.header)) return { value: answer.header[0], bytes: answer.bytes };
    throw toError((answer.header as { error: readonly string[] }).error);
  }

  /** Tells the owner something it passes on: a status, a log line, a result. */
  event(name: string, detail: unknown): void {
    this.request("event", [name], toUtf8(JSON.stringify(detail ?? null, nameErrors)));
  }

  /** An exception is told with its stack, then goes on to the worker: on a device it would have restarted the board. */
  #handle(frame: ArrayBuffer): void {
    const { header, bytes } = decode(frame);
    const [name, ...args] = header as [string, ...unknown[]];
    try {
      this.#handlers.get(name)?.(args, bytes);
    } catch (error) {
      this.request("fault", [stackOf(error)]);
      throw error;
    }
  }
}

/** An error that crossed the bridge, with its code when it has one. */
export function toError(parts: readonly (string | null)[]): Error {
  const [name, message, code] = parts;
  if (name === "AgentError" && code !== null && code !== undefined && code in errorCodes) {
    return new AgentError(code as ErrorCode, message ?? "");
  }
  return new Error(`${name}: ${message}`);
}

function encode(header: readonly Value[], bytes: Uint8Array): ArrayBuffer {
  const text = toUtf8(`${JSON.stringify(header)}\n`);
  return concat([text, bytes]).buffer as ArrayBuffer;
}

function decode(frame: ArrayBuffer): { header: unknown; bytes: Uint8Array } {
  const all = new Uint8Array(frame);
  const end = all.indexOf(newline);
  return { header: JSON.parse(fromUtf8(all.subarray(0, end))), bytes: all.slice(end + 1) };
}

/** `JSON.stringify` alone would leave out what an error says. */
function nameErrors(_: string, value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  const { name, message, cause } = value;
  return { ...value, name, message, cause };
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return `${error.name}: ${error.message}\n${error.stack ?? ""}`;
}
