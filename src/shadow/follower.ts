// Performs what a shadow decides: tells the product, saves what it took, then asks and reports.
import { shadowTopic } from "../cloud/topics.js";
import { AgentError } from "../errors.js";
import type { TimerHandle } from "../host.js";
import { limits } from "../limits.js";
import { fullJitter } from "../util/backoff.js";
import { toUtf8 } from "../util/bytes.js";
import { crc32 } from "../util/crc32.js";
import { readPair, writePair } from "../util/sealed.js";
import type { Wiring } from "../wiring.js";
import {
  encodeValues,
  getRequest,
  parseAccepted,
  parseDelta,
  parseDocument,
  parseRejected,
  parseValues,
  type Reply,
  updateRequest,
} from "./messages.js";
import type { Verdicts } from "./reconcile.js";
import { type ShadowEffect, type ShadowEvent, type ShadowRecord, startingFrom } from "./record.js";
import {
  type Changes,
  defaultsOf,
  type FlatValues,
  type Leaves,
  nest,
  type Value,
} from "./schema.js";
import { step } from "./shadow.js";
import type { Asker, Turns } from "./turns.js";
import type { Update } from "./update.js";

/** Who puts the values in force; the product's settings. */
export interface SettingsListener {
  /** @returns an `Outcome`, or anything else when all of it is in force */
  onChange: ((changed: Changes) => unknown) | undefined;
}

/** What could not be put in force, by the name of a setting or group: not now, or why not. */
export type Outcome = { readonly [name: string]: "deferred" | Error | undefined };

/** How often what was asked for is tried again after the service asked for patience. */
const backoff = Object.freeze({ baseMs: 2000, capMs: 300_000 });

export class Follower implements Asker {
  /** Undefined for the classic shadow. */
  readonly shadow: string | undefined;
  readonly leaves: Leaves;
  /** Set by whoever made it. */
  listener: SettingsListener | undefined;
  #wiring: Wiring | undefined;
  #turns: Turns | undefined;
  #record: ShadowRecord;
  /** Of the last request. */
  #clientToken: string | undefined;
  #waiting: TimerHandle | undefined;

  /** @param values what is only reported, when nothing is declared; then nothing is stored */
  constructor(shadow: string | undefined, leaves: Leaves, values: FlatValues = defaultsOf(leaves)) {
    this.shadow = shadow;
    this.leaves = leaves;
    this.#record = startingFrom(values);
  }

  get values(): FlatValues {
    return this.#record.values;
  }

  get verdicts(): Verdicts | undefined {
    return this.#record.verdicts;
  }

  /** Whether what storage holds is known. */
  get isOpen(): boolean {
    return this.#wiring !== undefined;
  }

  /** Read and reported: nothing is asked for, nothing waits to be. */
  get isSettled(): boolean {
    const { state, request, applying } = this.#record;
    const isRead = state === "following" || state === "halted";
    return isRead && request === undefined && applying === undefined;
  }

  /** The agent starts: what was stored comes into force. */
  open(wiring: Wiring, turns: Turns): void {
    this.#wiring = wiring;
    this.#turns = turns;
    if (!this.isStored) return;
    try {
      const stored = readPair(wiring.store, this.key);
      if (!stored) return;
      const { values, local } = parseValues(stored, this.leaves);
      this.#record = startingFrom(values, local);
    } catch (cause) {
      const message = `${this.name}: the stored values cannot be read, defaults are used`;
      this.fault(new AgentError("storage/damaged", message, { cause }));
    }
    this.tellStored();
  }

  private get isStored(): boolean {
    return Object.keys(this.leaves).length > 0;
  }

  /** Name of the stored value: a shadow's own may be longer than a key. */
  get key(): string {
    if (this.shadow === undefined) return "settings";
    return `set-${crc32(toUtf8(this.shadow)).toString(16).padStart(8, "0")}`;
  }

  private get name(): string {
    return this.shadow === undefined ? "settings" : `settings "${this.shadow}"`;
  }

  /** The product starts from its defaults: what differs from them is news to it. */
  private tellStored(): void {
    const stored: Record<string, Value> = {};
    for (const path of Object.keys(this.leaves))
      if (this.values[path] !== this.leaves[path]!.default) stored[path] = this.values[path]!;
    if (Object.keys(stored).length === 0) return;
    for (const [path, verdict] of this.tell(stored) ?? [])
      this.fault(new AgentError("agent/fault", `${this.name}: stored ${path} ${verdict}`));
  }

  /** Others than the product or the shadow want these: the product is told. @returns verdicts of what it could not put in force */
  take(values: FlatValues): Verdicts | undefined {
    const failed = this.tell(values);
    const taken: Record<string, Value> = {};
    for (const path of Object.keys(values)) if (!failed?.has(path)) taken[path] = values[path]!;
    this.event({ type: "changed", values: taken });
    return failed;
  }

  /** The topics of the replies are subscribed, perhaps with others, perhaps again. */
  subscribed(): void {
    if (this.#record.state === "idle") this.event({ type: "subscribed" });
  }

  lost(): void {
    this.#wiring?.host.timer.clear(this.#waiting);
    this.#clientToken = undefined;
    this.event({ type: "lost" });
  }

  onTurn(): boolean {
    this.event({ type: "turn" });
    return this.isAsking;
  }

  /** An answer is waited for. */
  private get isAsking(): boolean {
    const { request } = this.#record;
    return request === "get" || request === "update";
  }

  onTimeout(): void {
    this.#clientToken = undefined;
    this.event({ type: "timeout" });
  }

  event(event: ShadowEvent): void {
    const before = this.#record;
    const { record, effects } = step(this.leaves, before, event);
    this.#record = record;
    if (record.values !== before.values || record.local !== before.local) this.save(before);
    if (event.type === "applied" && before.applying) this.announce(before.applying, this.#wiring!);
    for (const effect of effects) this.perform(effect, this.#wiring!);
  }

  /** An unchanged value writes nothing; a flash that refuses keeps the values in memory and says so. */
  private save(before: ShadowRecord): void {
    const { values, local } = this.#record;
    if (!this.#wiring || !this.isStored) return;
    const isSame =
      before.local.join() === local.join() &&
      Object.keys(values).every(path => before.values[path] === values[path]);
    if (isSame) return;
    try {
      writePair(this.#wiring.store, this.key, room => encodeValues(values, local, room));
    } catch (cause) {
      const message = `${this.name}: not saved, they hold until the next restart`;
      this.fault(new AgentError("storage/write", message, { cause }));
    }
  }

  private perform(effect: ShadowEffect, wiring: Wiring): void {
    switch (effect.type) {
      case "ask":
        return this.#turns!.want(this);
      case "get":
        return this.send("get", getRequest(this.newToken(wiring)), wiring);
      case "update":
        return this.update(effect.update, wiring);
      case "apply":
        return this.apply();
      case "verdict":
        return this.refuse(effect.path, effect.verdict);
      case "report":
        return this.fault(effect.error);
      case "wait":
        return this.wait(effect.attempt, wiring);
      case "drop":
        return wiring.drop(effect.error);
    }
  }

  private update(update: Update, wiring: Wiring): void {
    const payload = updateRequest(update, this.newToken(wiring));
    const { reported } = update;
    if (reported) wiring.emit({ type: "reported", ...this.which, values: nest(reported) as never });
    // The product may have stopped the agent when it was told.
    if (this.#record.request === "update") this.send("update", payload, wiring);
  }

  private send(operation: "get" | "update", payload: Uint8Array, wiring: Wiring): void {
    const topic = shadowTopic(wiring.thingName!, operation, this.shadow);
    wiring.session.publish({ topic, payload, QoS: 1 });
  }

  private get which(): { readonly shadow?: string } {
    return this.shadow === undefined ? {} : { shadow: this.shadow };
  }

  private apply(): void {
    // Whoever heard of a verdict may have set some of it.
    const { applying } = this.#record;
    const failed = applying && Object.keys(applying).length > 0 ? this.tell(applying) : undefined;
    this.event({ type: "applied", verdicts: failed });
  }

  /** What the product has set itself meanwhile is not among it. */
  private announce(applying: FlatValues, wiring: Wiring): void {
    const applied: Record<string, Value> = {};
    for (const path of Object.keys(applying))
      if (this.values[path] === applying[path]) applied[path] = applying[path]!;
    if (Object.keys(applied).length === 0) return;
    const { version } = this.#record;
    wiring.emit({ type: "settings", ...this.which, changed: nest(applied) as never, version });
  }

  /** @returns verdicts of what the product could not put in force */
  private tell(flat: FlatValues): Verdicts | undefined {
    try {
      return verdictsOf(flat, this.listener?.onChange?.(nest(flat) as Changes));
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error("no reason given");
      const message = `${this.name}: onChange threw for ${Object.keys(flat).join(", ")}`;
      this.fault(new AgentError("agent/fault", message, { cause }));
      return new Map(Object.keys(flat).map(path => [path, failure(error)]));
    }
  }

  private refuse(path: string, text: string): void {
    const colon = text.indexOf(": ");
    const verdict = colon < 0 ? text : text.slice(0, colon);
    const reason = colon < 0 ? "" : text.slice(colon + 2);
    this.#wiring!.emit({ type: "settingRefused", ...this.which, name: path, verdict, reason });
  }

  private fault(error: AgentError): void {
    this.#wiring!.emit({ type: "fault", error });
  }

  private wait(attempt: number, wiring: Wiring): void {
    const { timer, crypto } = wiring.host;
    timer.clear(this.#waiting);
    const delayMs = backoff.baseMs + fullJitter(backoff, attempt, crypto.random(1)[0]! / 256);
    this.#waiting = timer.set(() => wiring.enter(() => this.onDue()), delayMs);
  }

  /** Something else may have ended the wait. */
  private onDue(): void {
    if (this.#record.state === "waiting") this.event({ type: "due" });
  }

  private newToken(wiring: Wiring): string {
    this.#clientToken = wiring.newToken();
    return this.#clientToken;
  }

  /**
   * @param suffix what follows the shadow's own part of the topic
   * @returns      what it brings about, to be done without the payload: that may be as large as all else together
   */
  onMessage(suffix: string, payload: Uint8Array): (() => void) | undefined {
    const read = this.attempt(suffix, () => this.read(suffix, payload));
    if (read === undefined) return undefined;
    return () =>
      this.attempt(suffix, () => ("event" in read ? this.answered(read) : this.event(read)));
  }

  private attempt<T>(suffix: string, work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof AgentError) || error.kind !== "protocol") throw error;
      this.unreadable(suffix, error);
      return undefined;
    }
  }

  /** @returns an answer to a request, or what happened; undefined for what nobody waits for */
  private read(suffix: string, payload: Uint8Array): Reply | ShadowEvent | undefined {
    const { state, request } = this.#record;
    switch (suffix) {
      case "update/delta":
        if (state === "following") return parseDelta(payload, this.leaves);
        return { ...parseAccepted(payload).event, type: "foreign" };
      case "get/accepted":
        return request === "get" ? parseDocument(payload, this.leaves, this.values) : undefined;
      case "get/rejected":
        return request === "get" ? parseRejected(payload, "get") : undefined;
      case "update/accepted":
        return parseAccepted(payload);
      case "update/rejected":
        return request === "update" ? parseRejected(payload, "update") : undefined;
      case "delete/accepted":
        return { type: "deleted" };
      default:
        return undefined;
    }
  }

  /** What cannot be read now cannot be read later; the document may be. */
  unreadable(suffix: string, error: AgentError): void {
    const isRead = suffix.startsWith("get/") && this.#record.request === "get";
    if (!isRead && suffix !== "update/delta") return this.fault(error);
    if (!isRead) return this.event({ type: "garbled", error });
    this.event({ type: "unreadable", error });
    this.#turns!.answered(this);
  }

  /** Every subscriber sees every reply: only the one to our own pending request counts. */
  private answered({ clientToken, event }: Reply): void {
    if (clientToken === undefined || clientToken !== this.#clientToken) {
      if (event.type === "accepted") this.event({ ...event, type: "foreign" });
      return;
    }
    // A second time.
    if (!this.isAsking) return;
    this.event(event);
    this.#turns!.answered(this);
  }
}

function verdictsOf(flat: FlatValues, outcome: unknown): Verdicts | undefined {
  if (typeof outcome !== "object" || outcome === null) return undefined;
  const verdicts = new Map<string, string>();
  for (const path of Object.keys(flat)) {
    const dot = path.indexOf(".");
    const of = (outcome as Outcome)[dot < 0 ? path : path.slice(0, dot)];
    if (of === "deferred") verdicts.set(path, of);
    else if (of instanceof Error) verdicts.set(path, failure(of));
  }
  return verdicts;
}

/** As it can be told: a reason may be of any length, and of characters that no message can hold. */
function failure(error: Error): string {
  let reason = "";
  for (const character of String(error.message)) {
    const point = character.codePointAt(0)!;
    if (reason.length + character.length > limits.verdictCharacters) break;
    reason += point >= 0xd800 && point <= 0xdfff ? "\ufffd" : character;
  }
  return `failed: ${reason}`;
}
