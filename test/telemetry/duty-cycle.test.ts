// Deep-sleep cycles over random lives: the budget holds, alerts have their reserve, and what is retained is all that is needed.
import test from "ava";
import fc from "fast-check";
import {
  type DutyCycleEvent,
  type DutyCyclePolicy,
  type DutyCycleState,
  decide,
  decodeDutyCycle,
  encodeDutyCycle,
  newDutyCycle,
  retainedBytes,
  step,
} from "../../src/telemetry/duty-cycle.js";

const dayMs = 86_400_000;

const policies: fc.Arbitrary<DutyCyclePolicy> = fc.record({
  sampleSeconds: fc.integer({ min: 1, max: 86_400 }),
  connectEverySeconds: fc.integer({ min: 1, max: 2_678_400 }),
  maxWaitingRecords: fc.integer({ min: 1, max: 1000 }),
  maxWaitingBytes: fc.integer({ min: 1, max: 100_000 }),
  budgetConnectsPerDay: fc.integer({ min: 1, max: 1440 }),
});

const counts = fc.tuple(fc.nat(), fc.nat(), fc.nat());
const events: fc.Arbitrary<DutyCycleEvent> = fc.oneof(
  fc.record({ type: fc.constant("passed" as const), ms: fc.double({ noNaN: true }) }),
  fc.record({
    type: fc.constant("appended" as const),
    priority: fc.constantFrom(0 as const, 1 as const, 2 as const),
    bytes: fc.nat(),
  }),
  fc.record({
    type: fc.constant("counted" as const),
    waiting: counts,
    bytes: fc.nat(),
    oldestAgeMs: fc.option(fc.nat(), { nil: undefined }),
  }),
  fc.record({ type: fc.constantFrom("dialing" as const, "connected" as const) }),
  fc.record({
    type: fc.constant("failed" as const),
    chance: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  }),
);

test("whatever happens, what is retained is read back as it was", t => {
  fc.assert(
    fc.property(fc.array(events, { maxLength: 50 }), happened => {
      const state = happened.reduce(step, newDutyCycle);
      const bytes = encodeDutyCycle(state);
      t.deepEqual(decodeDutyCycle(bytes), state);
      return bytes.length === retainedBytes && retainedBytes <= 64;
    }),
    { numRuns: 2000 },
  );
});

test("bytes of any other origin begin the cycle anew", t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), bytes => decodeDutyCycle(bytes) === undefined),
    { numRuns: 5000 },
  );
  const whole = encodeDutyCycle(newDutyCycle);
  fc.assert(
    fc.property(fc.nat(whole.length * 8 - 1), fc.nat(31), (bit, length) => {
      const broken = whole.slice();
      for (let at = bit; at <= Math.min(bit + length, whole.length * 8 - 1); at++)
        broken[at >> 3]! ^= 1 << (at & 7);
      return decodeDutyCycle(broken) === undefined;
    }),
    { numRuns: 5000 },
  );
  t.pass();
});

interface Life {
  readonly policy: DutyCyclePolicy;
  readonly alerts: readonly boolean[];
  readonly succeeds: readonly boolean[];
}

interface Dial {
  readonly atMs: number;
  readonly isAlert: boolean;
  readonly day: number;
}

/** Wakes, samples, decides, sleeps; the state goes through retained memory each time. */
function live({ policy, alerts, succeeds }: Life, wakes: number) {
  const dials: Dial[] = [];
  let state: DutyCycleState = newDutyCycle;
  let latestAlertMs = 0;
  for (let wake = 0; wake < wakes; wake++) {
    const isAlert = alerts[wake % alerts.length]!;
    state = step(state, { type: "appended", priority: isAlert ? 0 : 1, bytes: 64 });
    const decision = decide(policy, state);
    if (decision.connect) {
      const atMs = state.elapsedMs;
      dials.push({ atMs, isAlert: state.waiting[0] > 0, day: Math.floor(atMs / dayMs) });
      state = step(state, { type: "dialing" });
      if (succeeds[dials.length % succeeds.length]!) {
        state = step(state, { type: "connected" });
        const waiting = [0, 0, 0] as const;
        state = step(state, { type: "counted", waiting, bytes: 0, oldestAgeMs: undefined });
      } else state = step(state, { type: "failed", chance: (wake % 7) / 7 });
    } else if (isAlert && decision.why !== "budget" && decision.why !== "backoff") {
      throw new Error(`an alert waits for ${decision.why}`);
    }
    if (state.waiting[0] === 0) latestAlertMs = state.elapsedMs;
    state = decodeDutyCycle(
      encodeDutyCycle(step(state, { type: "passed", ms: decision.sleepMs })),
    )!;
  }
  return { dials, state, latestAlertMs };
}

const lives: fc.Arbitrary<Life> = fc.record({
  policy: fc.record({
    sampleSeconds: fc.integer({ min: 60, max: 7200 }),
    connectEverySeconds: fc.integer({ min: 60, max: 86_400 }),
    maxWaitingRecords: fc.integer({ min: 1, max: 50 }),
    maxWaitingBytes: fc.integer({ min: 1, max: 5000 }),
    budgetConnectsPerDay: fc.integer({ min: 1, max: 100 }),
  }),
  alerts: fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }),
  succeeds: fc.array(fc.boolean(), { minLength: 1, maxLength: 10 }),
});

test("no day has more dials than its budget, and ordinary ones leave a quarter to alerts", t => {
  fc.assert(
    fc.property(lives, life => {
      const { dials } = live(life, 600);
      const budget = life.policy.budgetConnectsPerDay;
      const ordinary = budget === 1 ? 1 : budget - Math.ceil(budget / 4);
      for (const day of new Set(dials.map(dial => dial.day))) {
        const ofDay = dials.filter(dial => dial.day === day);
        if (ofDay.length > budget) return false;
        if (ofDay.filter(({ isAlert }) => !isAlert).length > ordinary) return false;
      }
      return true;
    }),
    { numRuns: 300 },
  );
  t.pass();
});

test("with links that hold, nothing waits longer than was asked for, where the budget allows it", t => {
  fc.assert(
    fc.property(lives, life => {
      const { sampleSeconds, connectEverySeconds } = life.policy;
      const policy = { ...life.policy, budgetConnectsPerDay: 1440 };
      const { dials, state } = live({ ...life, policy, succeeds: [true] }, 300);
      // Two in three minutes at most are the budget's doing.
      const most = (Math.max(connectEverySeconds, 160) + sampleSeconds) * 1000;
      const times = [...dials.map(({ atMs }) => atMs), state.elapsedMs - sampleSeconds * 1000];
      return times.every((atMs, i) => atMs - (times[i - 1] ?? 0) <= most);
    }),
    { numRuns: 300 },
  );
  t.pass();
});

test("sleep is at most a sample's time and ends when the next is due", t => {
  fc.assert(
    fc.property(policies, fc.array(events, { maxLength: 20 }), (policy, happened) => {
      const state = happened.reduce(step, newDutyCycle);
      const { sleepMs } = decide(policy, state);
      const sampleMs = policy.sampleSeconds * 1000;
      return sleepMs > 0 && sleepMs <= sampleMs && (state.elapsedMs + sleepMs) % sampleMs === 0;
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

test("while no link holds, dials become rare", t => {
  const policy = {
    sampleSeconds: 60,
    connectEverySeconds: 3600,
    maxWaitingRecords: 1,
    maxWaitingBytes: 1,
    budgetConnectsPerDay: 1440,
  };
  const { dials } = live({ policy, alerts: [false], succeeds: [false] }, 1440);
  const gaps = dials.slice(1).map(({ atMs }, i) => atMs - dials[i]!.atMs);
  t.true(dials.length < 45, `${dials.length}`);
  t.true(
    gaps.slice(8).every(gap => gap >= 1_800_000),
    gaps.join(),
  );
});
