import type { Credentials } from "../../../hosts/moddable/network/fault.js";
import {
  describeNetwork,
  NetworkKeeper,
  type WifiEvents,
} from "../../../hosts/moddable/network/keeper.js";
import { keep, readKept } from "../../../hosts/moddable/network/kept.js";
import type { TimeAnswer } from "../../../hosts/moddable/network/time-asker.js";
import { seal } from "../../../src/util/sealed.js";
import { check, equal, refuses, refusesWith } from "../harness.js";

/** A radio, a time server and a clock in one hand. */
class Bench {
  now = 0;
  readonly log: string[] = [];
  clockSet: number | undefined;
  onAnswer: ((answer: TimeAnswer) => void) | undefined;
  events!: WifiEvents;
  refuses = "";
  kept: Credentials | undefined;
  isFull = false;
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
      readKept: () => this.kept,
      keep: credentials => {
        if (this.isFull) throw new Error("full");
        this.kept = credentials;
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

check(
  "network: what is kept is joined in the place of the build's own, until it is taken back",
  () => {
    const own = { ssid: "factory" };
    const bench = new Bench();
    bench.keeper.begin(own);
    bench.keeper.keep({ ssid: "site" });
    equal(bench.log.at(-1), "join site");
    const after = new Bench();
    after.kept = bench.kept;
    after.keeper.begin(own);
    equal(after.log.at(-1), "join site");
    after.isFull = true;
    const { length } = after.log;
    let message = "";
    try {
      after.keeper.keep({ ssid: "other" });
    } catch (error) {
      message = (error as Error).message;
    }
    equal(message, "full");
    equal(after.log.length, length);
    refusesWith("ssid has 0 bytes", () => after.keeper.keep({ ssid: "" }));
    after.isFull = false;
    after.keeper.keep(undefined);
    equal(after.log.at(-1), "join factory");
    const bare = new Bench();
    bare.keeper.begin(undefined);
    equal(bare.log.join(), "");
    bare.keeper.keep({ ssid: "site" });
    bare.keeper.keep(undefined);
    equal(bare.keeper.status.type, "off");
  },
);

check("network: what is kept is read as it was written, and nothing else is", () => {
  const values = new Map<string, Uint8Array>();
  const storage = {
    open: ({ path }: { readonly path: string }) => ({
      read: (key: string) =>
        values.get(`${path}/${key}`)?.slice().buffer as ArrayBuffer | undefined,
      write: (key: string, value: Uint8Array) => void values.set(`${path}/${key}`, value.slice()),
      delete: (key: string) => void values.delete(`${path}/${key}`),
      close: () => undefined,
    }),
  };
  equal(readKept(storage), undefined);
  const all: Credentials[] = [
    { ssid: "ü".repeat(16), password: "ö".repeat(31) },
    { ssid: "open" },
    { ssid: "x", password: "0aF9".repeat(16) },
  ];
  for (const credentials of all) {
    keep(storage, credentials);
    equal(JSON.stringify(readKept(storage)), JSON.stringify(credentials));
  }
  keep(storage, undefined);
  equal(readKept(storage), undefined);
  // Neither place holds the password any more: damage to one brings nothing back.
  for (const place of [...values.keys()]) {
    const whole = values.get(place)!;
    values.set(place, Uint8Array.of(1));
    equal(readKept(storage), undefined);
    values.set(place, whole);
  }
  equal(values.size, 2);
  const wrong = [[9, 97], [1, 97, 98], [0], [2, 0xc3, 0x28]];
  for (const bytes of wrong) {
    values.clear();
    values.set("skerry-host/wifi.1", seal(1, Uint8Array.from(bytes)));
    refuses(() => readKept(storage), "storage");
  }
});

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
