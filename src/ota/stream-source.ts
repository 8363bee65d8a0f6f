// Blocks from an MQTT file stream, in CBOR: some are asked for ahead, and asked for again when nothing more comes.
import { streamTopic } from "../cloud/topics.js";
import { readCbor, writeCbor } from "../codec/cbor.js";
import { AgentError } from "../errors.js";
import type { TimerHandle } from "../host.js";
import { limits } from "../limits.js";
import { chanceFrom, fullJitter } from "../util/backoff.js";
import { deepFreeze } from "../util/machine.js";
import { quoted } from "./quoted.js";
import type { Source, SourceEnd, SourceOwner } from "./source.js";
import { blockBytes } from "./staging.js";

const dataShape = deepFreeze({
  c: "string",
  f: "integer",
  i: "integer",
  l: "integer",
  p: "raw",
} as const);

/** Texts of the reference have both forms. */
const rejectedShape = deepFreeze({
  o: "string",
  m: "string",
  c: "string",
  code: "string",
  message: "string",
  clientToken: "string",
} as const);

/** Answers that stay the same however often the same is asked. */
const finalCodes: readonly string[] = deepFreeze([
  "BlockBitmapLimitExceeded",
  "BlockCountLimitExceeded",
  "BlockSizeOutOfBounds",
  "ETagMismatch",
  "InvalidCbor",
  "InvalidJson",
  "InvalidRequest",
  "InvalidTopic",
  "OffsetOutOfBounds",
  "ResourceNotFound",
  "Unauthorized",
  "VersionMismatch",
]);

const retry = deepFreeze({ baseMs: 2000, capMs: 60_000 });

export class StreamSource implements Source {
  readonly #owner: SourceOwner;
  readonly #stream: string;
  readonly #fileId: number;
  readonly #prefix: string;
  /** Begins the token of every request; how often it was silent ends it. */
  readonly #name: string;
  #silences = 0;
  /** After a silence: one block was asked for again. */
  #isProbing = false;
  /** Blocks that are asked for and have not come. */
  #asked: number[] = [];
  /** Requests since the last block. */
  #tries = 0;
  /** Silence is taken for loss after this long: longer where blocks are known to come slowly. */
  #patienceMs: number = limits.streamSilenceMs;
  /** Ticks of the last block, or of the start. */
  #heardAt = 0;
  /** From one block to the next, the last time: in a burst, or on a fast line, hardly anything. */
  #gapMs: number = limits.streamAheadMs;
  /** Blocks that may be asked for ahead. More than the line brings in a while would delay all else that comes over it. */
  #window = 2;
  #error: AgentError;
  #timer: TimerHandle | undefined;
  #hasHeard = false;
  #isOn = false;

  /** @throws AgentError "ota/source" without a thing's name */
  constructor(
    owner: SourceOwner,
    { stream, fileId }: { readonly stream: string; readonly fileId: number },
  ) {
    const { thingName } = owner;
    if (thingName === undefined)
      throw new AgentError("ota/source", `stream ${stream}: the device has no thing name`);
    this.#owner = owner;
    this.#stream = stream;
    this.#fileId = fileId;
    this.#prefix = streamTopic(thingName, stream, "");
    this.#name = owner.newToken();
    this.#error = this.fault("no answer");
  }

  start(): void {
    this.#isOn = true;
    this.#heardAt = this.#owner.host.clock.ticks();
    this.ask();
  }

  stop(): void {
    this.#isOn = false;
    this.#owner.host.timer.clear(this.#timer);
    this.#timer = undefined;
    this.#asked = [];
  }

  onMessage(topic: string, payload: Uint8Array): void {
    if (!this.#isOn) return;
    try {
      if (topic === `${this.#prefix}data/cbor`) this.onData(payload);
      else if (topic === `${this.#prefix}rejected/cbor`) this.onRejected(payload);
      else this.#owner.onStray();
    } catch (error) {
      // Not CBOR, or none of these messages.
      if (!(error instanceof AgentError)) throw error;
      this.#owner.onStray();
    }
  }

  private onData(payload: Uint8Array): void {
    const answer = readCbor(payload, dataShape, "stream");
    const { c: token, f: fileId, i: index = -1, l: length, p: bytes } = answer;
    if (!this.isOurs(token) || fileId !== this.#fileId) {
      this.#owner.onStray();
      return;
    }
    const at = this.#asked.indexOf(index);
    // What was asked for before the silence has come, or never will.
    const isAnswer = this.#isProbing && (token === undefined ? at === 0 : token === this.token);
    const isWhole = bytes !== undefined && (length === undefined || length === bytes.length);
    const isWanted = at >= 0 && isWhole && bytes.length === this.#owner.staging.lengthOf(index);
    if (isWanted) {
      this.#asked.splice(at, 1);
      this.heard();
      this.#owner.onBlock(index, bytes);
    } else {
      this.#owner.onStray();
      if (at >= 0 && isWhole) {
        // The file there is not the one of the document: told when nothing better comes.
        this.#error = this.misfit(index, bytes.length);
        // Asked for twice, and the same again.
        if (isAnswer) this.end("refused");
      }
    }
    if (!this.#isOn || !(isWanted || isAnswer)) return;
    if (isAnswer) this.#asked = [];
    if (this.#asked.length === 0) this.#isProbing = false;
    if (!this.#isProbing && this.#asked.length <= this.#window / 2) this.ask();
    else this.watch(this.#patienceMs);
  }

  private heard(): void {
    this.#tries = 0;
    const now = this.#owner.host.clock.ticks();
    if (this.#hasHeard) this.paced(now - this.#heardAt);
    this.#hasHeard = true;
    // Blocks come fast again: a lost one is missed sooner.
    if (now - this.#heardAt < this.#patienceMs / 4)
      this.#patienceMs = Math.max(limits.streamSilenceMs, this.#patienceMs / 2);
    this.#heardAt = now;
  }

  /** The shorter of two gaps is what the line takes: the longer may be a way back and forth, with nothing on it. */
  private paced(gapMs: number): void {
    const most = Math.floor(limits.streamAheadMs / Math.max(1, Math.min(gapMs, this.#gapMs)));
    this.#window = Math.max(2, Math.min(limits.streamWindow, most));
    this.#gapMs = gapMs;
  }

  /** Whoever leaves the token out answers nobody else either: nobody has asked without. */
  private isOurs(token: string | undefined): boolean {
    return token === undefined || token.startsWith(`${this.#name}.`);
  }

  private get token(): string {
    return `${this.#name}.${this.#silences}`;
  }

  private onRejected(payload: Uint8Array): void {
    const answer = readCbor(payload, rejectedShape, "stream");
    const {
      o: code = answer.code,
      m: message = answer.message,
      c: token = answer.clientToken,
    } = answer;
    if (code === undefined || !this.isOurs(token) || this.#asked.length === 0) {
      this.#owner.onStray();
      return;
    }
    const detail = message === undefined ? "" : ` (${quoted(message)})`;
    this.#error = this.fault(quoted(code) + detail);
    if (finalCodes.includes(code)) this.end("refused");
    else this.watch(fullJitter(retry, this.#tries, chanceFrom(this.#owner.host)));
  }

  /** Asks for as many more as the window takes. */
  private ask(): void {
    const wanted = this.wanted();
    if (wanted.length === 0) this.watch(this.#patienceMs);
    else if (this.send(wanted)) this.#asked.push(...wanted);
  }

  /** @param wanted ascending; bit 0 of the bitmap is the first. @returns whether the request is on its way */
  private send(wanted: readonly number[]): boolean {
    if (this.#tries >= limits.streamTries) {
      this.end("lost");
      return false;
    }
    this.#tries++;
    const first = wanted[0]!;
    const bitmap = new Uint8Array(((wanted.at(-1)! - first) >> 3) + 1);
    for (const index of wanted) bitmap[(index - first) >> 3]! |= 1 << ((index - first) & 7);
    const request = {
      c: this.token,
      f: this.#fileId,
      l: blockBytes,
      o: first,
      n: wanted.length,
      b: bitmap,
    };
    try {
      const topic = `${this.#prefix}get/cbor`;
      // At QoS 0: the answer is the acknowledgement, and the session's window is for others.
      this.#owner.session.publish({ topic, payload: writeCbor(request), QoS: 0 });
    } catch (cause) {
      this.#error = this.fault("no room for a request", cause);
      this.watch(limits.streamBusyMs);
      return false;
    }
    this.watch(this.#patienceMs);
    return true;
  }

  /** Missing blocks that nobody has asked for: as many as the window takes, and one bitmap holds. */
  private wanted(): number[] {
    const { staging } = this.#owner;
    const wanted: number[] = [];
    let end = staging.blocks;
    for (
      let index = staging.nextMissing();
      index < end && this.#asked.length + wanted.length < this.#window;
      index = staging.nextMissing(index + 1)
    ) {
      if (this.#asked.includes(index)) continue;
      if (wanted.length === 0) end = Math.min(end, index + limits.streamSpan);
      wanted.push(index);
    }
    return wanted;
  }

  private watch(delayMs: number): void {
    const { host } = this.#owner;
    host.timer.clear(this.#timer);
    this.#timer = host.timer.set(() => this.#owner.enter(() => this.onDue()), delayMs);
  }

  /**
   * Nothing came. What was asked for may be lost, or slow: one block is asked for again, and the answer to that tells. Asking for
   * all of it again would double what a slow line has to carry.
   */
  private onDue(): void {
    if (!this.#isOn) return;
    if (this.#tries <= 1 && this.#hasHeard)
      this.#patienceMs = Math.min(limits.streamPatienceMs, this.#patienceMs * 2);
    const [first] = this.#asked;
    if (first === undefined) this.ask();
    else {
      this.#silences++;
      this.#isProbing = true;
      this.send([first]);
    }
  }

  private end(why: SourceEnd["why"]): void {
    this.stop();
    this.#owner.onEnd({ error: this.#error, why });
  }

  private misfit(index: number, length: number): AgentError {
    const wanted = this.#owner.staging.lengthOf(index);
    return this.fault(`block ${index} has ${length} bytes in place of ${wanted}`);
  }

  private fault(what: string, cause?: unknown): AgentError {
    return new AgentError("ota/source", `stream ${this.#stream}: ${what}`, { cause });
  }
}
