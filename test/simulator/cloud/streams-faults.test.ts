// What can be made to go wrong with a stream, for trying devices.

import test from "ava";
import type { BlockFate, StreamFaults } from "../../../simulator/cloud/stream-faults.js";
import { type Format, streamWire } from "./streams-wire.js";

const request = { f: 0, l: 256, n: 4 };

async function blocks(
  t: Parameters<typeof streamWire>[0],
  faults: StreamFaults,
  format: Format = "cbor",
) {
  const wire = await streamWire(t, format);
  wire.world.cloud.files.streams.faults = faults;
  const replies = await wire.ask("get", request);
  const shown = replies.map(reply => ({
    ...{ f: reply.body.f, i: Number(reply.body.i), l: reply.body.l },
    isRight: Buffer.from(wire.bytesOf(reply)).equals(
      Buffer.from(
        wire.files[0]!.subarray(Number(reply.body.i) * 256, (Number(reply.body.i) + 1) * 256),
      ),
    ),
  }));
  return { wire, replies: shown };
}

const second =
  (fate: BlockFate): NonNullable<StreamFaults["fate"]> =>
  ({ index }) =>
    index === 1 ? fate : "send";

const right = (i: number) => ({ f: 0, i, l: 256, isRight: true });

test("a block is dropped", async t => {
  const { replies } = await blocks(t, { fate: second("drop") });
  t.deepEqual(replies, [right(0), right(2), right(3)]);
});

test("a block comes twice", async t => {
  const { replies } = await blocks(t, { fate: second("double") });
  t.deepEqual(replies, [right(0), right(1), right(1), right(2), right(3)]);
});

test("a block is changed", async t => {
  const { replies } = await blocks(t, { fate: second("change") });
  t.deepEqual(replies, [right(0), { ...right(1), isRight: false }, right(2), right(3)]);
});

test("a block comes from another file", async t => {
  const { replies } = await blocks(t, { fate: second("otherFile") });
  t.deepEqual(replies[1], { f: 1, i: 1, l: 256, isRight: false });
});

test("blocks come last first", async t => {
  const { replies } = await blocks(t, { reorders: true });
  t.deepEqual(replies, [right(3), right(2), right(1), right(0)]);
});

test("nothing is said, until it is over", async t => {
  const { wire, replies } = await blocks(t, { isSilent: true });
  t.deepEqual(replies, []);
  t.deepEqual(await wire.ask("describe", {}), []);
  wire.world.cloud.files.streams.faults = {};
  t.is((await wire.ask("get", request)).length, 4);
});

test("every request is rejected with a code of one's choice", async t => {
  const wire = await streamWire(t, "json");
  wire.world.cloud.files.streams.faults = { rejection: "InternalError" };
  for (const operation of ["describe", "get"]) {
    const [reply] = await wire.ask(operation, { ...request, c: "t" });
    t.like(reply, { kind: "rejected", body: { o: "InternalError", c: "t" } });
  }
});
