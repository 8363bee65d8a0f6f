// Telemetry on its way to the cloud: a bounded queue in memory, oldest dropped and counted when full.
import { type Json, writeJson } from "../codec/json.js";
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";
import type { QoS } from "../mqtt/packet.js";
import { toUtf8 } from "../util/bytes.js";

export interface Sample {
  readonly channel: string;
  readonly payload: Uint8Array;
  readonly QoS: QoS;
}

/** What a message holds beside its time: names the product chose, plain values. */
export type Readings = { readonly [name: string]: Json };

export class TelemetryQueue {
  readonly #samples: Sample[] = [];
  #bytes = 0;
  #dropped = 0;

  /** Messages dropped since the start, for want of room. */
  get dropped(): number {
    return this.#dropped;
  }

  get length(): number {
    return this.#samples.length;
  }

  push(sample: Sample): void {
    this.#samples.push(sample);
    this.#bytes += sizeOf(sample);
    while (this.#samples.length > limits.telemetryMessages || this.#bytes > limits.telemetryBytes) {
      this.shift();
      this.#dropped++;
    }
  }

  /** Takes the oldest. */
  shift(): Sample | undefined {
    const sample = this.#samples.shift();
    if (sample) this.#bytes -= sizeOf(sample);
    return sample;
  }
}

function sizeOf(sample: Sample): number {
  return sample.channel.length + sample.payload.length;
}

/**
 * @param time  epoch milliseconds of the event, or undefined when the clock is not set: then the message has none
 * @throws      AgentError "telemetry/limit" for a channel or readings that cannot be sent
 */
export function encodeSample(
  channel: string,
  readings: Readings,
  time: number | undefined,
  QoS: QoS,
): Sample {
  return { channel, payload: encode(channel, readings, { time }), QoS };
}

/** The readings alone: their time is kept beside them. @throws as `encodeSample` */
export function encodeReadings(channel: string, readings: Readings): Uint8Array {
  return encode(channel, readings, undefined);
}

function encode(
  channel: string,
  readings: Readings,
  head: { readonly time: number | undefined } | undefined,
): Uint8Array {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(channel)) {
    throw new AgentError(
      "telemetry/limit",
      `telemetry: channel "${channel}" is not 1 to 64 of A-Z a-z 0-9 _ -`,
    );
  }
  if (Object.keys(readings).length > limits.names) {
    throw new AgentError(
      "telemetry/limit",
      `telemetry: more than ${limits.names} readings in "${channel}"`,
    );
  }
  const payload = toUtf8(writeJson({ ...head, ...readings }));
  if (channel.length + payload.length > limits.telemetryBytes) {
    throw new AgentError(
      "telemetry/limit",
      `telemetry: ${payload.length} bytes in "${channel}", at most ${limits.telemetryBytes} are kept`,
    );
  }
  return payload;
}
