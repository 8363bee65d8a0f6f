// Brings the missing blocks of an image into the slot, from whichever of its sources works.
import { AgentError } from "../errors.js";
import type { Host, TimerHandle } from "../host.js";
import { limits } from "../limits.js";
import type { Session } from "../mqtt/session.js";
import type { Door } from "../wiring.js";
import type { OfferSource } from "./offer.js";
import { RangeSource } from "./range-source.js";
import type { Source, SourceEnd, SourceOwner } from "./source.js";
import type { Staging } from "./staging.js";
import { StreamSource } from "./stream-source.js";

export interface DownloadOwner extends Door {
  readonly host: Host;
  readonly session: Session;
  readonly thingName: string | undefined;
  /** Epoch ms, or undefined while the wall clock is not set. */
  readonly now: number | undefined;
  /** Epoch ms that are known to be past, or undefined when nothing is known. */
  readonly timeFloor: number | undefined;
  newToken(): string;
  /** Progress: so many blocks are in the slot. */
  onBlock(done: number, total: number): void;
  /** Every block is in the slot; the download is over. */
  onComplete(): void;
  /** A link has expired and no other source is left: a new document is asked for; `sources` follows. */
  onExpired(): void;
  /** All sources are used up, or the slot cannot be written; the download is over. */
  onFailed(error: AgentError): void;
}

interface Candidate {
  readonly source: OfferSource;
  /** How it ended last, since the sources were named. */
  end: SourceEnd["why"] | undefined;
}

/**
 * One source at a time, the first that works; sources are changed between any two blocks. All of them are tried again as long as
 * a round brings a block, so that it ends: with every block, or with `onFailed`.
 */
export class Download implements SourceOwner {
  readonly staging: Staging;
  readonly trustAnchors: readonly Uint8Array[];
  readonly #owner: DownloadOwner;
  #candidates: readonly Candidate[] = [];
  /** The candidate that runs, or would if the link were up. */
  #at = 0;
  #running: Source | undefined;
  #isOnline = false;
  #isOver = false;
  /** A new document is asked for: so often since the last block. */
  #asked = 0;
  #isAwaiting = false;
  /** Blocks that were there when this round through the sources began. */
  #before = 0;
  #strays = 0;
  /** Ticks at which the source that runs was begun; links lost soon after that, without a block between them. */
  #begunAt = 0;
  #losses = 0;
  #soon: TimerHandle | undefined;

  /** @param staging has begun */
  constructor(owner: DownloadOwner, staging: Staging, trustAnchors: readonly Uint8Array[]) {
    this.#owner = owner;
    this.staging = staging;
    this.trustAnchors = trustAnchors;
  }

  /** Messages that were no block anybody had asked for. */
  get strays(): number {
    return this.#strays;
  }

  /** Replaces all sources; what has failed before is tried again. */
  sources(sources: readonly OfferSource[]): void {
    if (this.#isOver) return;
    this.rest();
    this.#candidates = sources.map(source => ({ source, end: undefined }));
    this.#isAwaiting = false;
    this.begin();
  }

  online(): void {
    if (this.#isOver || this.#isOnline) return;
    this.#isOnline = true;
    this.begin();
  }

  /** Nothing is fetched without the link: whoever ends the job could not be heard. */
  offline(): void {
    this.#isOnline = false;
    if (this.#running) this.count();
    this.rest();
  }

  /** A broker ends the link of whoever asks for what he may not: asked for with every link, that would be for ever. */
  private count(): void {
    if (this.host.clock.ticks() - this.#begunAt >= limits.streamSilenceMs) return;
    if (++this.#losses < limits.linkLosses) return;
    this.#losses = 0;
    this.#candidates[this.#at]!.end = "refused";
  }

  /** Nothing is called back any more. The staging stays as it is. */
  close(): void {
    this.#isOver = true;
    this.offline();
  }

  /** Messages on the topics of the streams; others are passed over. */
  onMessage(topic: string, payload: Uint8Array): void {
    this.#running?.onMessage(topic, payload);
  }

  // -- what the sources ask and tell --

  get host(): Host {
    return this.#owner.host;
  }

  get session(): Session {
    return this.#owner.session;
  }

  get thingName(): string | undefined {
    return this.#owner.thingName;
  }

  get judgedAt(): number | undefined {
    return this.#owner.now ?? this.#owner.timeFloor;
  }

  newToken(): string {
    return this.#owner.newToken();
  }

  enter(work: () => void): void {
    this.#owner.enter(work);
  }

  onBlock(index: number, bytes: Uint8Array): void {
    try {
      this.staging.write(index, bytes);
    } catch (error) {
      this.fail(error as AgentError);
      return;
    }
    this.#asked = 0;
    this.#losses = 0;
    const { done, blocks, isComplete } = this.staging;
    if (isComplete) this.close();
    this.#owner.onBlock(done, blocks);
    if (isComplete) this.#owner.onComplete();
  }

  onStray(): void {
    this.#strays++;
  }

  onEnd({ error, why }: SourceEnd): void {
    this.#running = undefined;
    this.#candidates[this.#at]!.end = why;
    this.next(this.#at + 1, error);
  }

  // -- which source --

  /** In a turn of its own: nobody is called back from inside a call. */
  private begin(): void {
    if (!this.#isOnline || this.#candidates.length === 0) return;
    this.#soon = this.host.timer.set(() => this.enter(() => this.resume()), 0);
  }

  private resume(): void {
    this.#soon = undefined;
    if (this.staging.isComplete) {
      this.close();
      this.#owner.onComplete();
    } else if (this.#isAwaiting) this.#owner.onExpired();
    else {
      this.#before = this.staging.done;
      this.next(0, new AgentError("ota/source", "ota: the link is lost with each request for it"));
    }
  }

  /** @param error what is told when no source is left */
  private next(from: number, error: AgentError): void {
    const candidates = this.#candidates;
    this.#at = from;
    // What was lost in this round has its turn in the next.
    while (this.#at < candidates.length && !isUsable(candidates[this.#at]!)) this.#at++;
    if (this.#at < candidates.length) this.run(candidates[this.#at]!.source);
    else if (candidates.some(isUsable) && this.staging.done > this.#before) {
      this.#before = this.staging.done;
      this.next(0, error);
    } else if (candidates.some(({ end }) => end === "expired") && this.#asked < limits.linkTries) {
      this.#asked++;
      this.#isAwaiting = true;
      this.#owner.onExpired();
    } else this.fail(error);
  }

  private run(source: OfferSource): void {
    this.#begunAt = this.host.clock.ticks();
    try {
      this.#running =
        "stream" in source ? new StreamSource(this, source) : new RangeSource(this, source.url);
      this.#running.start();
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      this.onEnd({ error, why: "refused" });
    }
  }

  private rest(): void {
    this.host.timer.clear(this.#soon);
    this.#soon = undefined;
    this.#running?.stop();
    this.#running = undefined;
  }

  private fail(error: AgentError): void {
    this.close();
    this.#owner.onFailed(error);
  }
}

function isUsable({ end }: Candidate): boolean {
  return end === undefined || end === "lost";
}
