import {
  type Credentials,
  checkCredentials,
  describeFault,
  type Fault,
  faultOf,
} from "../../../hosts/moddable/network/fault.js";
import {
  describeNetwork,
  NetworkKeeper,
  type WifiEvents,
} from "../../../hosts/moddable/network/keeper.js";
import {
  joinBackoff,
  type NetworkEvent,
  type NetworkRecord,
  networkAtRest,
  networkLimits,
  passwordBackoff,
  step,
} from "../../../hosts/moddable/network/network.js";
import { type NetworkState, networkTable } from "../../../hosts/moddable/network/table.js";
import type { TimeAnswer } from "../../../hosts/moddable/network/time-asker.js";
import { check, equal, refuses, refusesWith } from "../harness.js";

const half = 0.5;
const almost = 0.999_999;

const lost = (fault: Fault, ticks = 0, chance = half): NetworkEvent => ({
  type: "lost",
  fault,
  ticks,
  chance,
});
const addressed = (ticks = 0): NetworkEvent => ({ type: "addressed", ticks });
const start: NetworkEvent = { type: "start" };
const due: NetworkEvent = { type: "due" };

function after(...events: readonly NetworkEvent[]): NetworkRecord {
  return events.reduce((record, event) => step(record, event).record, networkAtRest);
}

/** What is decided last, in one line. */
function decided(...events: readonly NetworkEvent[]): string {
  const { effects } = step(after(...events.slice(0, -1)), events.at(-1)!);
  return effects
    .map(effect => ("delayMs" in effect ? `${effect.type} ${effect.delayMs}` : effect.type))
    .join(", ");
}

check(
  "network: every state can be reached, can be left for off, and the table cannot be changed",
  () => {
    const seen = new Set<NetworkState>(["off"]);
    for (const state of seen) for (const to of Object.values(networkTable[state])) seen.add(to);
    equal(seen.size, Object.keys(networkTable).length);
    for (const state of seen) equal(networkTable[state].stop, "off", state);
    for (const state of seen) equal(networkTable[state].start, "joining", state);
    equal(Object.isFrozen(networkTable) && Object.isFrozen(networkTable.off), true);
  },
);

check("network: joins, gets an address, asks for the time, and asks again after some hours", () => {
  equal(decided(start), "cancelWait, deadline 30000, join");
  equal(decided(start, { type: "associated" }), "cancelWait, deadline 20000");
  equal(decided(start, { type: "associated" }, addressed()), "cancelWait, ask");
  const told = { type: "told", chance: 0 } as const;
  equal(decided(start, addressed(), told), "wait 43200000");
  equal(decided(start, addressed(), { ...told, chance: almost }), "wait 32400010");
  equal(after(start, addressed(), told).state, "online");
  equal(decided(start, addressed(), told, due), "ask");
});

check("network: full jitter, longer with each failure up to a minute, and never given up", () => {
  let record = after(start);
  const waits: number[] = [];
  for (let i = 0; i < 40; i++) {
    const failed = step(record, lost("absent", 0, almost));
    for (const effect of failed.effects) if (effect.type === "wait") waits.push(effect.delayMs);
    record = step(failed.record, due).record;
    equal(record.state, "joining");
  }
  equal(waits.slice(0, 4).join(), "999,1999,3999,7999");
  equal(
    waits.slice(6).every(ms => ms > 59_000 && ms < joinBackoff.capMs),
    true,
  );
  equal(decided(start, lost("absent", 0, 0)), "cancelWait, wait 0");
});

check("network: a password that is refused is shown more seldom", () => {
  equal(decided(start, lost("password")), "cancelWait, wait 2500");
  let record = after(start);
  for (let i = 0; i < 9; i++) record = step(step(record, lost("password")).record, due).record;
  const { effects } = step(record, lost("password"));
  equal(JSON.stringify(effects.at(-1)), `{"type":"wait","delayMs":${passwordBackoff.capMs / 2}}`);
});

check("network: only an address that was held for a minute starts the backoff anew", () => {
  const failed = after(start, lost("absent"), due, lost("absent"), due, addressed(1000));
  const { stableMs } = networkLimits;
  equal(step(failed, lost("lost", 999 + stableMs)).record.attempt, 3);
  equal(step(failed, lost("lost", 1000 + stableMs)).record.attempt, 1);
});

check("network: no address in time is left, and joined again", () => {
  const late = { type: "late", chance: half } as const;
  equal(decided(start, { type: "associated" }, late), "cancelWait, leave, wait 500");
  equal(decided(start, late), "cancelWait, leave, wait 500");
});

check("network: without an answer the time is asked for again, the Wi-Fi is kept", () => {
  const untold = { type: "untold", chance: half } as const;
  equal(decided(start, addressed(), untold), "wait 3000");
  equal(decided(start, addressed(), untold, due, untold), "wait 5000");
  equal(after(start, addressed(), untold).state, "untimed");
  equal(decided(start, addressed(), untold, due, lost("lost")), "cancelWait, hush, wait 500");
});

check("network: another Wi-Fi is joined at once, whatever there was before", () => {
  const told = { type: "told", chance: half } as const;
  const stories: NetworkEvent[][] = [
    [start],
    [start, { type: "associated" }],
    [start, addressed()],
    [start, addressed(), told],
  ];
  for (const story of stories) {
    equal(decided(...story, start).endsWith("leave, deadline 30000, join"), true);
  }
  const waiting = [start, lost("password"), due, lost("password")];
  equal(decided(...waiting, start), "cancelWait, deadline 30000, join");
  equal(after(...waiting, start).attempt, 0);
  refuses(() => step(networkAtRest, due), "bug");
});

check("network: the radio's reasons in words that say what to do", () => {
  const cases: [number, boolean, Fault][] = [
    [201, false, "absent"],
    [201, true, "absent"],
    [15, false, "password"],
    [204, false, "password"],
    [202, false, "password"],
    [15, true, "lost"],
    [200, true, "lost"],
    [5, false, "refused"],
    [210, false, "refused"],
    [0, false, "refused"],
    [0, true, "lost"],
  ];
  for (const [reason, isJoined, fault] of cases)
    equal(faultOf(reason, isJoined), fault, `${reason}`);
  equal(describeFault("password", "home", "reason 15").includes('"home"'), true);
  equal(describeFault("portal", "home", "10.0.0.1").includes("sign-in page"), true);
});

check(
  "network: a name or a password that cannot be one is refused before the radio is asked",
  () => {
    const fine: Credentials[] = [
      { ssid: "home" },
      { ssid: "ü".repeat(16), password: "x".repeat(63) },
      { ssid: "x", password: "0aF9".repeat(16) },
    ];
    for (const credentials of fine) checkCredentials(credentials);
    refusesWith("ssid has 0 bytes", () => checkCredentials({ ssid: "" }));
    refusesWith("ssid has 34 bytes", () => checkCredentials({ ssid: "ü".repeat(17) }));
    refusesWith("ssid is no text", () => checkCredentials({ ssid: 7 as never }));
    refusesWith("password has 7", () => checkCredentials({ ssid: "x", password: "1234567" }));
    refusesWith("password has 64", () => checkCredentials({ ssid: "x", password: "x".repeat(64) }));
  },
);

/** A radio, a time server and a clock in one hand. */
class Bench {
  now = 0;
  readonly log: string[] = [];
  clockSet: number | undefined;
  onAnswer: ((answer: TimeAnswer) => void) | undefined;
  events!: WifiEvents;
  refuses = "";
  #timers: { at: number; work: () => void }[] = [];
  #seed: number;
  readonly keeper: NetworkKeeper;

  constructor(seed = 1) {
    this.#seed = seed;
    this.keeper = new NetworkKeeper({
      clock: { ticks: () => this.now, now: () => this.clockSet },
      timer: {
        set: (work, delayMs) => {
          const timer = { at: this.now + delayMs, work };
          this.#timers.push(timer);
          return timer;
        },
        repeat: () => ({}),
        clear: timer => {
          this.#timers = this.#timers.filter(each => each !== timer);
        },
      },
      chance: () => this.chance(),
      openWifi: events => {
        this.events = events;
        return {
          join: ({ ssid }) => {
            this.log.push(`join ${ssid}`);
            if (this.refuses !== "") throw new Error(this.refuses);
          },
          leave: () => this.log.push("leave"),
        };
      },
      asker: {
        ask: onAnswer => {
          this.onAnswer = onAnswer;
        },
        stop: () => {
          this.onAnswer = undefined;
        },
      },
      setTime: time => {
        this.clockSet = time;
      },
    });
    this.keeper.onStatus = status => this.log.push(describeNetwork(status));
  }

  get timers(): number {
    return this.#timers.length;
  }

  chance(): number {
    this.#seed = (this.#seed * 16_807) % 2_147_483_647;
    return this.#seed / 2_147_483_647;
  }

  pass(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const timer = this.#timers.sort((a, b) => a.at - b.at)[0];
      if (!timer || timer.at > end) break;
      this.#timers.shift();
      this.now = timer.at;
      timer.work();
    }
    this.now = end;
  }

  answer(answer: TimeAnswer): void {
    const { onAnswer } = this;
    this.onAnswer = undefined;
    onAnswer?.(answer);
  }
}

const told = { type: "told", time: 1_800_000_000_000, server: "time.test" } as const;

check("network: a board comes up, loses its Wi-Fi for an hour, and comes back by itself", () => {
  const bench = new Bench();
  bench.keeper.start({ ssid: "home", password: "password" });
  bench.events.onAssociated();
  bench.events.onAddress("10.0.0.7");
  bench.answer(told);
  equal(bench.clockSet, told.time);
  equal(bench.log.at(-1), "address 10.0.0.7, time from time.test");
  bench.pass(600_000);
  bench.events.onLost(200);
  equal(bench.log.at(-1)?.startsWith('Wi-Fi "home" is lost (reason 200); again in'), true);
  const { length } = bench.log;
  for (let i = 0; i < 60; i++) {
    bench.pass(60_000);
    if (bench.keeper.status.type === "joining") bench.events.onLost(201);
  }
  const joins = bench.log.slice(length).filter(line => line.startsWith("join ")).length;
  equal(joins > 20 && joins < 70, true, `${joins} joins`);
  bench.pass(60_000);
  bench.events.onAddress("10.0.0.8");
  bench.answer(told);
  equal(bench.keeper.status.type, "online");
});

check("network: who waits for an address is let through, or told why not", () => {
  const bench = new Bench();
  const heard: string[] = [];
  const ask = () =>
    bench.keeper.whenAddressed(
      () => heard.push("go"),
      error => heard.push(error.message),
    );
  ask();
  equal(heard.join(), "go", "a network of the product's own");
  bench.keeper.start({ ssid: "home" });
  ask();
  equal(heard.length, 1);
  bench.events.onLost(15);
  ask();
  equal(heard.length, 3);
  equal(heard[1], heard[2]);
  equal(heard[1]?.includes("does not take the password (reason 15)"), true);
  bench.pass(5000);
  ask();
  bench.events.onAddress("10.0.0.7");
  equal(heard.at(-1), "go");
  for (let i = 0; i < 3; i++) ask();
  equal(heard.length, 7);
});

check("network: words of a radio that come late change nothing", () => {
  const bench = new Bench();
  bench.keeper.start({ ssid: "home" });
  bench.events.onLost(201);
  const { length } = bench.log;
  bench.events.onLost(8);
  bench.events.onAssociated();
  bench.events.onAddress("10.0.0.7");
  bench.keeper.stop();
  bench.events.onLost(8);
  equal(bench.log.length, length + 2);
  equal(bench.log.slice(length).join(), "leave,off");
  equal(bench.timers, 0);
});

check("network: the same address told again starts nothing anew, another one does", () => {
  const bench = new Bench();
  bench.keeper.start({ ssid: "home" });
  bench.events.onAddress("10.0.0.7");
  bench.answer(told);
  const { length } = bench.log;
  bench.events.onAddress("10.0.0.7");
  equal(bench.log.length, length);
  bench.events.onAddress("10.0.0.8");
  equal(bench.log.at(-1), "address 10.0.0.8, asks for the time");
});

check(
  "network: a product that changes its mind when it is told is obeyed, one that throws does no harm",
  () => {
    const bench = new Bench();
    bench.keeper.onStatus = ({ type }) => {
      if (type === "joining") bench.keeper.stop();
    };
    bench.keeper.start({ ssid: "home" });
    equal(bench.log.join(), "");
    equal(bench.timers, 0);
    bench.keeper.onStatus = () => {
      throw new Error("product");
    };
    let thrown = "";
    try {
      bench.keeper.start({ ssid: "home" });
    } catch (error) {
      thrown = (error as Error).message;
    }
    equal(thrown, "product");
    equal(bench.log.join(), "join home");
  },
);

check("network: a radio that refuses to begin is asked again", () => {
  const bench = new Bench();
  bench.refuses = "connect failed";
  bench.keeper.start({ ssid: "home" });
  equal(bench.log.at(-1)?.includes("(Error: connect failed)"), true, bench.log.at(-1));
  bench.refuses = "";
  bench.pass(2000);
  equal(bench.keeper.status.type, "joining");
});

check("network: whatever happens in whatever order, somebody will act", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const bench = new Bench(seed);
    bench.keeper.start({ ssid: "home" });
    const happen = [
      () => bench.events.onAssociated(),
      () => bench.events.onAddress(`10.0.0.${Math.floor(bench.chance() * 9)}`),
      () => bench.events.onLost(Math.floor(bench.chance() * 220)),
      () => bench.answer(told),
      () => bench.answer({ type: "untold", fault: "time", detail: "" }),
      () => bench.pass(bench.chance() * 100_000),
      () => bench.keeper.start({ ssid: "other" }),
    ];
    for (let i = 0; i < 200; i++) {
      happen[Math.floor(bench.chance() * happen.length)]!();
      const acts = bench.timers + (bench.onAnswer ? 1 : 0);
      equal(acts, 1, `seed ${seed}, after ${i}, ${bench.keeper.status.type}: who acts`);
    }
  }
});
