import {
  type ConnectionRecord,
  step as connect,
  connectionAtRest,
  connectionBackoff,
} from "../../../src/connection/connection.js";
import { connectionTable } from "../../../src/connection/table.js";
import { AgentError } from "../../../src/errors.js";
import { jobTable } from "../../../src/jobs/table.js";
import { CredentialStore } from "../../../src/provisioning/credentials.js";
import {
  parseCertified,
  parseRegistered,
  parseRejected,
} from "../../../src/provisioning/messages.js";
import {
  notProvisioned,
  type ProvisioningRecord,
  step as provision,
} from "../../../src/provisioning/provisioning.js";
import { enrollmentTable } from "../../../src/provisioning/table.js";
import { shadowTable } from "../../../src/shadow/table.js";
import { fullJitter } from "../../../src/util/backoff.js";
import { toUtf8 } from "../../../src/util/bytes.js";
import { check, equal, refuses } from "../harness.js";

const tables: Record<string, { readonly [state: string]: { readonly [event: string]: string } }> = {
  connection: connectionTable as never,
  jobs: jobTable as never,
  provisioning: enrollmentTable as never,
  shadow: shadowTable as never,
};
for (const name of Object.keys(tables)) {
  check(`${name}: every state can be reached, and every row leads to a state`, () => {
    const table = tables[name]!;
    const states = Object.keys(table);
    const seen = new Set([states[0]!]);
    for (const state of seen)
      for (const event of Object.keys(table[state]!)) seen.add(table[state]![event]!);
    for (const state of states) equal(seen.has(state), true, `${name} ${state}`);
    equal(seen.size, states.length);
    equal(Object.isFrozen(table) && Object.isFrozen(table[states[0]!]), true);
  });
}

check("backoff: full jitter stays below base times two to the attempt, and below the cap", () => {
  const backoff = { baseMs: 1000, capMs: 120_000 };
  equal(fullJitter(backoff, 0, 0), 0);
  equal(fullJitter(backoff, 0, 0.999_999), 999);
  equal(fullJitter(backoff, 3, 0.5), 4000);
  equal(fullJitter(backoff, 1000, 0.5), 60_000);
});

const failing = (record: ConnectionRecord, ticks: number) =>
  connect(connect(record, { type: "due" }).record, { type: "lost", ticks, chance: 0.999 });

check("connection: the wait grows to the cap while failures go on", () => {
  let { record } = connect(connect(connectionAtRest, { type: "start" }).record, {
    type: "lost",
    ticks: 0,
    chance: 0.999,
  });
  const waits: number[] = [];
  for (let i = 0; i < 10; i++) {
    const result = failing(record, 0);
    record = result.record;
    for (const effect of result.effects) if (effect.type === "wait") waits.push(effect.delayMs);
  }
  equal(waits.slice(0, 3).join(), "1998,3996,7992");
  equal(waits[9]! > 100_000 && waits[9]! < connectionBackoff.capMs, true);
});

check("connection: a network that is back brings a dial forward, once in a minute", () => {
  const waiting = (type: "lost" | "refused" | "takenOver") =>
    connect(
      { ...connectionAtRest, state: "connecting", attempt: 9 },
      { type, ticks: 1000, chance: 0.9 },
    ).record;
  const back = (record: ConnectionRecord, ticks: number, chance = 0.5) =>
    connect(record, { type: "networkBack", ticks, chance });
  const waitOf = ({ effects }: ReturnType<typeof back>) =>
    effects.map(effect => (effect.type === "wait" ? effect.delayMs : effect.type)).join();

  const first = back(waiting("lost"), 20_000);
  equal(waitOf(first), "5000");
  equal(first.record.attempt, 10, "the backoff goes on");
  // It comes and goes: the dial that was brought forward stays where it is, and the next one waits its time.
  equal(waitOf(back(first.record, 21_000, 0)), "");
  const again = connect(connect(first.record, { type: "due" }).record, {
    type: "lost",
    ticks: 30_000,
    chance: 0.9,
  }).record;
  equal(waitOf(back(again, 79_999, 0)), "");
  equal(waitOf(back(again, 80_000, 0)), "0");

  // Never later than it would have been.
  equal(waitOf(back(waiting("lost"), 105_000)), "");
  // What was refused, taken over or spread does not wait for the network.
  equal(waitOf(back(waiting("refused"), 20_000)), "");
  equal(waitOf(back(waiting("takenOver"), 20_000)), "");
  equal(waitOf(back(connect(connectionAtRest, { type: "spread", chance: 0.9 }).record, 1)), "");
});

check("connection: a brief success does not start the backoff anew, a minute online does", () => {
  const waited = (onlineMs: number) => {
    const online = connect(
      { ...connectionAtRest, state: "connecting", attempt: 5 },
      { type: "accepted", ticks: 1000 },
    ).record;
    return connect(online, { type: "lost", ticks: 1000 + onlineMs, chance: 0.5 }).record.attempt;
  };
  equal(waited(59_999), 6);
  equal(waited(60_000), 1);
});

check("connection: a refusal waits as at the cap", () => {
  const { effects } = connect(
    { ...connectionAtRest, state: "connecting" },
    { type: "refused", ticks: 0, chance: 0.5 },
  );
  equal(
    effects.some(effect => effect.type === "wait" && effect.delayMs === 60_000),
    true,
  );
});

check("connection: an event that is not legal is a bug, named", () => {
  refuses(() => connect(connectionAtRest, { type: "due" }), "bug");
});

const now = 1_800_000_000_000;
const certified = { certificateId: "id", ownershipToken: "token", now } as const;
const identity = { slot: 0, certificateId: "old", thingName: "node-1" } as const;
const refusal = new AgentError("provisioning/rejected", "no");

/** Feeds events to a record; says what was decided. */
class Story {
  record: ProvisioningRecord;
  readonly effects: string[] = [];

  constructor(record: ProvisioningRecord = notProvisioned) {
    this.record = record;
  }

  go(...events: readonly Parameters<typeof provision>[1][]): this {
    for (const event of events) {
      const { record, effects } = provision(this.record, event);
      this.record = record;
      this.effects.push(...effects.map(effect => effect.type));
    }
    return this;
  }
}

check("provisioning: from a blank board to its own identity", () => {
  const story = new Story().go(
    { type: "begun" },
    { type: "keyMade", slot: 0 },
    { type: "ready", now },
    { type: "certified", slot: 1, ...certified },
    { type: "registered", thingName: "node-1" },
  );
  equal(story.record.enrollment?.ownershipToken, undefined);
  equal(story.record.identity, undefined);
  story.go({ type: "held" }, { type: "held" });
  equal(story.effects.join(), "makeKey,requestCertificate,register,adopt,forgetClaim,erase");
  equal(story.record.identity?.slot, 1);
  equal(story.record.enrollment, undefined);
});

check("provisioning: a certificate is given up after three refusals, the key is not", () => {
  const story = new Story({ enrollment: { state: "keyed", via: "claim", slot: 0 } });
  story.go({ type: "certified", slot: 1, ...certified });
  for (let i = 0; i < 3; i++) story.go({ type: "rejected", error: refusal });
  equal(JSON.stringify(story.record.enrollment), '{"state":"keyed","via":"claim","slot":1}');
  equal(story.record.retired, "id", "it may have been registered");
  story.go({ type: "certified", slot: 1, ...certified, certificateId: "next" });
  story.go({ type: "registered", thingName: "node-1" }, { type: "held" });
  equal(story.record.identity?.certificateId, "next");
  equal(story.record.retired, "id");
});

check("provisioning: a token that has outlived its hour is not tried", () => {
  const story = new Story({ enrollment: { state: "keyed", via: "claim", slot: 0 } });
  story.go({ type: "certified", slot: 1, ...certified });
  story.go({ type: "ready", now: now + 3_600_000 }, { type: "ready", now: undefined });
  story.go({ type: "ready", now: now + 3_600_001 });
  equal(story.effects.join(), "register,register,register,requestCertificate");
});

check(
  "rotation: the identity in force stays until the next has held a session, then is reported",
  () => {
    const story = new Story({ identity }).go(
      { type: "begun" },
      { type: "wanted", via: "identity" },
      { type: "wanted", via: "identity" },
      { type: "keyMade", slot: 1 },
      { type: "ready", now },
      { type: "certified", slot: 1, ...certified },
      { type: "registered", thingName: "node-1" },
    );
    equal(story.record.identity === identity, true);
    story.go({ type: "held" });
    equal(story.record.identity?.slot, 1);
    equal(story.record.retired, "old");
    story.go({ type: "reported" });
    equal(story.record.retired, undefined);
    equal(
      story.effects.join(),
      "forgetClaim,erase,makeKey,requestCertificate,register,adopt,forgetClaim,erase",
    );
  },
);

check("rotation: refused at any step, it is given up after a bounded number of tries", () => {
  const states = ["keyed", "certified", "registered"] as const;
  for (const state of states) {
    const more = { certificateId: "new", ownershipToken: "t", thingName: "node-1" };
    const story = new Story({
      identity,
      enrollment: { state, via: "identity", slot: 1, ...more },
    });
    let tries = 0;
    while (story.record.enrollment && tries < 10) {
      story.go({ type: "rejected", error: refusal });
      tries++;
    }
    equal(tries, state === "registered" ? 2 : 3, state);
    equal(story.record.identity === identity, true);
    equal(story.effects.includes("givenUp"), true);
    equal(story.effects.at(-1), state === "registered" ? "erase" : "report", state);
  }
});

check(
  "rotation of a given identity that is given up leaves no key in either place, also after a cut",
  () => {
    const given = { ...identity, slot: "given" } as const;
    const story = new Story({
      identity: given,
      enrollment: { state: "keyed", via: "identity", slot: 0, refusals: 2 },
    });
    story.go({ type: "rejected", error: refusal });
    equal(story.effects.join(), "givenUp,erase,erase,report");
    const next = new Story({ identity: given }).go({ type: "begun" });
    equal(next.effects.join(), "erase,erase");
  },
);

check("provisioning: every record reads back as it was stored, also when one copy is torn", () => {
  const records: ProvisioningRecord[] = [
    { enrollment: { state: "wanted", via: "claim", slot: 0 } },
    { enrollment: { state: "keyed", via: "claim", slot: 0 } },
    {
      enrollment: {
        state: "certified",
        via: "claim",
        slot: 1,
        certificateId: "id",
        ownershipToken: "token",
        tokenUntil: now,
        refusals: 2,
      },
    },
    { identity },
    { identity: { ...identity, slot: "given" }, retired: "old" },
    {
      identity,
      enrollment: {
        state: "registered",
        via: "identity",
        slot: 1,
        certificateId: "n",
        thingName: "t",
      },
      retired: "old",
    },
  ];
  const values = new Map<string, Uint8Array>();
  const store = {
    read: (key: string) => values.get(key)?.slice().buffer as ArrayBuffer | undefined,
    write: (key: string, value: Uint8Array) => void values.set(key, value.slice()),
    delete: (key: string) => void values.delete(key),
    close: () => undefined,
  };
  const credentials = new CredentialStore(store);
  equal(credentials.read(), undefined);
  let before: ProvisioningRecord | undefined;
  for (const record of records) {
    credentials.write(record);
    equal(JSON.stringify(new CredentialStore(store).read()), JSON.stringify(record));
    // Any torn writing of the newest copy leaves the one before.
    const intact = [...values];
    const newest = newestOf(values);
    for (let cut = 0; cut < newest[1].length; cut++) {
      values.set(newest[0], newest[1].slice(0, cut));
      equal(JSON.stringify(new CredentialStore(store).read()), JSON.stringify(before));
    }
    for (const [key, value] of intact) values.set(key, value);
    before = record;
  }
  for (const [key, value] of values) values.set(key, value.slice(1));
  refuses(() => new CredentialStore(store).read(), "storage");
});

/** The copy with the higher sequence, which stands in octets 4 to 7. */
function newestOf(values: Map<string, Uint8Array>): readonly [string, Uint8Array] {
  const [first, second] = [...values].filter(([key]) => key.startsWith("identity."));
  return second && second[1][7]! > first![1][7]! ? second : first!;
}

check("provisioning: a credential of which any bit has changed is damaged storage, said so", () => {
  const values = new Map<string, Uint8Array>();
  const credentials = new CredentialStore({
    read: key => values.get(key)?.slice().buffer as ArrayBuffer | undefined,
    write: (key, value) => void values.set(key, value.slice()),
    delete: key => void values.delete(key),
    close: () => undefined,
  });
  const keyPair = { privateKey: Uint8Array.of(1, 2), publicKey: Uint8Array.of(4, 5) };
  const certificates = [Uint8Array.of(9), Uint8Array.of(8, 7)];
  credentials.writeCredential(0, { keyPair, certificates });
  equal(credentials.readCredential(0).certificates[1]![1], 7);
  const whole = values.get("key.0")!;
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const changed = whole.slice();
    changed[bit >> 3]! ^= 1 << (bit & 7);
    values.set("key.0", changed);
    refuses(() => credentials.readCredential(0), "storage");
  }
});

check(
  "provisioning: a new identity that is refused five times gives way to another, with the same key",
  () => {
    const story = new Story({
      enrollment: {
        state: "registered",
        via: "claim",
        slot: 1,
        certificateId: "id",
        thingName: "n",
      },
    });
    for (let i = 0; i < 4; i++) story.go({ type: "rejected", error: refusal });
    equal(story.record.enrollment?.state, "registered");
    story.go({ type: "rejected", error: refusal });
    equal(JSON.stringify(story.record.enrollment), '{"state":"keyed","via":"claim","slot":1}');
  },
);

check("provisioning: null in place of a reply is refused like any other that says nothing", () => {
  const replies = [
    ["json", toUtf8("null")],
    ["cbor", Uint8Array.of(0xf6)],
  ] as const;
  for (const [format, payload] of replies) {
    refuses(() => parseCertified(format, payload, undefined), "protocol");
    refuses(() => parseRegistered(format, payload), "protocol");
    equal(parseRejected(format, payload, "create").code, "provisioning/rejected");
  }
});
