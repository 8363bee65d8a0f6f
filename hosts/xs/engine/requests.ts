// The owner's end of the bridge: performs a guest's requests on any host, and turns the host's callbacks into events.
// The frames are described in ../bridge.ts.

import { AgentError } from "../../../src/errors.js";
import type {
  CurveName,
  Flash,
  HashName,
  Host,
  KeyValue,
  Resolver,
  RunningDigest,
  TimerHandle,
  Update,
} from "../../../src/host.js";
import { type Args, Sockets } from "./sockets.js";

export interface Response {
  readonly value?: unknown;
  readonly bytes?: Uint8Array;
}

/** An event that waits for its turn. @returns its header when it is due, or undefined when it has become pointless. */
export type Event = () => readonly unknown[] | undefined;

/** What a guest holds of its host; all of it is given back by `close`. */
export class Requests {
  readonly #host: Host;
  readonly #post: (event: Event) => void;
  readonly #timers = new Map<number, TimerHandle>();
  readonly #due = new Set<number>();
  readonly #resolvers = new Map<number, Resolver>();
  readonly #stores = new Map<number, KeyValue>();
  readonly #digests = new Map<number, RunningDigest>();
  #lastDigest = 0;
  readonly #partitions = new Map<number, Flash>();
  readonly #sockets: Sockets;

  constructor(host: Host, post: (event: Event) => void) {
    this.#host = host;
    this.#post = post;
    this.#sockets = new Sockets(host, post);
  }

  /** @returns undefined for an operation of someone else. @throws what the host throws. */
  perform(operation: string, args: Args, bytes: Uint8Array): Response | undefined {
    const id = args[0] as number;
    const { clock, crypto, system, keyValue } = this.#host;
    switch (operation) {
      case "clock.ticks":
        return { value: clock.ticks() };
      case "clock.now":
        return { value: clock.now() };
      case "timer.set":
        return this.#setTimer(id, args[1] as number, false);
      case "timer.repeat":
        return this.#setTimer(id, args[1] as number, true);
      case "timer.clear":
        return this.#clearTimer(id);
      case "crypto.random":
        return { bytes: crypto.random(args[0] as number) };
      case "crypto.digest":
        return { bytes: crypto.digest(args[0] as HashName, bytes) };
      case "crypto.startDigest":
        this.#digests.set(++this.#lastDigest, crypto.startDigest(args[0] as HashName));
        return { value: this.#lastDigest };
      case "crypto.writeDigest":
        this.#digests.get(id)!.write(bytes);
        return {};
      case "crypto.closeDigest": {
        const running = this.#digests.get(id)!;
        this.#digests.delete(id);
        return { bytes: running.close() };
      }
      case "crypto.verifyEcdsaDigest": {
        const [curve, ...lengths] = args as [CurveName, ...number[]];
        const [point, r, s, digest] = split(bytes, lengths) as Four;
        return { value: crypto.verifyEcdsaDigest(curve, point, digest, r, s) };
      }
      case "crypto.verifyEcdsa": {
        const [curve, hash, ...lengths] = args as [CurveName, HashName, ...number[]];
        const [point, r, s, message] = split(bytes, lengths) as Four;
        return { value: crypto.verifyEcdsa(curve, point, hash, message, r, s) };
      }
      case "crypto.rsaPublic": {
        const [modulus, exponent, input] = split(bytes, args as number[]) as Four;
        return { bytes: crypto.rsaPublic(modulus, exponent, input) };
      }
      case "crypto.generateKeyPair": {
        const { privateKey, publicKey } = crypto.generateKeyPair();
        return { value: privateKey.length, bytes: Buffer.concat([privateKey, publicKey]) };
      }
      case "crypto.sign": {
        const keyBytes = args[0] as number;
        return { bytes: crypto.sign(bytes.slice(0, keyBytes), bytes.slice(keyBytes)) };
      }
      case "system.id":
        return { value: system.id };
      case "system.resetReason":
        return { value: system.resetReason };
      case "system.freeHeapBytes":
        return { value: system.freeHeapBytes() };
      case "system.canSleep":
        return { value: system.sleep !== undefined && system.retained !== undefined };
      case "system.retained.read": {
        const found = system.retained!.read();
        return found === undefined ? {} : { value: true, bytes: found };
      }
      case "system.retained.write":
        system.retained!.write(bytes);
        return {};
      case "dns.resolve":
        return this.#resolve(id, args[1] as string);
      case "dns.close":
        return this.#closeResolver(id);
      case "keyValue.open":
        this.#stores.set(id, keyValue.open({ path: args[1] as string }));
        return {};
      case "keyValue.read": {
        const found = this.#store(id).read(args[1] as string);
        return found === undefined ? {} : { value: true, bytes: new Uint8Array(found) };
      }
      case "keyValue.write":
        this.#store(id).write(args[1] as string, bytes);
        return {};
      case "keyValue.delete":
        this.#store(id).delete(args[1] as string);
        return {};
      case "keyValue.close":
        this.#store(id).close();
        return {};
      case "flash.isThere":
        return { value: this.#host.flash !== undefined };
      case "flash.open":
        return this.#openPartition(id, args[1] as string, args[2] as "r" | "r+");
      case "flash.status":
        return { value: this.#partition(id).status() };
      case "flash.read": {
        const [, byteLength, byteOffset] = args as [number, number, number];
        return { bytes: new Uint8Array(this.#partition(id).read(byteLength, byteOffset)) };
      }
      case "flash.write":
        this.#partition(id).write(bytes, args[1] as number);
        return {};
      case "flash.eraseBlock":
        this.#partition(id).eraseBlock(args[1] as number, args[2] as number);
        return {};
      case "flash.close":
        this.#partitions.get(id)?.close();
        this.#partitions.delete(id);
        return {};
      case "update.isThere":
        return { value: this.#host.update !== undefined };
      case "update.running":
        return { value: this.#update().running };
      case "update.isOnTrial":
        return { value: this.#update().isOnTrial };
      case "update.hasReverted":
        return { value: this.#update().hasReverted };
      case "update.describe":
        return { value: this.#update().describe() };
      case "update.complete":
        this.#update().complete();
        return {};
      case "update.confirm":
        this.#update().confirm();
        return {};
      default:
        return this.#sockets.perform(operation, args, bytes);
    }
  }

  close(): void {
    for (const handle of this.#timers.values()) this.#host.timer.clear(handle);
    for (const resolver of this.#resolvers.values()) resolver.close();
    for (const store of this.#stores.values()) store.close();
    this.#timers.clear();
    this.#resolvers.clear();
    this.#stores.clear();
    for (const partition of this.#partitions.values()) partition.close();
    this.#partitions.clear();
    this.#sockets.close();
  }

  #setTimer(id: number, delayMs: number, repeats: boolean): Response {
    const fire = () => {
      // A guest that is behind sees one event of a repeat, not all it missed.
      if (this.#due.has(id)) return;
      this.#due.add(id);
      this.#post(() => {
        this.#due.delete(id);
        if (!this.#timers.has(id)) return undefined;
        if (!repeats) this.#timers.delete(id);
        return ["timer", id];
      });
    };
    const { timer } = this.#host;
    this.#timers.set(id, repeats ? timer.repeat(fire, delayMs) : timer.set(fire, delayMs));
    return {};
  }

  #clearTimer(id: number): Response {
    this.#host.timer.clear(this.#timers.get(id));
    this.#timers.delete(id);
    return {};
  }

  #resolve(id: number, host: string): Response {
    const resolver = new this.#host.dns.io({});
    const post = (event: readonly unknown[]) =>
      this.#post(() => (this.#closeResolver(id).value === true ? event : undefined));
    this.#resolvers.set(id, resolver);
    resolver.resolve({
      host,
      onResolved: (name, address, others = []) =>
        post(["dns.resolved", id, name, address, ...others]),
      onError: (name, error) => post(["dns.error", id, name, errorParts(error)]),
    });
    return {};
  }

  #closeResolver(id: number): Response {
    this.#resolvers.get(id)?.close();
    return { value: this.#resolvers.delete(id) };
  }

  #openPartition(id: number, path: string, mode: "r" | "r+"): Response {
    const partition = this.#host.flash?.open({ path, mode });
    if (partition === undefined) throw new AgentError("storage/write", "flash: there is none");
    this.#partitions.set(id, partition);
    return {};
  }

  #partition(id: number): Flash {
    const partition = this.#partitions.get(id);
    if (partition === undefined) throw new AgentError("storage/write", "flash: closed");
    return partition;
  }

  #update(): Update {
    const { update } = this.#host;
    if (update === undefined) throw new AgentError("agent/fault", "XS guest: no slots");
    return update;
  }

  #store(id: number): KeyValue {
    const store = this.#stores.get(id);
    if (store === undefined) throw new AgentError("agent/fault", `XS guest: no store ${id}`);
    return store;
  }
}

type Four = [Uint8Array, Uint8Array, Uint8Array, Uint8Array];

/** The pieces of the given lengths, and what is left. */
function split(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const length of lengths) {
    pieces.push(bytes.slice(at, at + length));
    at += length;
  }
  return [...pieces, bytes.slice(at)];
}

/** What of an error crosses the bridge: name, message, code. */
export function errorParts(error: unknown): readonly (string | null)[] | null {
  if (error === undefined) return null;
  if (!(error instanceof Error)) return ["Error", String(error), null];
  return [error.name, error.message, error instanceof AgentError ? error.code : null];
}
