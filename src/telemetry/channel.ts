// A channel that a product has declared: readings in, messages out, at once or window by window. Time is handed in.
import type { Json } from "../codec/json.js";
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";
import { toUtf8 } from "../util/bytes.js";
import type { Readings } from "./telemetry.js";
import { faultOfThreshold, type Side, sideOf, type ThresholdOptions } from "./threshold.js";
import { type Aggregate, aggregates, Window } from "./window.js";

export type Priority = "alert" | "telemetry" | "bulk";

export interface ChannelOptions {
  /** One message for all readings of so many seconds, 1 to 604,800; a message for each reading when absent. */
  readonly windowSeconds?: number;
  /** What is told of the numbers of a window; default all. */
  readonly aggregates?: readonly Aggregate[];
  /** By name of a reading, when to raise an alert. */
  readonly thresholds?: { readonly [reading: string]: ThresholdOptions };
  /** Default "telemetry". Alerts that thresholds raise are "alert" in any case. */
  readonly priority?: Priority;
  /** Default 1. Alerts that thresholds raise have 1 in any case. */
  readonly QoS?: 0 | 1;
  /** Seconds after which a message is of no use any more; alerts that thresholds raise do not have it. */
  readonly ageLimitSeconds?: number;
}

/** One message to be sent. */
export interface ChannelMessage {
  readonly channel: string;
  readonly priority: Priority;
  readonly QoS: 0 | 1;
  readonly ageLimitSeconds: number | undefined;
  /** Epoch ms of the reading, or of the first in a window; undefined when the clock is not set. */
  readonly time: number | undefined;
  readonly isTimeCertain: boolean;
  readonly readings: Readings;
}

interface Threshold {
  readonly name: string;
  readonly options: ThresholdOptions;
  side: Side;
}

/** Members that messages have beside the readings. */
const reserved: readonly string[] = Object.freeze([
  "alert",
  "id",
  "time",
  "timeUncertain",
  "windowSeconds",
]);
const priorities: readonly string[] = Object.freeze(["alert", "telemetry", "bulk"]);
const none: readonly ChannelMessage[] = Object.freeze([]);
const longestSeconds = 604_800;

export class Channel {
  readonly name: string;
  readonly #options: ChannelOptions;
  readonly #thresholds: readonly Threshold[];
  #window: Window | undefined;

  /** @throws AgentError "agent/options" naming the option and the value */
  constructor(name: string, options: ChannelOptions = {}) {
    checkChannel(name, options);
    this.name = name;
    this.#options = options;
    const { thresholds = {} } = options;
    this.#thresholds = Object.keys(thresholds).map(reading => ({
      name: reading,
      options: thresholds[reading]!,
      side: "within",
    }));
  }

  /**
   * Takes readings of one moment, all or none of them.
   *
   * @param ticks  monotonic ms: a wall clock that jumps moves no window
   * @param now    epoch ms of the readings, undefined when the clock is not set
   * @returns      what is to be sent now: the window that has ended, then alerts, then what does not wait for a window
   * @throws       AgentError "telemetry/limit" naming the reading; nothing has changed then
   */
  add(readings: Readings, ticks: number, now: number | undefined): readonly ChannelMessage[] {
    const { windowSeconds } = this.#options;
    const isOver = this.due(ticks) === 0;
    const fault = this.faultOf(readings, isOver ? undefined : this.#window);
    if (fault) throw new AgentError("telemetry/limit", `telemetry: "${this.name}": ${fault}`);
    const ended = isOver ? this.flush(ticks, now) : none;
    const alerts = this.judge(readings, now);
    if (windowSeconds === undefined) return [...alerts, this.message(readings, now)];
    this.collect(readings, ticks, now);
    return alerts.length === 0 ? ended : [...ended, ...alerts];
  }

  /** @returns ms until the window ends, 0 when it is over and waits for `flush`; undefined when there is none */
  due(ticks: number): number | undefined {
    if (!this.#window) return undefined;
    const endTicks = this.#window.startTicks + this.#options.windowSeconds! * 1000;
    return Math.max(0, endTicks - ticks);
  }

  /** Ends the window now, over or not: before a stop or a sleep. @returns its messages; none without a window */
  flush(ticks: number, now: number | undefined): readonly ChannelMessage[] {
    const window = this.#window;
    if (!window) return none;
    window.learn(ticks, now);
    const seconds = Math.round(this.#options.windowSeconds! * 1000 - this.due(ticks)!) / 1000;
    this.#window = undefined;
    return window
      .tell(seconds, this.#options.aggregates ?? aggregates)
      .map(readings => this.message(readings, window.time));
  }

  /** @returns why these readings cannot be taken, into `window` where there is one, or undefined when they can */
  private faultOf(readings: Readings, window: Window | undefined): string | undefined {
    let count = window?.size ?? 0;
    let guess = 0;
    for (const name of Object.keys(readings)) {
      const place = window?.placeOf(name, guess) ?? -1;
      guess = place + 1;
      const fault = place < 0 ? faultOfName(name) : undefined;
      if (fault) return fault;
      const value = readings[name];
      if (value === undefined || value === null) continue;
      const wrong = this.faultOfValue(value);
      if (wrong) return `"${name}" is ${wrong}`;
      if (place < 0) count++;
      else if (window!.isNumber(place) !== (typeof value === "number"))
        return `"${name}" is ${typeof value}, and was another kind before in this window`;
    }
    return count > limits.names ? `${count} names, at most ${limits.names} are taken` : undefined;
  }

  private faultOfValue(value: Json): string | undefined {
    if (typeof value === "number") return Number.isFinite(value) ? undefined : String(value);
    if (this.#options.windowSeconds === undefined || typeof value === "boolean") return undefined;
    return typeof value === "string" && isText(value, limits.textBytes)
      ? undefined
      : `no number, boolean or text of ${limits.textBytes} bytes`;
  }

  private collect(readings: Readings, ticks: number, now: number | undefined): void {
    if (!this.#window) {
      let count = 0;
      for (const name of Object.keys(readings)) if (readings[name] != null) count++;
      if (count === 0) return;
      this.#window = new Window(ticks, count);
    }
    this.#window.learn(ticks, now);
    this.#window.add(readings);
  }

  private judge(readings: Readings, now: number | undefined): readonly ChannelMessage[] {
    let alerts = none;
    for (const threshold of this.#thresholds) {
      const value = readings[threshold.name];
      if (typeof value !== "number") continue;
      const before = threshold.side;
      const side = sideOf(threshold.options, before, value);
      if (side === before) continue;
      threshold.side = side;
      alerts = [
        ...alerts,
        ...this.alert(threshold, before, "cleared", value, now),
        ...this.alert(threshold, side, "raised", value, now),
      ];
    }
    return alerts;
  }

  private alert(
    { name, options }: Threshold,
    side: Side,
    state: "raised" | "cleared",
    value: number,
    time: number | undefined,
  ): readonly ChannelMessage[] {
    if (side === "within") return none;
    const readings = { alert: name, state, side, threshold: options[side]!, value };
    const message = this.message(readings, time);
    return [{ ...message, priority: "alert", QoS: 1, ageLimitSeconds: undefined }];
  }

  private message(readings: Readings, time: number | undefined): ChannelMessage {
    const { priority = "telemetry", QoS = 1, ageLimitSeconds } = this.#options;
    const isTimeCertain = time !== undefined;
    return {
      channel: this.name,
      priority,
      QoS,
      ageLimitSeconds,
      time,
      isTimeCertain,
      readings,
    };
  }
}

/** Whether it is UTF-8 of at most so many bytes. */
function isText(text: string, most: number): boolean {
  if (text.length > most) return false;
  if (/^[ -~]{0,128}$/.test(text)) return true;
  try {
    return toUtf8(text).length <= most;
  } catch {
    return false;
  }
}

function faultOfName(name: string): string | undefined {
  if (name === "" || !isText(name, 64)) return `the name "${name}" is not 1 to 64 bytes`;
  if (reserved.includes(name) || name in {}) return `"${name}" cannot be a reading's name`;
  return undefined;
}

function checkChannel(name: string, options: ChannelOptions): void {
  const {
    windowSeconds,
    thresholds = {},
    priority = "telemetry",
    QoS = 1,
    ageLimitSeconds,
  } = options;
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(name)) fail(`"${name}" is not 1 to 64 of A-Z a-z 0-9 _ -`);
  if (windowSeconds !== undefined) checkSeconds(name, "windowSeconds", windowSeconds);
  if (ageLimitSeconds !== undefined) checkSeconds(name, "ageLimitSeconds", ageLimitSeconds);
  checkAggregates(name, options);
  if (!priorities.includes(priority))
    fail(`${name}.priority "${priority}" is not one of ${priorities.join(", ")}`);
  if (QoS !== 0 && QoS !== 1) fail(`${name}.QoS ${QoS} is not 0 or 1`);
  const readings = Object.keys(thresholds);
  if (readings.length > limits.names)
    fail(`${name}.thresholds has ${readings.length} names, at most ${limits.names} are taken`);
  for (const reading of readings) {
    const fault = faultOfName(reading);
    if (fault) fail(`${name}.thresholds: ${fault}`);
    const wrong = faultOfThreshold(thresholds[reading]!);
    if (wrong) fail(`${name}.thresholds.${reading} ${wrong}`);
  }
}

function checkAggregates(
  name: string,
  { windowSeconds, aggregates: wanted }: ChannelOptions,
): void {
  if (wanted === undefined) return;
  if (windowSeconds === undefined) fail(`${name}.aggregates without windowSeconds`);
  if (wanted.length === 0) fail(`${name}.aggregates is empty`);
  for (const aggregate of wanted) {
    if (!aggregates.includes(aggregate))
      fail(`${name}.aggregates: "${aggregate}" is not one of ${aggregates.join(", ")}`);
  }
}

function checkSeconds(channel: string, name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1 || value > longestSeconds)
    fail(`${channel}.${name} ${value} is not 1 to ${longestSeconds}`);
}

function fail(reason: string): never {
  throw new AgentError("agent/options", `options.telemetry.channels: ${reason}`);
}
