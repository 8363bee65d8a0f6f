import { unsupported } from "../../../src/codec/json.js";
import { AgentError } from "../../../src/errors.js";
import {
  encodeValues,
  parseAccepted,
  parseDelta,
  parseDocument,
  parseValues,
  updateRequest,
} from "../../../src/shadow/messages.js";
import type { Desired, Members } from "../../../src/shadow/reconcile.js";
import {
  type ShadowEffect,
  type ShadowEvent,
  type ShadowRecord,
  startingFrom,
} from "../../../src/shadow/record.js";
import { defaultsOf, faultOf, flatten, leavesOf, nest } from "../../../src/shadow/schema.js";
import { step } from "../../../src/shadow/shadow.js";
import { fromUtf8, toUtf8 } from "../../../src/util/bytes.js";
import { check, equal, refuses } from "../harness.js";

const leaves = leavesOf({
  seconds: { type: "integer", min: 1, max: 60, default: 5 },
  led: { type: "enum", values: ["off", "red"], default: "off" },
  label: { type: "string", maxLength: 3, default: "" },
  on: { type: "boolean", default: false, wins: "device" },
  alarm: {
    type: "group",
    members: {
      high: { type: "number", max: 90, default: 50 },
      tone: { type: "group", members: { hertz: { type: "integer", default: 440 } } },
    },
  },
});
const defaults = defaultsOf(leaves);

check("settings: a value is judged by type, bounds, members and length in characters", () => {
  equal(faultOf(leaves["seconds"]!, 60), undefined);
  equal(faultOf(leaves["seconds"]!, 61), "out of range: 61 is above 60");
  equal(faultOf(leaves["seconds"]!, 0), "out of range: 0 is below 1");
  equal(faultOf(leaves["seconds"]!, 1.5), "wrong type: 1.5 is not an integer");
  equal(faultOf(leaves["seconds"]!, "5"), 'wrong type: "5" is not an integer');
  equal(faultOf(leaves["led"]!, "blue"), 'out of range: "blue" is not one of off, red');
  equal(faultOf(leaves["led"]!, 5), "wrong type: 5 is not a string");
  equal(faultOf(leaves["label"]!, "😀é€"), undefined);
  equal(faultOf(leaves["label"]!, "abcd"), "out of range: 4 characters, at most 3 are taken");
  equal(faultOf(leaves["label"]!, "\ud800"), "wrong type: has an unpaired surrogate");
  equal(faultOf(leaves["label"]!, unsupported), "wrong type: this is not a string");
  equal(faultOf(leaves["on"]!, null), "wrong type: null is not a boolean");
  const long = faultOf(leaves["led"]!, "😀".repeat(40))!;
  equal(long.includes(`"${"😀".repeat(24)}…"`), true, long);
});

check(
  "settings: names, depth, defaults and size of a schema are refused before they are used",
  () => {
    const leaf = { type: "boolean", default: false } as const;
    refuses(() => leavesOf({ constructor: leaf }), "config");
    refuses(() => leavesOf({ ["__proto__"]: leaf }), "config");
    refuses(() => leavesOf({ _verdicts: leaf }), "config");
    refuses(() => leavesOf({ "a.b": leaf }), "config");
    refuses(() => leavesOf({ a: { type: "integer", min: 5, default: 1 } }), "config");
    const group = (members: Parameters<typeof leavesOf>[0]) =>
      ({ type: "group", members }) as const;
    const three = { a: group({ b: group({ c: group({ d: leaf }) }) }) };
    equal(Object.keys(leavesOf(three)).join(), "a.b.c.d");
    refuses(() => leavesOf({ z: group(three) }), "config");
    const many: Record<string, typeof leaf> = {};
    for (let i = 0; i < 65; i++) many[`n${i}`] = leaf;
    refuses(() => leavesOf(many), "config");
    const long = { type: "string", maxLength: 4000, default: "x".repeat(4000) } as const;
    refuses(() => leavesOf({ long }), "config");
  },
);

check("settings: groups are objects outside and paths inside", () => {
  equal(Object.keys(leaves).join(), "seconds,led,label,on,alarm.high,alarm.tone.hertz");
  const nested = nest({ "alarm.high": 1, "alarm.tone.hertz": 2, seconds: 3 });
  equal(JSON.stringify(nested), '{"alarm":{"high":1,"tone":{"hertz":2}},"seconds":3}');
  equal(
    JSON.stringify(flatten(leaves, nested)),
    '{"alarm.high":1,"alarm.tone.hertz":2,"seconds":3}',
  );
  refuses(() => flatten(leaves, { alarm: 5 }), "config");
  refuses(() => flatten(leaves, { alarm: { toString: 5 } }), "config");
  refuses(() => flatten(leaves, { alarm: { high: 91 } }), "config");
  refuses(() => flatten(leaves, { toString: 5 }), "config");
});

check("settings: what is stored comes back, with the local changes the cloud does not know", () => {
  const values = { ...defaults, seconds: 9, on: true };
  const back = parseValues(encodeValues(values, ["on"]), leaves);
  equal(JSON.stringify(back.values), JSON.stringify(values));
  equal(back.local.join(), "on");
  const other = parseValues(toUtf8('{"seconds":99,"led":"red","_local":"led,toString"}'), leaves);
  equal(other.values["seconds"], 5, "does not fit any more");
  equal(other.values["led"], "red");
  equal(other.local.length, 0);
  refuses(() => parseValues(toUtf8("[1"), leaves), "protocol");
});

const desiredOf = (members: Members): Desired => ({ members, others: new Map(), moreOthers: 0 });

/** A device that performs what is decided; what it sends waits in `sent`. */
class Device {
  record: ShadowRecord;
  readonly effects: ShadowEffect[] = [];
  /** Verdicts that the product answers with. */
  product: ReadonlyMap<string, string> | undefined;

  constructor(record: ShadowRecord = startingFrom(defaults)) {
    this.record = record;
  }

  go(...events: readonly ShadowEvent[]): this {
    for (const event of events) {
      const { record, effects } = step(leaves, this.record, event);
      this.record = record;
      this.effects.push(...effects);
      for (const effect of effects) {
        if (effect.type === "ask") this.go({ type: "turn" });
        if (effect.type === "apply") this.go({ type: "applied", verdicts: this.product });
      }
    }
    return this;
  }

  /** Following, with all that it has reported. */
  static following(version = 7): Device {
    return new Device({
      ...startingFrom(defaults),
      state: "following",
      reported: defaults,
      version,
    });
  }

  get types(): string {
    return this.effects.map(effect => effect.type).join();
  }

  /** The updates sent, as JSON. */
  get updates(): readonly string[] {
    return this.effects.flatMap(effect =>
      effect.type === "update" ? [fromUtf8(updateRequest(effect.update, "t"))] : [],
    );
  }
}

check("shadow: on connect it reads, applies what is wanted and reports what differs, once", () => {
  const device = new Device().go({ type: "subscribed" });
  equal(device.types, "ask,get");
  device.go({
    type: "document",
    desired: desiredOf({ seconds: 9, led: "blue", on: false }),
    reported: { seconds: 5, label: "" },
    told: undefined,
    version: 3,
  });
  equal(device.types, "ask,get,verdict,apply,ask,update");
  equal(
    device.updates.join(),
    '{"state":{"reported":{"seconds":9,"led":"off","on":false,"alarm":{"high":50,"tone":{"hertz":440}},' +
      '"_verdicts":{"led":"out of range: \\"blue\\" is not one of off, red"}}},"clientToken":"t"}',
  );
  device.go({ type: "accepted", isReport: true, version: 4 });
  equal(device.record.request, undefined);
});

check("shadow: a delta and the acceptance of one version, in both orders, apply once", () => {
  for (const deltaFirst of [true, false]) {
    const device = Device.following(3);
    const delta = { type: "delta", desired: desiredOf({ seconds: 9 }), version: 5 } as const;
    device.go({ type: "changed", values: { on: true } });
    if (deltaFirst) device.go(delta, { type: "accepted", isReport: true, version: 4 });
    else device.go({ type: "accepted", isReport: true, version: 4 }, delta);
    if (deltaFirst)
      device.go({
        type: "document",
        desired: desiredOf({ seconds: 9, on: true }),
        reported: { ...defaults, on: true },
        told: undefined,
        version: 5,
      });
    device.go(delta, { type: "accepted", isReport: true, version: 6 });
    equal(device.effects.filter(({ type }) => type === "apply").length, 1);
    equal(device.updates.length, 2);
    equal(device.record.reported["seconds"], 9);
  }
});

check("shadow: a delta that contradicts what was believed to be reported is answered", () => {
  const device = Device.following();
  device.go({ type: "delta", desired: desiredOf({ seconds: 5 }), version: 8 });
  equal(device.updates.join(), '{"state":{"reported":{"seconds":5}},"clientToken":"t"}');
});

check("shadow: a refused value is answered once, however often it comes", () => {
  const device = Device.following();
  for (let version = 8; version < 20; version += 2)
    device.go(
      { type: "delta", desired: desiredOf({ seconds: 0 }), version },
      ...(version === 8
        ? [{ type: "accepted", isReport: true, version: version + 1 } as const]
        : []),
    );
  equal(
    device.updates.join(),
    '{"state":{"reported":{"_verdicts":{"seconds":"out of range: 0 is below 1"}}},"clientToken":"t"}',
  );
});

check("shadow: a delta that comes before the document is no event of its own", () => {
  const delta = { type: "delta", desired: desiredOf({ seconds: 9 }), version: 8 } as const;
  equal(new Device().go(delta).effects.length, 0);
  equal(new Device().go({ type: "subscribed" }, delta).types, "ask,get");
});

check("shadow: an older delta asks for the document, which alone can tell", () => {
  const device = Device.following();
  device.go({ type: "delta", desired: desiredOf({ seconds: 9 }), version: 6 });
  equal(device.types, "ask,get");
});

check("shadow: without an answer it reads again, then drops the link", () => {
  const device = new Device().go({ type: "subscribed" });
  for (let i = 0; i < 3; i++) device.go({ type: "timeout" });
  equal(device.types, "ask,get,ask,get,ask,get,drop");
});

const error = new AgentError("shadow/rejected", "no");

check("shadow: patience is asked for with growing attempts, then it reads", () => {
  const device = Device.following().go({ type: "changed", values: { seconds: 6 } });
  device.go({ type: "busy", error }, { type: "due" }, { type: "busy", error });
  equal(device.types, "ask,update,report,wait,ask,get,report,wait");
  const attempts = device.effects.flatMap(effect => (effect.type === "wait" ? effect.attempt : []));
  equal(attempts.join(), "0,1");
  equal(device.record.state, "waiting");
});

check("shadow: the end of a wait that was cut short is no event of its own", () => {
  const device = Device.following().go({ type: "changed", values: { seconds: 6 } });
  device.go({ type: "busy", error }, { type: "retry" }, { type: "due" });
  equal(device.types, "ask,update,report,wait,ask,get");
  const document = { type: "document", told: undefined, version: 8 } as const;
  device.go({ ...document, desired: desiredOf({}), reported: { ...defaults, seconds: 6 } });
  device.go({ type: "due" });
  equal(device.record.state, "following");
});

check("shadow: what is refused for good is not repeated before something else is known", () => {
  const device = Device.following().go({ type: "changed", values: { seconds: 6 } });
  device.go(
    { type: "refused", error, isTooLong: false },
    { type: "changed", values: { seconds: 6 } },
  );
  equal(device.updates.length, 1);
  device.go({ type: "changed", values: { seconds: 7 } });
  equal(device.updates.length, 2);
});

check("shadow: verdicts that do not fit are left out, the values are not", () => {
  const device = Device.following();
  device.go({ type: "delta", desired: desiredOf({ seconds: 9, led: "x" }), version: 8 });
  device.go({ type: "refused", error, isTooLong: true });
  equal(device.updates.length, 2);
  equal(device.updates[1], '{"state":{"reported":{"seconds":9}},"clientToken":"t"}');
  device.go({ type: "refused", error, isTooLong: true });
  equal(device.updates.length, 2);
});

check("shadow: a read that is refused for good halts, until something in it changes", () => {
  const device = new Device().go({ type: "subscribed" });
  device.go({ type: "refused", error, isTooLong: false });
  equal(device.record.state, "halted");
  device.go(
    { type: "changed", values: { seconds: 6 } },
    { type: "foreign", isReport: false, version: 8 },
  );
  equal(device.types, "ask,get,report,ask,get");
});

check("shadow: the product's verdicts are told, and it is not asked twice on one link", () => {
  const device = Device.following();
  device.product = new Map([["led", "failed: no such LED"]]);
  const delta = {
    type: "delta",
    desired: desiredOf({ led: "red", seconds: 9 }),
    version: 8,
  } as const;
  device.go(delta, { type: "accepted", isReport: true, version: 9 });
  device.go({ type: "delta", desired: desiredOf({ led: "red" }), version: 10 });
  equal(device.effects.filter(({ type }) => type === "apply").length, 1);
  equal(
    device.updates.join(),
    '{"state":{"reported":{"seconds":9,"_verdicts":{"led":"failed: no such LED"}}},"clientToken":"t"}',
  );
  device.product = undefined;
  device.go(
    { type: "retry" },
    {
      type: "document",
      desired: desiredOf({ led: "red", seconds: 9 }),
      reported: { ...defaults, seconds: 9 },
      told: new Map([["led", "failed: no such LED"]]),
      version: 10,
    },
  );
  equal(device.record.values["led"], "red");
  equal(
    device.updates[1],
    '{"state":{"reported":{"led":"red","_verdicts":null}},"clientToken":"t"}',
  );
});

check("shadow: what the product sets while it is told is what counts", () => {
  const device = Device.following();
  const delta = { type: "delta", desired: desiredOf({ seconds: 9 }), version: 8 } as const;
  const begun = step(leaves, device.record, delta);
  equal(begun.effects.map(({ type }) => type).join(), "apply");
  device.record = begun.record;
  device.go({ type: "changed", values: { seconds: 8 } }, { type: "applied", verdicts: undefined });
  equal(
    device.updates.join(),
    '{"state":{"reported":{"seconds":8,"_verdicts":{"seconds":"failed: the device has set 8"}}},"clientToken":"t"}',
  );
  device.go({ type: "accepted", isReport: true, version: 9 }, { ...delta, version: 9 });
  equal(device.updates.length, 1);
});

check(
  "shadow: a local change that is to win tells the cloud what to want, at the version it knows",
  () => {
    const device = Device.following();
    device.go({ type: "changed", values: { on: true } });
    equal(
      device.updates[0],
      '{"state":{"reported":{"on":true},"desired":{"on":true}},"version":7,"clientToken":"t"}',
    );
    device.go({ type: "conflict" });
    const document = { type: "document", told: undefined, reported: defaults, version: 8 } as const;
    device.go({ ...document, desired: desiredOf({ on: false }) });
    equal(
      device.updates[1],
      '{"state":{"reported":{"on":true},"desired":{"on":true}},"version":8,"clientToken":"t"}',
    );
    device.go({ type: "accepted", isReport: true, version: 9 });
    equal(device.record.local.length, 0);
    device.go({ type: "delta", desired: desiredOf({ on: false }), version: 10 });
    equal(device.record.values["on"], false, "what the cloud wants later counts");
  },
);

check("shadow: a local change that was told before the power went does not win twice", () => {
  const values = { ...defaults, on: true };
  const device = new Device(startingFrom(values, ["on"])).go({ type: "subscribed" });
  device.go({
    type: "document",
    desired: desiredOf({ on: false }),
    reported: values,
    told: undefined,
    version: 12,
  });
  equal(device.record.values["on"], false);
  equal(device.record.local.length, 0);
});

check(
  "shadow: a local change loses to what the cloud wants, unless the setting says otherwise",
  () => {
    const device = new Device().go(
      { type: "changed", values: { seconds: 7 } },
      { type: "subscribed" },
    );
    const document = { type: "document", told: undefined, reported: defaults, version: 8 } as const;
    device.go({ ...document, desired: desiredOf({ seconds: 20 }) });
    equal(device.record.values["seconds"], 20);
  },
);

check("shadow: deleted, it is reported anew", () => {
  const device = Device.following().go({ type: "deleted" }, { type: "absent" });
  equal(device.types, "ask,get,ask,update");
  equal(
    device.updates.join(),
    '{"state":{"reported":{"seconds":5,"led":"off","label":"","on":false,"alarm":{"high":50,"tone":{"hertz":440}}}},"clientToken":"t"}',
  );
});

check("shadow: a document that is older than what was told meanwhile is read again", () => {
  const delta = { type: "delta", desired: desiredOf({ seconds: 9 }), version: 8 } as const;
  const foreign = { type: "foreign", isReport: false, version: 8 } as const;
  const unreadable = { type: "garbled", error } as const;
  const document = { type: "document", told: undefined, reported: defaults, version: 7 } as const;
  for (const told of [delta, foreign, unreadable, { type: "deleted" } as const]) {
    const device = new Device().go({ type: "subscribed" }, told);
    device.go({ ...document, desired: desiredOf({}) });
    equal(device.types.replace("report,", ""), "ask,get,ask,get", told.type);
    device.go({ ...document, desired: desiredOf({ seconds: 9 }), version: 8 });
    equal(device.record.values["seconds"], 9, told.type);
  }
  const device = new Device().go({ type: "subscribed" }, delta, { type: "absent" });
  equal(device.types, "ask,get,ask,get");
});

check("shadow: what somebody else has reported is read, and reported anew", () => {
  const device = Device.following().go({ type: "foreign", isReport: false, version: 8 });
  equal(device.types, "");
  device.go({ type: "foreign", isReport: true, version: 9 });
  equal(device.types, "ask,get");
});

check("shadow: a delta that comes after the word of a later change is late", () => {
  const device = Device.following().go({ type: "foreign", isReport: false, version: 9 });
  device.go({ type: "delta", desired: desiredOf({ seconds: 0 }), version: 8 });
  equal(device.types, "ask,get");
});

check("shadow: where there is none a local change has nothing to win over, and is reported", () => {
  const device = new Device().go({ type: "changed", values: { on: true } });
  device.go({ type: "subscribed" }, { type: "absent" });
  equal(device.record.local.length, 0);
  equal(device.updates[0]!.includes('"on":true'), true);
  equal(device.updates[0]!.includes("version"), false);
});

check("shadow: a delta that cannot be read leaves what is in flight alone", () => {
  const device = new Device().go({ type: "subscribed" }, { type: "garbled", error });
  equal(device.record.request, "get");
  const other = Device.following().go({ type: "changed", values: { seconds: 6 } });
  other.go({ type: "garbled", error }, { type: "garbled", error });
  other.go({ type: "accepted", isReport: true, version: 8 });
  equal(other.types, "ask,update,report,report,ask,get");
});

check("shadow: what is set while a report of it is on its way is reported again", () => {
  const device = Device.following().go({ type: "changed", values: { seconds: 6 } });
  device.go({ type: "delta", desired: desiredOf({ seconds: 5 }), version: 8 });
  device.go({ type: "changed", values: { seconds: 6 } });
  device.go({ type: "accepted", isReport: true, version: 8 });
  equal(device.updates.length, 2, "or no delta would say that 5 is wanted");
});

check("shadow: what is left while the product is told counts when it has answered", () => {
  const device = Device.following();
  const delta = { type: "delta", desired: desiredOf({ seconds: 9 }), version: 8 } as const;
  device.record = step(leaves, device.record, delta).record;
  device.go({ type: "lost" }, { type: "applied", verdicts: undefined });
  equal(device.record.values["seconds"], 9);
});

check("shadow: what the product would not take and sets in the end is refused no more", () => {
  const device = Device.following();
  device.product = new Map([["seconds", "deferred"]]);
  device.go({ type: "delta", desired: desiredOf({ seconds: 9 }), version: 8 });
  device.go({ type: "accepted", isReport: true, version: 9 });
  device.go({ type: "changed", values: { seconds: 9 } });
  equal(
    device.updates[1],
    '{"state":{"reported":{"seconds":9,"_verdicts":null}},"clientToken":"t"}',
  );
});

check("shadow: a verdict on what a local change has overwritten is read again", () => {
  const device = Device.following();
  device.go({ type: "delta", desired: desiredOf({ on: "x" }), version: 8 });
  device.go({ type: "accepted", isReport: true, version: 9 });
  device.go({ type: "changed", values: { on: true } });
  device.go({ type: "accepted", isReport: true, version: 10 });
  equal(device.types.endsWith("update,ask,get"), true, device.types);
});

check("shadow: an answer that is older than a delta is no proof", () => {
  const device = Device.following().go({ type: "changed", values: { seconds: 6 } });
  device.go({ type: "delta", desired: desiredOf({ led: "x" }), version: 9 });
  device.go({ type: "accepted", isReport: true, version: 8 });
  equal(device.types.endsWith("ask,get"), true, device.types);
});

const documentOf = (text: string) => {
  const { event } = parseDocument(toUtf8(text), leaves, defaults);
  if (event.type !== "document") throw new Error(event.type);
  return event;
};

check("shadow documents: what nobody declared is named, what is of another kind is judged", () => {
  const { desired, reported, told } = documentOf(
    '{"state":{"desired":{"seconds":1e400,"label":"\\ud800","__proto__":{"on":true},"alarm":{"high":[1],"constructor":1,' +
      '"tone":7},"extra":{"a":1}},"reported":{"alarm":5,"on":true,"_verdicts":{"led":"unknown","x":4}}},"version":3}',
  );
  equal(desired.members["seconds"], unsupported);
  equal(desired.members["label"], unsupported);
  equal(desired.members["alarm.high"], unsupported);
  equal(desired.members["alarm.tone.hertz"], undefined);
  equal(
    Array.from(desired.others, entry => entry.join("=")).join(),
    "__proto__=unknown,alarm.constructor=unknown,extra=unknown,alarm.tone=wrong type: this is not an object",
  );
  equal(reported["on"], true);
  equal(reported["alarm.high"], undefined);
  equal(told?.get("led"), "unknown");
  equal(told?.get("x"), "");
  equal(({} as { on?: boolean }).on, undefined);
});

check("shadow documents: of many strangers the first are named, the others counted", () => {
  const names = Array.from({ length: 100 }, (_, i) => `"n${i}":${i}`).join();
  const { desired } = documentOf(`{"state":{"desired":{${names}}},"version":3}`);
  equal(desired.others.size, 16);
  equal(desired.moreOthers, 84);
  const device = new Device().go({ type: "subscribed" });
  device.go({ type: "document", desired, reported: defaults, told: undefined, version: 3 });
  const update = device.updates[0]!;
  equal(update.includes('"n8":"unknown","*":"85 more"}'), true, update);
  device.go({ type: "accepted", isReport: true, version: 4 });
  device.go({ type: "delta", desired, version: 4 });
  equal(device.updates.length, 1, "the same many, told by a delta");
  device.product = new Map([["on", "deferred"]]);
  const members = { on: true };
  device.go({ type: "delta", desired: { ...desired, members }, version: 5 });
  equal(device.record.verdicts?.get("*"), "86 more");
});

check("shadow documents: of a name given twice the last counts", () => {
  equal(
    documentOf('{"state":{"desired":{"on":false,"on":true}},"version":3}').desired.members["on"],
    true,
  );
});

check("shadow documents: an accepted update tells whether it was about what is reported", () => {
  const isReport = (state: string) => {
    const { event } = parseAccepted(toUtf8(`{"state":${state},"version":3}`));
    return event.isReport;
  };
  equal(isReport('{"desired":{"on":true}}'), false);
  equal(isReport('{"desired":{"reported":1}}'), false);
  equal(isReport('{"reported":{"on":true}}'), true);
  equal(isReport('{"desired":{},"reported":null}'), true);
  equal(isReport("null"), true);
});

const unreadable = [
  "[1]",
  '"state"',
  '{"state":[],"version":3}',
  '{"state":7,"version":3}',
  '{"state":{"desired":[]},"version":3}',
  '{"state":{"reported":"x"},"version":3}',
  '{"state":{}}',
  '{"state":{},"version":-1}',
  '{"state":{},"version":1.5}',
  `{"state":{"desired":${'{"a":'.repeat(40)}1${"}".repeat(40)}},"version":3}`,
];

check("shadow documents: one that is no document is refused with a reason", () => {
  for (const text of unreadable)
    refuses(() => parseDocument(toUtf8(text), leaves, defaults), "protocol");
  for (const text of ["[]", '{"state":5,"version":3}', '{"state":{"on":true}}'])
    refuses(() => parseDelta(toUtf8(text), leaves), "protocol");
});
