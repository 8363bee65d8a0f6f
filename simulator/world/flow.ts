// One direction of one link: bytes go in, and come out when and as the faults of the moment let them.
import type { Clock, Timer, TimerHandle } from "../../src/host.js";
import type { FlowFaults } from "./faults.js";
import type { Random } from "./random.js";

export interface FlowOptions {
  readonly clock: Pick<Clock, "ticks">;
  readonly timer: Timer;
  readonly random: Random;
  /** What the way takes without any fault, in milliseconds. */
  readonly latencyMs: number;
  /** Asked for every piece. */
  faults(): FlowFaults;
  deliver(bytes: Uint8Array): void;
  /** As many bytes have arrived as the link may live for. */
  onReset(): void;
}

interface Piece {
  readonly byteLength: number;
  arrive(): void;
}

/** Pieces of random size are 1 to this many bytes. */
const randomBytes = 16;
const dozen = 12;
/** How long bytes wait for the dozen to be full. */
const gatherMs = 200;

export class Flow {
  readonly #options: FlowOptions;
  /** On their way, in order; each has a timer, and whichever fires, the first arrives. */
  readonly #pieces: Piece[] = [];
  readonly #timers = new Set<TimerHandle>();
  #gathered: Uint8Array[] = [];
  #gathering: TimerHandle | undefined;
  /** Ticks at which the line has sent all it was given, and at which the last piece arrives. */
  #freeAt = 0;
  #arrivesAt = 0;
  #waitingBytes = 0;
  #arrivedBytes = 0;
  #isDark = false;
  #isOpen = true;

  constructor(options: FlowOptions) {
    this.#options = options;
  }

  /** Bytes that have gone in and not come out. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Nothing comes out any more: bytes were swallowed. */
  get isDark(): boolean {
    return this.#isDark;
  }

  push(bytes: Uint8Array): void {
    if (this.#isSwallowed()) return;
    this.#waitingBytes += bytes.length;
    if (this.#options.faults().segments === "dozen") this.#gather(bytes);
    else {
      this.#release();
      this.#send(bytes);
    }
  }

  /** Lets `arrive` happen once all before it is through and `byteLength` bytes with it, which are nobody's. */
  carry(byteLength: number, arrive: () => void): void {
    if (this.#isSwallowed()) return;
    this.#release();
    this.#waitingBytes += byteLength;
    this.#schedule({ byteLength, arrive });
  }

  /** What is on its way is lost. */
  close(): void {
    this.#isOpen = false;
    const { timer } = this.#options;
    for (const handle of this.#timers) timer.clear(handle);
    this.#timers.clear();
    timer.clear(this.#gathering);
    this.#pieces.length = 0;
    this.#gathered = [];
  }

  #isSwallowed(): boolean {
    if (this.#isOpen && this.#options.faults().swallows) this.#isDark = true;
    return this.#isDark || !this.#isOpen;
  }

  #gather(bytes: Uint8Array): void {
    this.#gathered.push(bytes);
    if (this.#gathered.length >= dozen) this.#release();
    else this.#gathering ??= this.#options.timer.set(() => this.#release(), gatherMs);
  }

  #release(): void {
    this.#options.timer.clear(this.#gathering);
    this.#gathering = undefined;
    if (this.#gathered.length === 0) return;
    const bytes = new Uint8Array(Buffer.concat(this.#gathered));
    this.#gathered = [];
    this.#send(bytes);
  }

  #send(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const piece = bytes.subarray(at, at + this.#pieceBytes());
      at += piece.length;
      const arrive = () => this.#options.deliver(piece);
      this.#schedule({ byteLength: piece.length, arrive });
    }
  }

  /** On a slow line bytes trickle: a tenth of a second's at a time. */
  #pieceBytes(): number {
    const { segments, bytesPerSecond = Number.POSITIVE_INFINITY } = this.#options.faults();
    const trickle = Math.max(1, bytesPerSecond / 10);
    if (segments === "bytes") return 1;
    if (segments === "random")
      return Math.min(trickle, 1 + this.#options.random.below(randomBytes));
    return trickle;
  }

  #schedule(piece: Piece): void {
    const { clock, timer, random, latencyMs } = this.#options;
    const { bytesPerSecond, delayMs = 0, jitterMs = 0 } = this.#options.faults();
    const now = clock.ticks();
    const sendMs = bytesPerSecond === undefined ? 0 : (piece.byteLength * 1000) / bytesPerSecond;
    this.#freeAt = Math.max(now, this.#freeAt) + sendMs;
    const chanceMs = jitterMs > 0 ? random.below(jitterMs + 1) : 0;
    const arrivesAt = this.#freeAt + latencyMs + delayMs + chanceMs;
    this.#arrivesAt = Math.max(this.#arrivesAt, arrivesAt);
    this.#pieces.push(piece);
    const handle = timer.set(
      () => {
        this.#timers.delete(handle);
        this.#arrive();
      },
      Math.ceil(this.#arrivesAt - now),
    );
    this.#timers.add(handle);
  }

  #arrive(): void {
    const piece = this.#pieces.shift()!;
    this.#waitingBytes -= piece.byteLength;
    this.#arrivedBytes += piece.byteLength;
    // What was on its way when the link went dark is lost as well.
    if (this.#isSwallowed()) return;
    const { resetAfterBytes } = this.#options.faults();
    if (resetAfterBytes !== undefined && this.#arrivedBytes > resetAfterBytes) {
      this.#options.onReset();
    } else piece.arrive();
  }
}
