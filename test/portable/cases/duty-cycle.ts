import { writeJson } from "../../../src/codec/json.js";
import { type CycleAgent, DutyCycle } from "../../../src/telemetry/cycle.js";
import {
  checkDutyCycle,
  type DutyCycleEvent,
  type DutyCyclePolicy,
  type DutyCycleState,
  decide,
  decodeDutyCycle,
  encodeDutyCycle,
  newDutyCycle,
  retainedBytes,
  step,
} from "../../../src/telemetry/duty-cycle.js";
import { check, equal, refusesWith } from "../harness.js";

const policy: DutyCyclePolicy = {
  sampleSeconds: 60,
  connectEverySeconds: 3600,
  maxWaitingRecords: 100,
  maxWaitingBytes: 5000,
  budgetConnectsPerDay: 40,
};

const after = (state: DutyCycleState, ...events: readonly DutyCycleEvent[]) =>
  events.reduce(step, state);
const minutes = (count: number) => ({ type: "passed", ms: count * 60_000 }) as const;
const sample = { type: "appended", priority: 1, bytes: 40 } as const;
const alarm = { type: "appended", priority: 0, bytes: 60 } as const;
const nothing = { type: "counted", waiting: [0, 0, 0], bytes: 0, oldestAgeMs: undefined } as const;
const dialed = [{ type: "dialing" }, { type: "connected" }, nothing] as const;
const failed = [{ type: "dialing" }, { type: "failed", chance: 0.999 }] as const;
const whyOf = (state: DutyCycleState, by = policy) => {
  const { connect, why } = decide(by, state);
  return `${connect} ${why}`;
};

check("duty cycle: connects at first, then when it is time, or when enough waits", () => {
  equal(whyOf(newDutyCycle), "true contact");
  const fresh = after(newDutyCycle, ...dialed);
  equal(whyOf(fresh), "false nothing due");
  equal(whyOf(after(fresh, sample, minutes(59))), "false nothing due");
  equal(whyOf(after(fresh, minutes(60))), "true contact");
  equal(whyOf(after(fresh, sample, minutes(60))), "true age");
  equal(whyOf(after(newDutyCycle, minutes(600), ...dialed, sample)), "false nothing due");
  const records = Array.from({ length: 100 }, () => ({ ...sample, bytes: 1 }));
  equal(whyOf(after(fresh, minutes(59), ...records.slice(1))), "false nothing due");
  equal(whyOf(after(fresh, minutes(59), ...records)), "true full");
  equal(whyOf(after(fresh, minutes(59), { ...sample, priority: 2, bytes: 5000 })), "true full");
});

check("duty cycle: sleeps to the next sample, without drift", () => {
  equal(decide(policy, newDutyCycle).sleepMs, 60_000);
  equal(decide(policy, after(newDutyCycle, { type: "passed", ms: 1234 })).sleepMs, 58_766);
  equal(decide(policy, after(newDutyCycle, minutes(7))).sleepMs, 60_000);
});

check("duty cycle: dials are spread over the day, alerts have the last quarter of them", () => {
  const fresh = after(newDutyCycle, ...dialed);
  const full = { ...sample, bytes: 5000 };
  // 30 of 40 are ordinary: one in 48 minutes.
  equal(whyOf(after(fresh, full, minutes(47))), "false budget");
  equal(whyOf(after(fresh, full, minutes(48))), "true full");
  equal(whyOf(after(fresh, alarm, minutes(1))), "true alert");
  const used = (count: number) => ({ ...after(fresh, minutes(600)), dialsToday: count });
  equal(whyOf(after(used(29), full)), "true full");
  equal(whyOf(after(used(30), full)), "false budget");
  equal(whyOf(after(used(39), alarm)), "true alert");
  equal(whyOf(after(used(40), alarm)), "false budget");
  equal(whyOf(after(used(40), alarm, minutes(840))), "true alert");
  const single = { ...policy, budgetConnectsPerDay: 1 };
  equal(whyOf(newDutyCycle, single), "true contact");
  equal(whyOf(after(fresh, minutes(1439)), single), "false budget");
  equal(whyOf(after(fresh, minutes(1440)), single), "true contact");
});

check(
  "duty cycle: after a failure cycles are waited, more with each; alerts wait eight at most",
  () => {
    let state = newDutyCycle;
    const waits: number[] = [];
    for (let failures = 1; failures <= 8; failures++) {
      state = after(state, ...failed);
      let wait = 0;
      while (decide(policy, state).why === "backoff") {
        state = after(state, minutes(1));
        wait++;
      }
      waits.push(wait);
    }
    equal(waits.join(), "1,2,4,8,16,32,60,60");
    state = after(state, ...failed, alarm, minutes(7));
    equal(whyOf(state), "false backoff");
    equal(whyOf(after(state, minutes(1))), "true alert");
    // As good as none by chance: half of it.
    state = after(
      newDutyCycle,
      ...failed,
      ...failed,
      ...failed,
      { type: "failed", chance: 0 },
      alarm,
    );
    equal(whyOf(after(state, minutes(3))), "false backoff");
    equal(whyOf(after(state, minutes(4))), "true alert");
  },
);

check("duty cycle: what is retained is read back, and nothing else is", () => {
  const state = after(
    newDutyCycle,
    { type: "passed", ms: 5_000_000_123 },
    ...dialed,
    sample,
    minutes(3),
    alarm,
    ...failed,
  );
  const bytes = encodeDutyCycle(state);
  equal(bytes.length, retainedBytes);
  equal(bytes.length <= 64, true);
  const same = (decoded: DutyCycleState | undefined) => writeJson({ ...decoded! });
  equal(same(decodeDutyCycle(bytes)), same(state));
  equal(same(decodeDutyCycle(encodeDutyCycle(newDutyCycle))), same(newDutyCycle));
  const larger = new Uint8Array(80).fill(0xff);
  larger.set(bytes, 7);
  equal(same(decodeDutyCycle(larger.subarray(7))), same(state));
  equal(decodeDutyCycle(undefined), undefined);
  equal(decodeDutyCycle(new Uint8Array(0)), undefined);
  equal(decodeDutyCycle(new Uint8Array(64)), undefined);
  equal(decodeDutyCycle(new Uint8Array(64).fill(0xff)), undefined);
  equal(decodeDutyCycle(bytes.subarray(0, bytes.length - 1)), undefined);
  for (let at = 0; at < bytes.length; at++) {
    const broken = bytes.slice();
    broken[at]! ^= 0x10;
    equal(decodeDutyCycle(broken), undefined, `with byte ${at} broken`);
  }
});

check("duty cycle: policies are refused by name and value", () => {
  equal(checkDutyCycle(policy), policy);
  for (const name of Object.keys(policy))
    for (const value of [0, 1.5, Number.NaN, 1e12])
      refusesWith(`dutyCycle.${name} ${value} is not 1 to`, () =>
        checkDutyCycle({ ...policy, [name]: value }),
      );
});

check("duty cycle: a sleep counts as it was meant, or as short as the clock says it was", () => {
  const at = 1_767_225_600_000;
  const asleep = after(newDutyCycle, { type: "sleeping", ms: 60_000, at });
  const elapsed = (woke: number | undefined, state = asleep) =>
    after(state, { type: "woke", at: woke }).elapsedMs;
  equal(elapsed(at + 60_000), 60_000);
  equal(elapsed(at + 1000), 1000, "woken early");
  equal(elapsed(at + 55_000), 60_000, "a coarse clock");
  equal(elapsed(at + 62_000), 62_000, "a late start");
  equal(elapsed(at + 9_000_000), 75_000, "a clock that has jumped");
  equal(elapsed(at - 9_000_000), 0, "a clock that went back");
  equal(elapsed(undefined), 60_000, "no clock now");
  equal(elapsed(at, after(newDutyCycle, { type: "sleeping", ms: 60_000, at: undefined })), 60_000);
  equal(elapsed(at + 60_000, newDutyCycle), 0, "it was not asleep");
  const woken = after(asleep, { type: "woke", at });
  equal(woken.sleepMs, 0);
  equal(woken.sleptAt, undefined);
});

/** A machine that sleeps, and an agent that does as it is told. */
function machine(retainedIn?: Uint8Array) {
  let bytes = retainedIn;
  const told: string[] = [];
  const it = {
    ticks: 0,
    check: () => {},
    told,
    isSettled: false,
    isDrained: false,
    isOnline: false,
    get bytes() {
      return bytes;
    },
    agent: {} as CycleAgent,
  };
  const linkStatus = () => ({ state: it.isOnline ? "online" : "offline" });
  const own = {
    host: {
      clock: { ticks: () => it.ticks },
      timer: {
        repeat: (callback: () => void) => {
          it.check = callback;
          return {};
        },
        clear: () => {},
      },
      crypto: { random: () => new Uint8Array([128]) },
      system: {
        sleep: (ms: number) => told.push(`sleep ${ms}`),
        retained: {
          read: () => bytes,
          write: (written: Uint8Array) => {
            bytes = written;
          },
        },
      },
    },
    hasOutbox: true,
    now: undefined,
    waitsInMemory: false,
    get isSettled() {
      return it.isSettled;
    },
    get isDrained() {
      return it.isDrained;
    },
    get linkStatus() {
      return linkStatus();
    },
    open: () => told.push("open"),
    start: () => {
      told.push("start");
      it.isOnline = true;
    },
    stop: () => {
      told.push("stop");
      it.isOnline = false;
    },
    flushWindows: () => {},
    waiting: () => ({ records: [0, 0, 0], bytes: 0, oldestTime: undefined }),
    enter: (work: () => void) => work(),
    emit: () => {},
  };
  it.agent = own as unknown as CycleAgent;
  return it;
}

check("cycle: the first wake-up connects until all is settled, the next one sleeps at once", () => {
  const first = machine();
  const cycle = new DutyCycle(first.agent, policy);
  cycle.onKept(1, 40);
  cycle.sleep();
  first.check();
  first.isSettled = true;
  first.ticks = 2500;
  first.check();
  equal(first.told.join(), "open,start", "while something waits");
  first.isDrained = true;
  first.check();
  first.check();
  equal(first.told.join(), "open,start,stop,sleep 57500");
  const second = machine(first.bytes);
  const next = new DutyCycle(second.agent, policy);
  next.onKept(1, 40);
  next.sleep();
  equal(second.told.join(), "open,sleep 60000");
  equal(next.state.waiting.join(), "0,1,0");
  equal(new DutyCycle(machine(second.bytes).agent, policy).state.elapsedMs, 120_000);
});

check("cycle: a link that is never settled ends in time, and counts as a failure", () => {
  const it = machine();
  const cycle = new DutyCycle(it.agent, { ...policy, linkSeconds: 30 });
  cycle.sleep();
  cycle.onStatus({ type: "connecting", as: "device", attempt: 1 });
  equal(decodeDutyCycle(it.bytes)?.dialsToday, 1, "retained before the dial");
  it.ticks = 29_999;
  it.check();
  equal(it.told.join(), "open,start");
  it.ticks = 30_000;
  it.check();
  it.check();
  equal(it.told.join(), "open,start,stop,sleep 30000");
  equal(cycle.state.failures, 1);
});
