import { writeJson } from "../../../src/codec/json.js";
import { limits } from "../../../src/limits.js";
import {
  Channel,
  type ChannelMessage,
  type ChannelOptions,
} from "../../../src/telemetry/channel.js";
import { Channels } from "../../../src/telemetry/channels.js";
import type { Readings } from "../../../src/telemetry/telemetry.js";
import { toUtf8 } from "../../../src/util/bytes.js";
import { check, equal, refuses, refusesWith } from "../harness.js";

const noon = 1_767_268_800_000;
const minute: ChannelOptions = { windowSeconds: 60 };

const shown = (messages: readonly ChannelMessage[]) =>
  messages
    .map(({ priority, time, readings }) => `${priority} ${time} ${writeJson(readings)}`)
    .join("; ");

check("channel: without a window each reading is a message", () => {
  const channel = new Channel("climate", { priority: "bulk", QoS: 0, ageLimitSeconds: 60 });
  const [message, ...more] = channel.add({ temperature: 21.5, list: [1] }, 0, noon);
  equal(more.length, 0);
  equal(writeJson(message!.readings), '{"temperature":21.5,"list":[1]}');
  equal(
    writeJson({ ...message!, readings: {} }),
    `{"channel":"climate","priority":"bulk","QoS":0,"ageLimitSeconds":60,"time":${noon},"isTimeCertain":true,"readings":{}}`,
  );
  equal(channel.due(0), undefined);
  equal(channel.flush(0, noon).length, 0);
});

check("channel: a thousand readings become one message", () => {
  const channel = new Channel("climate", minute);
  for (let i = 0; i < 1000; i++)
    equal(channel.add({ temperature: i, door: i % 2 === 0 }, i * 59, noon + i * 59).length, 0);
  equal(channel.due(59_999), 1);
  equal(channel.due(60_000), 0);
  equal(
    shown(channel.flush(60_000, noon + 60_000)),
    `telemetry ${noon} {"windowSeconds":60,"temperature":{"mean":499.5,"min":0,"max":999,"count":1000,"last":999},"door":false}`,
  );
  equal(channel.due(60_000), undefined);
  equal(channel.flush(60_000, noon).length, 0);
});

check(
  "channel: windows begin with their first reading, and end with one that comes too late",
  () => {
    const channel = new Channel("climate", { ...minute, aggregates: ["count", "last"] });
    channel.add({ t: 1 }, 5000, noon);
    channel.add({ t: 2 }, 64_999, noon + 59_999);
    equal(
      shown(channel.add({ t: 3 }, 65_000, noon + 60_000)),
      `telemetry ${noon} {"windowSeconds":60,"t":{"count":2,"last":2}}`,
    );
    equal(channel.due(65_000), 60_000);
    // Hours without a reading: nothing is sent for them.
    equal(
      shown(channel.add({ t: 4 }, 9_000_000, noon + 9_000_000)),
      `telemetry ${noon + 60_000} {"windowSeconds":60,"t":{"count":1,"last":3}}`,
    );
    equal(
      shown(channel.flush(9_012_500, noon + 9_012_500)),
      `telemetry ${noon + 9_000_000} {"windowSeconds":12.5,"t":{"count":1,"last":4}}`,
    );
  },
);

check("channel: a wall clock that jumps moves no window, one that is set late dates it", () => {
  const channel = new Channel("climate", { ...minute, aggregates: ["count"] });
  channel.add({ t: 1 }, 0, noon);
  channel.add({ t: 2 }, 1000, noon - 86_400_000);
  equal(channel.due(1000), 59_000);
  equal(channel.flush(2000, noon)[0]!.time, noon);
  channel.add({ t: 1 }, 10_000, undefined);
  channel.add({ t: 2 }, 12_000, noon + 2000);
  equal(channel.flush(13_000, undefined)[0]!.time, noon);
  channel.add({ t: 1 }, 20_000, undefined);
  const [message] = channel.flush(21_000, undefined);
  equal(message!.time, undefined);
  equal(message!.isTimeCertain, false);
  channel.add({ t: 1 }, 30_000, undefined);
  equal(channel.flush(31_000, noon + 1000)[0]!.time, noon);
});

check("channel: what is no number is kept as it was last, null is none", () => {
  const channel = new Channel("climate", { ...minute, aggregates: ["mean"] });
  equal(channel.add({ t: null }, 0, noon).length, 0);
  equal(channel.due(0), undefined);
  channel.add({ t: 1, state: "open", on: true }, 0, noon);
  channel.add({ t: null, state: "shut" }, 1, noon);
  channel.add({ on: false, more: "😀", t: 2 }, 2, noon);
  equal(
    shown(channel.flush(3, noon)),
    `telemetry ${noon} {"windowSeconds":0.003,"t":{"mean":1.5},"state":"shut","on":false,"more":"😀"}`,
  );
});

check("channel: the mean neither overflows nor loses what is small", () => {
  const channel = new Channel("climate", { ...minute, aggregates: ["mean"] });
  const meanOf = (...values: readonly number[]) => {
    for (const v of values) channel.add({ v }, 0, noon);
    const { v } = channel.flush(1, noon)[0]!.readings as { v: { mean: number } };
    return v.mean;
  };
  const { MAX_VALUE } = Number;
  equal(meanOf(MAX_VALUE, MAX_VALUE, MAX_VALUE), MAX_VALUE);
  equal(meanOf(MAX_VALUE, -MAX_VALUE), 0);
  equal(meanOf(0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1), 0.1);
  equal(meanOf(1e16, 1e16 + 2, 1e16 + 4), 1e16 + 2);
});

check("channel: readings are refused by name, all or none of them", () => {
  const channel = new Channel("climate", minute);
  channel.add({ t: 1, s: "x" }, 0, noon);
  const bad: readonly (readonly [Readings, string])[] = [
    [{ t: 5, v: Number.NaN }, '"climate": "v" is NaN'],
    [{ t: 5, v: -Infinity }, '"v" is -Infinity'],
    [{ t: 5, v: [1] }, '"v" is no number, boolean or text of 128 bytes'],
    [{ t: 5, v: "€".repeat(43) }, '"v" is no number'],
    [{ t: 5, v: "\ud800" }, '"v" is no number'],
    [{ t: 5, s: 1 }, '"s" is number, and was another kind'],
    [{ t: "five" }, '"t" is string, and was another kind'],
    [{ t: 5, windowSeconds: 1 }, '"windowSeconds" cannot be'],
    [{ t: 5, time: 1 }, '"time" cannot be'],
    [{ t: 5, constructor: 1 }, '"constructor" cannot be'],
    [{ t: 5, "": 1 }, 'the name "" is not'],
    [{ t: 5, ["n".repeat(65)]: 1 }, "is not 1 to 64 bytes"],
  ];
  for (const [readings, part] of bad) refusesWith(part, () => channel.add(readings, 1, noon));
  // Not even the window that is over is lost.
  refuses(() => channel.add({ v: Number.NaN }, 60_000, noon), "config");
  equal(channel.due(60_000), 0);
  equal(
    shown(channel.flush(60_000, noon)),
    `telemetry ${noon} {"windowSeconds":60,"t":{"mean":1,"min":1,"max":1,"count":1,"last":1},"s":"x"}`,
  );
  refusesWith('"v" is NaN', () => new Channel("plain").add({ v: Number.NaN }, 0, noon));
});

const manyOf = (from: number, count: number, value: string | number = 1) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`reading${from + i}`, value]));

check("channel: a window takes no more names than its bound, in one call or in several", () => {
  const channel = new Channel("climate", minute);
  refusesWith("65 names, at most 64", () => channel.add(manyOf(0, 65), 0, noon));
  channel.add(manyOf(0, 40), 0, noon);
  channel.add(manyOf(20, 44), 1, noon);
  refusesWith("65 names, at most 64", () => channel.add(manyOf(63, 2), 2, noon));
  const names = channel.flush(3, noon).flatMap(({ readings }) => Object.keys(readings));
  equal(names.filter(name => name !== "windowSeconds").length, 64);
  // The next window may have others.
  channel.add(manyOf(1000, 64), 3, noon);
});

check("channel: a large window is told in several messages, each within the bound", () => {
  for (const value of [-1.2345678901234567e-100, "€".repeat(42), "\u0001".repeat(128)]) {
    const channel = new Channel("climate", minute);
    channel.add(manyOf(0, 64, value), 0, noon);
    const messages = channel.flush(1, noon);
    equal(messages.length > 1, true);
    for (const { readings } of messages)
      equal(toUtf8(writeJson(readings)).length <= limits.windowBytes, true);
    const names = messages.flatMap(({ readings }) => Object.keys(readings).slice(1));
    equal(new Set(names).size, 64);
    equal(names.length, 64);
  }
});

check("channel: an alert is told at once, and again only after the reading has come back", () => {
  const channel = new Channel("climate", {
    ...minute,
    aggregates: ["count"],
    QoS: 0,
    priority: "bulk",
    ageLimitSeconds: 5,
    thresholds: { t: { above: 30, below: 10, hysteresis: 2 } },
  });
  const alertsOf = (t: number) =>
    channel
      .add({ t }, 0, noon)
      .map(({ readings: { state, side, threshold, value } }) =>
        [state, side, threshold, value].join(" "),
      )
      .join("; ");
  equal(alertsOf(30), "");
  equal(alertsOf(30.5), "raised above 30 30.5");
  equal(alertsOf(29), "");
  equal(alertsOf(31), "");
  equal(alertsOf(28), "cleared above 30 28");
  equal(alertsOf(29), "");
  equal(alertsOf(40), "raised above 30 40");
  equal(alertsOf(9), "cleared above 30 9; raised below 10 9");
  equal(alertsOf(11.9), "");
  equal(alertsOf(12), "cleared below 10 12");
  const [alert] = channel.add({ t: 31 }, 0, noon);
  equal(
    writeJson({ ...alert! }),
    `{"channel":"climate","priority":"alert","QoS":1,"time":${noon},"isTimeCertain":true,"readings":{"alert":"t","state":"raised","side":"above","threshold":30,"value":31}}`,
  );
  // What was alerted about is in the window all the same.
  equal(shown(channel.flush(60_000, noon)), `bulk ${noon} {"windowSeconds":60,"t":{"count":11}}`);
});

check(
  "channel: with a window that ends, its message comes before the alert; else the alert is first",
  () => {
    const thresholds = { t: { above: 30 } };
    const channel = new Channel("climate", { ...minute, aggregates: ["max"], thresholds });
    channel.add({ t: 1, u: 2 }, 0, noon);
    equal(
      shown(channel.add({ t: 31 }, 60_000, noon + 60_000)),
      `telemetry ${noon} {"windowSeconds":60,"t":{"max":1},"u":{"max":2}}; ` +
        `alert ${noon + 60_000} {"alert":"t","state":"raised","side":"above","threshold":30,"value":31}`,
    );
    const plain = new Channel("climate", { thresholds });
    equal(
      shown(plain.add({ t: 31, u: 2 }, 0, undefined)),
      'alert undefined {"alert":"t","state":"raised","side":"above","threshold":30,"value":31}; ' +
        'telemetry undefined {"t":31,"u":2}',
    );
    equal(plain.add({ t: "31" }, 0, noon).length, 1);
    equal(plain.add({ u: 2 }, 0, noon).length, 1);
  },
);

check("channel: options are refused by name and value", () => {
  const bad: readonly (readonly [ChannelOptions, string])[] = [
    [{ windowSeconds: 0 }, "c.windowSeconds 0 is not 1 to 604800"],
    [{ windowSeconds: 1.5 }, "c.windowSeconds 1.5"],
    [{ ageLimitSeconds: 604_801 }, "c.ageLimitSeconds 604801"],
    [{ aggregates: ["mean"] }, "c.aggregates without windowSeconds"],
    [{ windowSeconds: 1, aggregates: [] }, "c.aggregates is empty"],
    [{ windowSeconds: 1, aggregates: ["median" as "mean"] }, '"median" is not one of mean, min'],
    [{ priority: "urgent" as "alert" }, '"urgent" is not one of alert'],
    [{ QoS: 2 as 1 }, "c.QoS 2 is not 0 or 1"],
    [{ thresholds: { t: {} } }, "c.thresholds.t has neither above nor below"],
    [{ thresholds: { t: { above: Number.NaN } } }, "c.thresholds.t .above NaN"],
    [{ thresholds: { t: { below: -Infinity } } }, "c.thresholds.t .below -Infinity"],
    [{ thresholds: { t: { above: 1, hysteresis: -1 } } }, ".hysteresis -1 is below 0"],
    [{ thresholds: { t: { above: 1, below: 2 } } }, ".below 2 is greater than .above 1"],
    [
      { thresholds: { t: { above: 2, below: 1, hysteresis: 1.5 } } },
      ".hysteresis 1.5 is wider than from .below 1 to .above 2",
    ],
    [{ thresholds: { time: { above: 1 } } }, '"time" cannot be'],
  ];
  for (const [options, part] of bad) refusesWith(part, () => new Channel("c", options));
  refusesWith('"a/b" is not 1 to 64', () => new Channel("a/b"));
  refusesWith("65 names", () => {
    const thresholds = Object.fromEntries(Object.keys(manyOf(0, 65)).map(n => [n, { above: 1 }]));
    return new Channel("c", { thresholds });
  });
});

check("channels: the first window that ends is the one to wait for", () => {
  const channels = new Channels({ fast: { windowSeconds: 10 }, slow: minute, plain: {} });
  equal(channels.due(0), undefined);
  channels.get("slow")!.add({ t: 1 }, 0, noon);
  equal(channels.due(0), 60_000);
  channels.get("fast")!.add({ t: 2 }, 1000, noon);
  channels.get("plain")!.add({ t: 2 }, 1000, noon);
  equal(channels.due(1000), 10_000);
  equal(channels.take(10_999, noon).length, 0);
  equal(channels.due(11_000), 0);
  equal(
    channels
      .take(11_000, noon)
      .map(({ channel }) => channel)
      .join(),
    "fast",
  );
  equal(channels.due(11_000), 49_000);
  equal(channels.flush(11_000, noon)[0]!.channel, "slow");
  equal(channels.get("other"), undefined);
  const many = Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`c${i}`, {}]));
  refusesWith("17 channels, at most 16", () => new Channels(many));
});
