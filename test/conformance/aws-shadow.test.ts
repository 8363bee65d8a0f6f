// One shadow with two clients, AWS's SDK as its operator and our agent as its device, over mutual TLS.

import type { ExecutionContext } from "ava";
import type { Agent, Settings } from "../../src/index.js";
import type { Updated } from "./aws-shadow.js";
import { awsOperator } from "./operator.js";
import { openCloud, ourDevice, withSdk } from "./rig.js";

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

const schema = {
  led: { type: "enum", values: ["off", "blue"], default: "off" },
  seconds: { type: "integer", min: 1, max: 3600, default: 60 },
} as const;

const rows: readonly { version: 4 | 5; shadowName: string | undefined }[] = [
  { version: 5, shadowName: undefined },
  { version: 4, shadowName: undefined },
  { version: 5, shadowName: "config" },
  { version: 4, shadowName: "config" },
];

/** @param shadowName undefined for the classic shadow */
function declare(agent: Agent, shadowName: string | undefined): Settings<typeof schema> {
  return shadowName === undefined ? agent.settings(schema) : agent.settings(shadowName, schema);
}

const titled = (version: 4 | 5, shadowName: string | undefined): string =>
  `${version === 4 ? "MQTT 3.1.1" : "MQTT 5"}, ${shadowName === undefined ? "classic shadow" : `shadow "${shadowName}"`}`;

for (const { version, shadowName } of rows) {
  withSdk(
    `${titled(version, shadowName)}: AWS's SDK as operator and the agent share it through wishes, reports and deletion`,
    async t => {
      const way = { version, keys: "device" } as const;
      const { cloud } = await openCloud(t, ["OPERATOR", "SN-1"]);
      const thingName = "node-SN-1";
      const operator = await awsOperator(t, cloud, way, thingName);
      await operator.follow(thingName, shadowName);
      await t.throwsAsync(operator.get(), { message: /"code":404/ });

      const { agent, statuses, until } = await ourDevice(t, cloud, "SN-1", way);
      const settings = declare(agent, shadowName);
      agent.start();
      await operator.reported({ led: "off", seconds: 60 });
      t.falsy(operator.updates[0]?.previous);
      t.deepEqual(operator.deltas, []);

      const wished = await operator.update({ state: { desired: { led: "blue" } } });
      t.deepEqual(wished.state, { desired: { led: "blue" } });
      const applied = await operator.reported({ led: "blue", seconds: 60 });
      t.deepEqual(applied.previous?.state, {
        desired: { led: "blue" },
        reported: { led: "off", seconds: 60 },
      });
      t.deepEqual(applied.current?.state?.desired, { led: "blue" });
      t.is(settings.values.led, "blue");

      settings.set({ seconds: 30 });
      const changed = await operator.reported({ led: "blue", seconds: 30 });
      // A delta comes before the documents: there was the one only.
      t.like(operator.deltas, [{ state: { led: "blue" }, version: wished.version }]);
      t.is(operator.deltas.length, 1);
      const { state, version: latest } = await operator.get();
      t.deepEqual(state, { desired: { led: "blue" }, reported: { ...settings.values } });
      t.is(latest, changed.current?.version);
      const stale = { state: { desired: { led: "off" } }, version: Number(wished.version) };
      await t.throwsAsync(operator.update(stale), { message: /"code":409/ });

      const deleted = await operator.delete();
      t.is(deleted.version, Number(latest) + 1);
      const restored = await operator.reported({ led: "blue", seconds: 30 }, Number(latest));
      t.is(
        restored.current?.version,
        Number(deleted.version) + 1,
        "a device that is online says so",
      );
      agent.stop();
      await until(({ type }) => type === "stopped");
      const gone = await operator.delete();
      await t.throwsAsync(operator.get(), { message: /"code":404/ });
      const from = statuses.length;
      const again = await operator.update({ state: { desired: { seconds: 10 } } });
      t.is(again.version, Number(gone.version) + 1);
      agent.start();
      const anew = await operator.reported({ led: "blue", seconds: 10 });
      t.deepEqual(anew.current?.state?.desired, { seconds: 10 });
      const read = await until(each => each.type === "settings" && each, from);
      t.is(read.version, Number(again.version));
      const final = await operator.get();
      t.deepEqual(final.state, { desired: { seconds: 10 }, reported: { ...settings.values } });
      t.like(plain(cloud.shadow(thingName, shadowName)), {
        state: final.state,
        version: final.version,
      });
      t.deepEqual(
        operator.deltas.map(delta => delta.state),
        [{ led: "blue" }, { seconds: 10 }],
      );
      assertUnbroken(t, operator.updates, [Number(deleted.version), Number(gone.version)]);
    },
  );
}

/** Each update says what it found and what it left; a deletion in between counts a version of its own. */
function assertUnbroken(
  t: ExecutionContext,
  updates: readonly Updated[],
  deletions: readonly number[],
): void {
  let last = 0;
  for (const { previous, current } of updates) {
    if (deletions.includes(last + 1)) last++;
    t.is(current?.version, last + 1);
    t.is(previous?.version ?? last, last);
    last++;
  }
}

for (const { version, shadowName } of [
  { version: 5, shadowName: "config" },
  { version: 4, shadowName: "config" },
  { version: 5, shadowName: undefined },
] as const) {
  withSdk(
    `${titled(version, shadowName)}: AWS's SDK alone understands documents, versions and errors`,
    async t => {
      const { cloud } = await openCloud(t, ["OPERATOR"]);
      const operator = await awsOperator(t, cloud, { version, keys: "device" }, "nobody");
      const { thingName } = operator;
      await operator.follow(thingName, shadowName);
      await t.throwsAsync(operator.get(), { message: /"code":404.*No shadow exists with name/ });
      await t.throwsAsync(operator.delete(), { message: /"code":404/ });

      const desired = { led: "on", fan: { rpm: 900, ranges: [1, [2]] } };
      t.like(await operator.update({ state: { desired } }), { state: { desired }, version: 1 });
      const reported = { led: "on", fan: { rpm: 0 } };
      t.like(await operator.update({ state: { reported }, version: 1 }), { version: 2 });
      await operator.reported(reported);
      const { fan } = desired;
      t.deepEqual(
        operator.deltas.map(({ state }) => state),
        [desired, { fan }],
      );
      const { state, metadata, timestamp } = await operator.get();
      t.deepEqual(state, { desired, reported, delta: { fan } });
      t.deepEqual(Object.keys(metadata as object), ["desired", "reported"]);
      // The SDK hands on what it was sent: seconds.
      t.true(Math.abs(Number(timestamp) - Date.now() / 1000) < 60);

      const refusals = [
        [{ state: { desired: { led: "off" } }, version: 1 }, /"code":409.*Version conflict/],
        [{ state: { desired: { led: [null] } } }, /"code":400.*invalid node/],
        [{ state: { desired: { led: "x".repeat(9000) } } }, /"code":413/],
        [{}, /"code":400.*Missing required node: state/],
      ] as const;
      for (const [request, message] of refusals) {
        await t.throwsAsync(operator.update(request), { message });
      }
      t.like(await operator.delete(), { version: 3 });
      t.like(await operator.update({ state: { reported: { led: "off" } } }), { version: 4 });
      await operator.reported({ led: "off" });
      t.falsy(operator.updates.at(-1)?.previous);
      t.is(cloud.shadow(thingName, shadowName)?.["version"], 4);
      t.is(cloud.shadow(thingName, shadowName === undefined ? "config" : undefined), undefined);
    },
  );
}
