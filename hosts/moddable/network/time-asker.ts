// Asks one time server after the other, and believes only who answers the question that was asked.
import type { Clock, Timer, TimerHandle } from "../../../src/host.js";
import { encodeQuestion, markBytes, ntpPort, parseAnswer } from "./ntp.js";

export interface Datagrams {
  send(bytes: Uint8Array, address: string, port: number): void;
  close(): void;
}

export interface AskerParts {
  readonly clock: Clock;
  readonly timer: Timer;
  random(byteLength: number): Uint8Array;
  /** Names and addresses, the best first. */
  servers(): readonly string[];
  /** Calls back once, later; without an address where there is none. */
  resolve(name: string, onResolved: (address: string | undefined) => void): void;
  /** @throws when there is no socket */
  open(onMessage: (bytes: Uint8Array, address: string, port: number) => void): Datagrams;
}

export type TimeAnswer =
  | { readonly type: "told"; readonly time: number; readonly server: string }
  | { readonly type: "untold"; readonly fault: "time" | "portal"; readonly detail: string };

export const askerLimits = Object.freeze({
  /** Questions to one server, and the wait for each answer. */
  tries: 2,
  answerMs: 3000,
  resolveMs: 10_000,
  /** Nobody is asked after these. */
  servers: 6,
});

/** No firmware with this file is older, and no clock of 32 bits goes further. */
const earliest = Date.UTC(2025, 0, 1);
const latest = Date.UTC(2100, 0, 1);

/** One round of questions. */
interface Round {
  readonly left: string[];
  readonly asked: string[];
  /** Names that were found, and where. */
  readonly found: Map<string, string>;
  readonly onAnswer: (answer: TimeAnswer) => void;
  name: string;
  address: string | undefined;
  mark: Uint8Array;
  askedAt: number;
  tries: number;
}

export class TimeAsker {
  readonly #parts: AskerParts;
  #round: Round | undefined;
  #timer: TimerHandle | undefined;
  #socket: Datagrams | undefined;

  constructor(parts: AskerParts) {
    this.#parts = parts;
  }

  /** Calls back once, later, unless `stop` comes first. */
  ask(onAnswer: (answer: TimeAnswer) => void): void {
    this.stop();
    const left = [...new Set(this.#parts.servers())].slice(0, askerLimits.servers);
    const none = { name: "", address: undefined, mark: new Uint8Array(0), askedAt: 0, tries: 0 };
    const round: Round = { left, asked: [], found: new Map(), onAnswer, ...none };
    this.#round = round;
    this.after(0, () => this.next(round));
  }

  stop(): void {
    this.#parts.timer.clear(this.#timer);
    this.#timer = undefined;
    this.#socket?.close();
    this.#socket = undefined;
    this.#round = undefined;
  }

  private next(round: Round): void {
    const name = round.left.shift();
    round.address = undefined;
    if (name === undefined) return this.finish(round, untold(round));
    round.name = name;
    round.tries = 0;
    this.after(askerLimits.resolveMs, () => this.next(round));
    this.#parts.resolve(name, address => {
      // It may come after its time, when another is being asked already.
      if (this.#round !== round || round.name !== name || round.tries > 0) return;
      if (address === undefined) this.after(0, () => this.next(round));
      else this.found(round, address);
    });
  }

  private found(round: Round, address: string): void {
    round.address = address;
    round.asked.push(round.name);
    if (address !== round.name) round.found.set(round.name, address);
    this.question(round);
  }

  private question(round: Round): void {
    if (round.tries === askerLimits.tries) return this.next(round);
    round.tries++;
    this.after(askerLimits.answerMs, () => this.question(round));
    try {
      round.mark = this.#parts.random(markBytes);
      this.#socket ??= this.#parts.open((bytes, from, port) => this.onMessage(bytes, from, port));
      round.askedAt = this.#parts.clock.ticks();
      this.#socket.send(encodeQuestion(round.mark), round.address!, ntpPort);
    } catch (_refused) {
      // No room, or no route: as if nobody had answered.
    }
  }

  private onMessage(bytes: Uint8Array, from: string, port: number): void {
    const round = this.#round;
    if (round?.address === undefined || from !== round.address || port !== ntpPort) return;
    const answer = parseAnswer(bytes, round.mark);
    if (answer.type === "foreign") return;
    const halfWay = (this.#parts.clock.ticks() - round.askedAt) / 2;
    if (answer.type === "refused" || answer.time < earliest || answer.time >= latest) {
      return this.next(round);
    }
    this.finish(round, {
      type: "told",
      time: Math.round(answer.time + halfWay),
      server: round.name,
    });
  }

  private finish(round: Round, answer: TimeAnswer): void {
    this.stop();
    round.onAnswer(answer);
  }

  private after(delayMs: number, work: () => void): void {
    const { timer } = this.#parts;
    timer.clear(this.#timer);
    this.#timer = timer.set(work, delayMs);
  }
}

/** Two names of different owners at one address, and nobody there who knows the time: somebody answers for all of them. */
function untold({ asked, found }: Round): TimeAnswer {
  const addresses = [...new Set(found.values())];
  if (found.size > 1 && addresses.length === 1) {
    return { type: "untold", fault: "portal", detail: addresses[0]! };
  }
  const detail = asked.length > 0 ? `asked: ${asked.join(", ")}` : "no name is resolved";
  return { type: "untold", fault: "time", detail };
}
