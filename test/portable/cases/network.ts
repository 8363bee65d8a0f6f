import {
  type Credentials,
  checkCredentials,
  describeFault,
  type Fault,
  faultOf,
} from "../../../hosts/moddable/network/fault.js";
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
