// Blocks from a link: ranges of the file over HTTPS, the next asked for before the one at hand is all here.
import { AgentError } from "../errors.js";
import type { TimerHandle } from "../host.js";
import { limits } from "../limits.js";
import { type Backoff, chanceFrom, fullJitter } from "../util/backoff.js";
import { deepFreeze } from "../util/machine.js";
import {
  encodeRequest,
  HeadReader,
  type Place,
  parseUrl,
  type ResponseHead,
  redirected,
} from "./http.js";
import { HttpsLink } from "./https-link.js";
import type { Source, SourceEnd, SourceOwner } from "./source.js";
import { blockBytes } from "./staging.js";

const retry: Backoff = deepFreeze({ baseMs: 1000, capMs: 60_000 });

/** Of the file, from its first byte up to but not including `end`; begins with a block. */
interface Range {
  readonly from: number;
  readonly end: number;
}

export class RangeSource implements Source {
  readonly #owner: SourceOwner;
  /** Where the link leads, and where the server sent us from there. */
  readonly #link: Place;
  #place: Place;
  #redirects = 0;
  #connection: HttpsLink | undefined;
  /** Asked for on this connection, oldest first; the body that is read belongs to the first. */
  #ranges: Range[] = [];
  /** The block from which the next range is looked for. */
  #cursor = 0;
  #head: HeadReader | undefined;
  /** What has been read of the connection, and not been used. */
  #rest: Uint8Array | undefined;
  #block: Uint8Array | undefined;
  /** Bytes of the file in the body at hand: where it is, and how much of the block is there. */
  #at = 0;
  #have = 0;
  /** Why the connection is over, while it is still read. */
  #lostWith: AgentError | undefined;
  /** The server has sent a range: the next may be asked for ahead. */
  #isRanged = false;
  /** The server ends each connection after one response: it is asked for more in each. */
  #isBrief = false;
  /** Whole files that were sent in place of a range. */
  #wholes = 0;
  /** Ends without a block between them. */
  #tries = 0;
  #timer: TimerHandle | undefined;
  #soon: TimerHandle | undefined;
  #isOn = false;

  /** @throws AgentError "ota/source" for what is no link to follow */
  constructor(owner: SourceOwner, url: string) {
    this.#owner = owner;
    this.#link = parseUrl(url);
    this.#place = this.#link;
  }

  start(): void {
    this.#isOn = true;
    this.dial();
  }

  stop(): void {
    this.#isOn = false;
    this.hangUp();
    this.#owner.host.timer.clear(this.#timer);
    this.#timer = undefined;
  }

  onMessage(): void {
    this.#owner.onStray();
  }

  // -- the connection --

  private dial(): void {
    const { host, judgedAt, trustAnchors } = this.#owner;
    if (judgedAt === undefined) {
      this.end("lost", new AgentError("connection/clock", "https: no time is known"));
      return;
    }
    try {
      this.#connection = new HttpsLink({
        door: this.#owner,
        host,
        name: this.#place.host,
        port: this.#place.port,
        trustAnchors,
        now: judgedAt,
        onOpen: () => this.request(),
        onReadable: () => this.read(),
        onLost: error => this.onLost(error),
      });
    } catch (cause) {
      this.again(this.fault("cannot be dialed", cause));
    }
  }

  /** Lets the connection go, and all that was asked for on it. */
  private hangUp(): void {
    this.#connection?.close();
    this.#connection = undefined;
    this.#owner.host.timer.clear(this.#soon);
    this.#soon = undefined;
    this.#ranges = [];
    this.#cursor = 0;
    this.#head = undefined;
    this.#rest = undefined;
    this.#block = undefined;
    this.#lostWith = undefined;
    this.#isRanged = false;
  }

  /** What has arrived before its end still counts. */
  private onLost(error: AgentError): void {
    this.#lostWith = error;
    if (this.#soon === undefined) this.read();
  }

  /** Asks for as much as may be outstanding. */
  private request(): void {
    const { staging } = this.#owner;
    while (this.#ranges.length < (this.#isRanged && !this.#isBrief ? 2 : 1)) {
      const first = staging.nextMissing(this.#cursor);
      if (first >= staging.blocks) break;
      const most = this.#isBrief ? staging.blocks : first + limits.rangeBytes / blockBytes;
      let end = first + 1;
      while (end < staging.blocks && end < most && !staging.isDone(end)) end++;
      this.#cursor = end;
      const range = { from: first * blockBytes, end: Math.min(end * blockBytes, staging.size) };
      this.#ranges.push(range);
      this.#connection?.write(encodeRequest(this.#place, range.from, range.end - 1));
    }
    if (this.#head === undefined && this.#block === undefined && this.#ranges.length > 0)
      this.watch(limits.headMs, "no answer");
  }

  // -- what comes --

  /** Up to the end of one block: the rest has a turn of its own. */
  private read(): void {
    for (;;) {
      if (!this.#isOn || this.#soon !== undefined) return;
      const bytes = this.#rest ?? this.#connection?.read(limits.readBytes);
      this.#rest = undefined;
      if (bytes === undefined) {
        if (this.#lostWith) this.again(this.#lostWith);
        return;
      }
      let taken = 0;
      try {
        taken = this.#block ? this.onBody(this.#block, bytes) : this.onHead(bytes);
      } catch (error) {
        if (!(error instanceof AgentError) || error.code !== "ota/source") throw error;
        this.again(this.fault(error.message));
        return;
      }
      if (this.#isOn && this.#connection && taken < bytes.length)
        this.#rest = bytes.subarray(taken);
    }
  }

  /** @returns how many of the bytes it took */
  private onHead(bytes: Uint8Array): number {
    if (this.#ranges.length === 0) throw new AgentError("ota/source", "more than was asked for");
    this.#head ??= new HeadReader();
    const found = this.#head.push(bytes);
    if (found === undefined) return bytes.length;
    this.#head = undefined;
    this.onResponse(found.head);
    return found.taken;
  }

  private onResponse(head: ResponseHead): void {
    const { status } = head;
    if (status === 206) this.onRange(head);
    else if (status === 200) this.onWhole(head);
    else if (status === 301 || status === 302 || status === 303 || status === 307 || status === 308)
      this.onRedirect(head);
    else if (status === 401 || status === 403 || status === 410) this.onExpired(status);
    else if (status === 408 || status === 429 || status >= 500)
      this.again(this.fault(`status ${status}`));
    else this.refuse(`status ${status}, ${head.type}`);
  }

  private onRange(head: ResponseHead): void {
    const { from, end } = this.#ranges[0]!;
    const { range, length, isCoded } = head;
    if (
      range?.first !== from ||
      range.last !== end - 1 ||
      range.total !== this.#owner.staging.size
    ) {
      const got = range ? `${range.first} to ${range.last} of ${range.total}` : "no range";
      const wanted = `${from} to ${end - 1} of ${this.#owner.staging.size}`;
      this.refuse(`${got} in place of bytes ${wanted}`);
    } else if (isCoded || length !== end - from)
      this.refuse(`a range with ${isCoded ? "a coding" : `${length} bytes of ${end - from}`}`);
    else {
      this.#isRanged = true;
      if (head.isLast) this.#isBrief = true;
      this.#redirects = 0;
      this.begin(from);
      this.request();
    }
  }

  /** A server that ignores ranges: what is missing is taken from the whole file, a few times. */
  private onWhole({ length, type, isCoded }: ResponseHead): void {
    const { size } = this.#owner.staging;
    const isPage = type.toLowerCase().startsWith("text/html");
    if (isPage || isCoded || length !== size) {
      const bytes = length === undefined ? "of unknown length" : `of ${length} bytes`;
      this.refuse(`${type} ${bytes}, the image has ${size}`);
    } else if (this.#wholes >= limits.wholeFiles) {
      this.refuse(`ranges are ignored, and the whole file broke off ${this.#wholes} times`);
    } else {
      this.#wholes++;
      this.#ranges = [{ from: 0, end: size }];
      this.#cursor = this.#owner.staging.blocks;
      this.begin(0);
    }
  }

  private onRedirect({ location }: ResponseHead): void {
    if (location === undefined) this.refuse("a redirect to nowhere");
    else if (this.#redirects >= limits.redirects)
      this.refuse(`more than ${limits.redirects} redirects`);
    else {
      try {
        this.#place = redirected(this.#place, location);
      } catch (error) {
        this.refuse(`redirected: ${(error as AgentError).message}`);
        return;
      }
      this.#redirects++;
      this.hangUp();
      this.later(0, () => this.dial());
    }
  }

  private onExpired(status: number): void {
    const error = this.fault(`status ${status}: the link does not hold any more`, undefined, true);
    if (this.#place === this.#link) this.end("expired", error);
    else {
      // Where the link led to has expired: it may lead elsewhere now.
      this.#place = this.#link;
      this.#redirects = 0;
      this.again(error, "expired");
    }
  }

  private begin(at: number): void {
    this.#at = at;
    this.#have = 0;
    this.#block = new Uint8Array(blockBytes);
    this.watch(limits.blockMs, "no block");
  }

  /** @returns how many of the bytes it took */
  private onBody(block: Uint8Array, bytes: Uint8Array): number {
    const { staging } = this.#owner;
    const index = this.#at / blockBytes;
    const length = staging.lengthOf(index);
    const taken = Math.min(bytes.length, length - this.#have);
    block.set(taken === bytes.length ? bytes : bytes.subarray(0, taken), this.#have);
    this.#have += taken;
    if (this.#have < length) return taken;
    this.#at += length;
    this.#have = 0;
    if (this.#at === this.#ranges[0]!.end) {
      this.#block = undefined;
      this.#ranges.shift();
      // The next request leaves before flash is busy with this block.
      if (!this.#isBrief) this.request();
    } else this.watch(limits.blockMs, "no block");
    this.pause();
    if (!staging.isDone(index)) {
      this.#tries = 0;
      this.#owner.onBlock(index, block.subarray(0, length));
    }
    if (this.#isOn && this.#isBrief && this.#block === undefined) this.hangUpAndGoOn();
    return taken;
  }

  /** Flash has been busy: others have their turn before the next block. */
  private pause(): void {
    const { host } = this.#owner;
    this.#soon = host.timer.set(
      () =>
        this.#owner.enter(() => {
          this.#soon = undefined;
          this.read();
        }),
      0,
    );
  }

  private hangUpAndGoOn(): void {
    this.hangUp();
    this.later(0, () => this.dial());
  }

  // -- ends --

  private watch(delayMs: number, what: string): void {
    this.later(delayMs, () => this.again(this.fault(`${what} in ${delayMs} ms`)));
  }

  private later(delayMs: number, work: () => void): void {
    const { timer } = this.#owner.host;
    timer.clear(this.#timer);
    this.#timer = timer.set(() => {
      this.#owner.enter(() => {
        if (this.#isOn) work();
      });
    }, delayMs);
  }

  /** Another connection after a pause, unless there were too many without a block. */
  private again(error: AgentError, why: SourceEnd["why"] = "lost"): void {
    this.hangUp();
    if (error.code === "connection/untrusted") this.end("refused", error);
    else if (++this.#tries >= limits.rangeTries) this.end(why, error);
    else {
      const delayMs = fullJitter(retry, this.#tries - 1, chanceFrom(this.#owner.host));
      this.later(delayMs, () => this.dial());
    }
  }

  private refuse(what: string): void {
    this.end("refused", this.fault(what));
  }

  private end(why: SourceEnd["why"], error: AgentError): void {
    this.stop();
    this.#owner.onEnd({ error, why });
  }

  private fault(what: string, cause?: unknown, isExpired = false): AgentError {
    const code = isExpired ? "ota/expired" : "ota/source";
    return new AgentError(code, `${this.#place.host}: ${what}`, { cause });
  }
}
