// What a shadow calls different, and when it says so, over MQTT and REST: chapter 3.5 of the notes on AWS's protocol.

import { idOf } from "./provisioning-rig.js";
import { type Asked, type Body, clientOf, inEveryWay, overMqtt } from "./shadow-wire.js";

interface State {
  readonly desired?: object | null;
  readonly reported?: object | null;
}

const deltasOf = ({ heard }: Asked): Body[] =>
  heard.filter(({ topic }) => topic === "update/delta").map(({ body }) => body);

/**
 * By `get` and by the message of the last update.
 *
 * @param states updates, one after the other @param delta undefined when nothing may be said
 */
function differs(title: string, states: readonly State[], delta: object | undefined): void {
  inEveryWay(`3.5 delta: ${title}`, async (t, { ask }) => {
    let deltas: Body[] = [];
    for (const state of states) {
      const updated = await ask("update", { state });
      t.is(updated.code, 200);
      deltas = deltasOf(updated);
    }
    t.deepEqual(
      deltas.map(({ state }) => state),
      delta === undefined ? [] : [delta],
    );
    t.deepEqual(((await ask("get")).body.state as { delta?: object }).delta, delta);
  });
}

differs("a flipped boolean", [{ desired: { k: true }, reported: { k: false } }], { k: true });
differs(
  "reported holds more, values equal",
  [{ desired: { k: 1 }, reported: { k: 1, l: 2 } }],
  undefined,
);
differs("reported only", [{ reported: { k: 1 } }], undefined);
differs("desired empty", [{ desired: {}, reported: { k: 1 } }], undefined);
differs("nothing at all", [{}], undefined);
differs("a null as first report", [{ reported: { k: null } }], undefined);
differs("reported {} while desired has keys", [{ desired: { k: 1 } }, { reported: {} }], { k: 1 });
differs(
  "reported changes an unrelated key",
  [{ desired: { k: 1, l: 2 }, reported: { l: 2 } }, { reported: { z: 9 } }],
  { k: 1 },
);
differs("no reported section", [{ desired: { k: 1, o: { p: 2 } } }], { k: 1, o: { p: 2 } });
differs("desired removed", [{ desired: { k: 1 } }, { desired: null }], undefined);
differs("a desired key removed", [{ desired: { k: 1, l: 1 } }, { desired: { k: null } }], { l: 1 });
differs("reported removed", [{ desired: { k: 1 }, reported: { k: 1 } }, { reported: null }], {
  k: 1,
});
differs(
  "a reported key removed that is still desired comes back",
  [{ desired: { k: 1, l: 1 }, reported: { k: 1, l: 1 } }, { reported: { k: null } }],
  { k: 1 },
);
differs("a shorter list", [{ desired: { l: [1, 2] }, reported: { l: [1, 2, 3] } }], { l: [1, 2] });
differs("a longer list", [{ desired: { l: [1, 2, 3] }, reported: { l: [1, 2] } }], {
  l: [1, 2, 3],
});
differs("a changed list", [{ desired: { l: [1, 2] }, reported: { l: [1, 3] } }], { l: [1, 2] });
differs("a list in another order", [{ desired: { l: [1, 2] }, reported: { l: [2, 1] } }], {
  l: [1, 2],
});
differs("an equal list", [{ desired: { l: [1, [2]] }, reported: { l: [1, [2]] } }], undefined);
differs("a list of lists", [{ desired: { l: [[1], [2]] }, reported: { l: [[1], [3]] } }], {
  l: [[1], [2]],
});
differs(
  "a list of objects is taken whole",
  [{ desired: { l: [{ a: 1 }, { b: 2 }] }, reported: { l: [{ a: 1 }, { b: 3 }] } }],
  { l: [{ a: 1 }, { b: 2 }] },
);
differs(
  "a list inside an object, with its path",
  [{ desired: { o: { l: [1, 2], m: 1 } }, reported: { o: { l: [2], m: 1 } } }],
  { o: { l: [1, 2] } },
);
differs(
  "one leaf of a nested object, with its path",
  [{ desired: { o: { p: { q: 1, r: 2 } } }, reported: { o: { p: { q: 1, r: 3 } } } }],
  { o: { p: { r: 2 } } },
);
differs(
  "only the missing branch beside an equal one",
  [{ desired: { o: { a: { x: 1 }, b: { y: 2 } } }, reported: { o: { a: { x: 1 } } } }],
  { o: { b: { y: 2 } } },
);
differs("an empty object and no reported section", [{ desired: { k: {} } }], { k: {} });
differs(
  "a strict subset of the reported object",
  [{ desired: { o: { a: 1 } }, reported: { o: { a: 1, b: 2 } } }],
  undefined,
);
differs("an object against a scalar", [{ desired: { o: { a: 1 } }, reported: { o: 1 } }], {
  o: { a: 1 },
});
differs("a scalar against an object", [{ desired: { o: 1 }, reported: { o: { a: 1 } } }], { o: 1 });
differs("a list against an object", [{ desired: { o: [1] }, reported: { o: { 0: 1 } } }], {
  o: [1],
});
differs("a number against its text", [{ desired: { n: 1 }, reported: { n: "1" } }], { n: 1 });
differs("false against 0", [{ desired: { n: false }, reported: { n: 0 } }], { n: false });

inEveryWay("3.5 delta: numbers compare by value", async (t, { ask }) => {
  const text =
    '{"state":{"desired":{"n":1,"m":100,"l":[1]},"reported":{"n":1.0,"m":1e2,"l":[1.0]}}}';
  t.deepEqual(deltasOf(await ask("update", text)), []);
});

inEveryWay(
  "3.5 emission: content is all that differs, not this update's share",
  async (t, { ask }) => {
    await ask("update", { state: { desired: { a: 1, b: { c: 2 } } } });
    const [delta] = deltasOf(await ask("update", { state: { desired: { d: 3 } } }));
    t.deepEqual(delta?.state, { a: 1, b: { c: 2 }, d: 3 });
  },
);

inEveryWay(
  "3.5 emission: after each accepted update that leaves a difference",
  async (t, { ask }) => {
    await ask("update", { state: { desired: { a: 1 } } });
    for (const state of [
      { reported: { z: 1 } },
      { desired: { a: 1 } },
      {},
      { reported: { a: 2 } },
    ]) {
      t.deepEqual(
        deltasOf(await ask("update", { state })).map(each => each.state),
        [{ a: 1 }],
      );
    }
  },
);

inEveryWay(
  "3.5 emission: when all is equal there is no message, not an empty one",
  async (t, { ask }) => {
    await ask("update", { state: { desired: { a: 1 } } });
    const { heard } = await ask("update", { state: { reported: { a: 1 } } });
    t.deepEqual(heard.map(({ topic }) => topic).sort(), ["update/accepted", "update/documents"]);
  },
);

inEveryWay("3.5 emission: what is rejected, read or deleted says nothing", async (t, { ask }) => {
  await ask("update", { state: { desired: { a: 1 } } });
  t.deepEqual(deltasOf(await ask("update", { state: { desired: { b: 1 } }, version: 9 })), []);
  t.deepEqual(deltasOf(await ask("get")), []);
  t.deepEqual(deltasOf(await ask("delete")), []);
});

inEveryWay(
  "3.5 emission: version is the new one, timestamps are those of desired",
  async (t, wire) => {
    const { ask, time } = wire;
    const first = wire.now;
    await ask("update", { state: { desired: { a: 1, b: { c: [1] } }, reported: { x: 1 } } });
    time.advance(7000);
    const state = { desired: { a: 1 }, reported: { b: { c: [] } } };
    const [delta, more] = deltasOf(await ask("update", { state, clientToken: "t" }));
    t.deepEqual(delta, {
      state: { a: 1, b: { c: [1] } },
      metadata: { a: { timestamp: first + 7 }, b: { c: [{ timestamp: first }] } },
      version: 2,
      timestamp: first + 7,
      clientToken: "t",
    });
    t.is(more, undefined);
    const [next] = deltasOf(await ask("update", { state: {} }));
    t.false("clientToken" in next!);
  },
);

overMqtt("3.5 missed deltas: a clean session gets none, get has them all", async (t, wire) => {
  const { ask, world, prefix } = wire;
  const device = `device-${wire.thing}`;
  clientOf(world, device).subscribe(`${prefix}/update/delta`).send({ cmd: "disconnect" });
  await ask("update", { state: { desired: { a: 1 } } });
  await ask("update", { state: { desired: { b: 2 } } });
  const back = clientOf(world, device).subscribe(
    `${prefix}/update/delta`,
    `${prefix}/get/accepted`,
  );
  t.deepEqual(back.topics(), []);
  back.publish(`${prefix}/get`, "");
  t.like(back.json(`${prefix}/get/accepted`), { version: 2, state: { delta: { a: 1, b: 2 } } });
});

overMqtt("3.5 missed deltas: a persistent session gets them, oldest first", async (t, wire) => {
  const { ask, world, prefix } = wire;
  const certificateId = idOf(world.cloud.claim().certificate);
  const connect = () =>
    world.client(certificateId).connect(`device-${wire.thing}`, { clean: false });
  connect().subscribe(`${prefix}/update/delta`).send({ cmd: "disconnect" });
  await ask("update", { state: { desired: { a: 1 } } });
  await ask("update", { state: { desired: { b: 2 } } });
  const versions = connect()
    .messages()
    .map(({ payload }) => JSON.parse(payload.toString()).version);
  t.deepEqual(versions, [1, 2]);
});

overMqtt("3.5 worked exchange, document by document", async (t, wire) => {
  const { ask, now: timestamp } = wire;
  for (let version = 1; version < 7; version++) await ask("update", { state: {} });
  await ask("update", { state: { desired: { led: "off" }, reported: { led: "off", rssi: -60 } } });
  const desired = { led: "on", fan: { rpm: 900 } };
  const metadata = { led: { timestamp }, fan: { rpm: { timestamp } } };
  const first = await ask("update", { state: { desired }, clientToken: "a1" });
  t.deepEqual(first.body, {
    state: { desired },
    metadata: { desired: metadata },
    version: 8,
    timestamp,
    clientToken: "a1",
  });
  t.deepEqual(deltasOf(first), [
    { version: 8, timestamp, state: desired, metadata, clientToken: "a1" },
  ]);
  const second = await ask("update", {
    state: { reported: { led: "on", rssi: null } },
    version: 8,
  });
  t.is(second.body.version, 9);
  t.deepEqual(deltasOf(second), [
    {
      version: 9,
      timestamp,
      state: { fan: { rpm: 900 } },
      metadata: { fan: { rpm: { timestamp } } },
    },
  ]);
  const third = await ask("update", { state: { reported: { led: "on" } }, version: 8 });
  t.like(third, { code: 409, body: { message: "Version conflict" } });
});
