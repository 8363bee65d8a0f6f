// Channels over random streams: what is told of a window is what its readings were, and a threshold does not chatter.
import test from "ava";
import fc from "fast-check";
import { Channel, type ChannelMessage } from "../../src/telemetry/channel.js";
import type { Readings } from "../../src/telemetry/telemetry.js";

const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
const noon = 1_767_268_800_000;

interface Told {
  readonly mean: number;
  readonly min: number;
  readonly max: number;
  readonly count: number;
  readonly last: number;
}

/** What the window that is open tells of `v`. */
const toldOf = (channel: Channel) => channel.flush(0, noon)[0]!.readings["v"] as unknown as Told;

/** Sums exactly: every double is a whole number of the smallest. */
function exactMean(values: readonly number[]): number {
  let sum = 0n;
  for (const value of values) sum += toUnits(value);
  const count = BigInt(values.length);
  // 64 bits more than the count takes away.
  return fromUnits((sum << 64n) / count, 64);
}

function toUnits(value: number): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const exponent = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xf_ffff_ffff_ffffn;
  const units = exponent === 0 ? fraction : (fraction | (1n << 52n)) << BigInt(exponent - 1);
  return value < 0 ? -units : units;
}

function fromUnits(units: bigint, shift: number): number {
  const size = units < 0n ? -units : units;
  const bits = size.toString(2).length;
  const drop = Math.max(0, bits - 60);
  const head = Number(size >> BigInt(drop));
  const exponent = drop - shift - 1074;
  // In two steps: neither factor is beyond what a double can be.
  const half = Math.trunc(exponent / 2);
  return (units < 0n ? -1 : 1) * head * 2 ** half * 2 ** (exponent - half);
}

test("mean, min, max, count and last are those of the readings, for any numbers", t => {
  fc.assert(
    fc.property(fc.array(finite, { minLength: 1, maxLength: 300 }), values => {
      const channel = new Channel("c", { windowSeconds: 60 });
      for (const v of values) channel.add({ v }, 0, noon);
      const v = toldOf(channel);
      const least = Math.min(...values);
      const most = Math.max(...values);
      const largest = Math.max(Math.abs(least), Math.abs(most));
      const error = Math.abs(v.mean - exactMean(values));
      const bound = Math.max(largest * 2 ** -52 * values.length, Number.MIN_VALUE * values.length);
      return (
        v.min === least &&
        v.max === most &&
        v.count === values.length &&
        Object.is(v.last, values.at(-1)) &&
        error <= bound
      );
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

test("the mean of a million readings is exact to twelve digits", t => {
  const channel = new Channel("c", { windowSeconds: 60 });
  let sum = 0;
  for (let i = 0; i < 1_000_000; i++) {
    const v = 1000 + ((i * 7919) % 1000);
    sum += v;
    channel.add({ v }, 0, noon);
  }
  const v = toldOf(channel);
  t.is(v.count, 1_000_000);
  t.true(Math.abs(v.mean - sum / 1_000_000) < 1e-9, `${v.mean}`);
});

interface Step {
  readonly afterMs: number;
  readonly readings: Readings;
  readonly flush: boolean;
}

const names = ["a", "b", "c"];
const step: fc.Arbitrary<Step> = fc.record({
  afterMs: fc.oneof(fc.nat(3000), fc.nat(30_000)),
  readings: fc.dictionary(fc.constantFrom(...names), fc.option(fc.integer())),
  flush: fc.boolean(),
});

test("every reading is in exactly one window, and no window is longer than asked for", t => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 100 }),
      fc.integer({ min: 1, max: 20 }),
      (steps, windowSeconds) => {
        const channel = new Channel("c", { windowSeconds });
        const sent: ChannelMessage[] = [];
        const given = new Map<string, number[]>();
        let ticks = 0;
        for (const { afterMs, readings, flush } of steps) {
          ticks += afterMs;
          sent.push(...channel.add(readings, ticks, noon + ticks));
          for (const [name, value] of Object.entries(readings)) {
            if (value === null || value === undefined) continue;
            given.set(name, [...(given.get(name) ?? []), value as number]);
          }
          if (flush && channel.due(ticks) === 0) sent.push(...channel.flush(ticks, noon + ticks));
        }
        sent.push(...channel.flush(ticks, noon + ticks));
        let endMs = noon;
        for (const { time, readings } of sent) {
          const seconds = readings["windowSeconds"] as number;
          // Windows follow each other and do not overlap.
          if (time! < endMs || seconds > windowSeconds) return false;
          endMs = time! + seconds * 1000;
          for (const name of names) {
            const told = readings[name] as unknown as Told | undefined;
            if (!told) continue;
            const own = given.get(name)!.splice(0, told.count);
            if (own.length !== told.count || own.at(-1) !== told.last) return false;
            if (Math.min(...own) !== told.min || Math.max(...own) !== told.max) return false;
          }
        }
        return [...given.values()].every(rest => rest.length === 0);
      },
    ),
    { numRuns: 1000 },
  );
  t.pass();
});

test("alerts of a threshold take turns, and between two the reading moves by the hysteresis", t => {
  const range = fc
    .record({
      below: fc.option(fc.integer({ min: -50, max: 0 }), { nil: undefined }),
      above: fc.option(fc.integer({ min: 0, max: 50 }), { nil: undefined }),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    .filter(({ below, above }) => below !== undefined || above !== undefined);
  fc.assert(
    fc.property(
      range,
      fc.array(fc.integer({ min: -80, max: 80 }), { maxLength: 200 }),
      ({ below, above, share }, values) => {
        const width = (above ?? 50) - (below ?? -50);
        const hysteresis = Math.floor(width * share);
        const options = {
          ...(below !== undefined && { below }),
          ...(above !== undefined && { above }),
          hysteresis,
        };
        const channel = new Channel("c", { windowSeconds: 60, thresholds: { v: options } });
        let raised: string | undefined;
        for (const v of values) {
          for (const { readings } of channel.add({ v }, 0, noon)) {
            const { state, side, value } = readings as {
              state: string;
              side: string;
              value: number;
            };
            if (value !== v || (state === "raised") !== (raised === undefined)) return false;
            if (state === "cleared" && side !== raised) return false;
            const isOut = side === "above" ? v > above! : v < below!;
            const isBack = side === "above" ? v <= above! - hysteresis : v >= below! + hysteresis;
            if (state === "raised" ? !isOut : !isBack) return false;
            raised = state === "raised" ? side : undefined;
          }
          const isOut = v > (above ?? Infinity) || v < (below ?? -Infinity);
          if (isOut && raised === undefined) return false;
        }
        return true;
      },
    ),
    { numRuns: 2000 },
  );
  t.pass();
});

test("whatever is given, a channel refuses it as a whole or sends what can be written", t => {
  const anything = fc.dictionary(
    fc.oneof(
      fc.string(),
      fc.constantFrom("v", "time", "__proto__", "constructor", "windowSeconds"),
    ),
    fc.oneof(fc.double(), fc.string(), fc.boolean(), fc.constant(null), fc.constant(undefined)),
  );
  fc.assert(
    fc.property(fc.array(anything, { maxLength: 20 }), many => {
      const channel = new Channel("c", { windowSeconds: 60 });
      const taken = new Set<string>();
      for (const readings of many) {
        try {
          channel.add(readings as Readings, 0, noon);
          for (const [name, value] of Object.entries(readings)) if (value != null) taken.add(name);
        } catch (error) {
          if ((error as { kind?: string }).kind !== "config") throw error;
        }
      }
      const told = channel.flush(0, noon).flatMap(({ readings }) => Object.keys(readings));
      return told.filter(name => name !== "windowSeconds").length === taken.size;
    }),
    { numRuns: 1000 },
  );
  t.pass();
});
