// MQTT file streams, rule by rule: chapters 5.5 and 5.6 of the notes on AWS's protocol.

import test, { type ExecutionContext } from "ava";
import { type Format, fileBytes, type Reply, type StreamWire, streamWire } from "./streams-wire.js";

type Check = (t: ExecutionContext, wire: StreamWire) => Promise<void>;

function inBoth(title: string, check: Check): void {
  for (const format of ["json", "cbor"] as const) {
    test(`${title}, ${format}`, async t => check(t, await streamWire(t, format)));
  }
}

const indexes = (replies: readonly Reply[]): unknown[] => replies.map(({ body }) => body.i);
const codes = (replies: readonly Reply[]): unknown[] =>
  replies.map(({ kind, body }) => `${kind} ${body.o}`);

inBoth("describe answers with version, description and files", async (t, { ask }) => {
  const [reply, more] = await ask("describe", { c: "a token" });
  t.deepEqual(reply, {
    kind: "description",
    qos: 0,
    body: {
      c: "a token",
      s: 1,
      d: "two files",
      r: [
        { f: 0, z: fileBytes },
        { f: 1, z: 300 },
      ],
    },
  });
  t.is(more, undefined);
  const [bare] = await ask("describe", {});
  t.false("c" in bare!.body);
});

inBoth("replies need no subscription, and nobody else hears them", async (t, wire) => {
  const { world, ask } = wire;
  const other = world
    .client((await world.cloud.certificates.list())[0]!.certificateId)
    .connect("o");
  other.subscribe("$aws/things/device/streams/#");
  t.is((await ask("get", { f: 0, l: 4096, n: 1 })).length, 1);
  t.deepEqual(other.topics(), []);
});

inBoth("get sends each block with file, length, number and bytes", async (t, wire) => {
  const replies = await wire.ask("get", { c: "t", s: 1, f: 0, l: 4096, o: 0, n: 3 });
  t.deepEqual(indexes(replies), [0, 1, 2]);
  for (const reply of replies) {
    const { kind, body } = reply;
    const index = Number(body.i);
    const wanted = wire.files[0]!.subarray(index * 4096, (index + 1) * 4096);
    t.is(kind, "data");
    t.like(body, { c: "t", f: 0, l: wanted.length });
    t.deepEqual(Buffer.from(wire.bytesOf(reply)), Buffer.from(wanted));
    t.deepEqual(Object.keys(body).sort(), ["c", "f", "i", "l", "p"]);
  }
  t.is(replies[2]?.body.l, fileBytes - 2 * 4096);
});

inBoth("another file is another file", async (t, wire) => {
  const [reply] = await wire.ask("get", { f: 1, l: 256, o: 1, n: 1 });
  t.like(reply?.body, { f: 1, i: 1, l: 44 });
  t.deepEqual(Buffer.from(wire.bytesOf(reply!)), Buffer.from(wire.files[1]!.subarray(256)));
});

inBoth("the lowest bit of the first byte is block o", async (t, { ask, bitmap }) => {
  const marked = await ask("get", { f: 0, l: 256, o: 20, b: bitmap(0x13, 0x00, 0x02) });
  t.deepEqual(indexes(marked), [20, 21, 24, 37]);
});

inBoth("the guide's example of a bitmap: blocks 20, 21, 24 and 43", async (t, wire) => {
  await wire.world.cloud.files.objects.put("images", "big", new Uint8Array(256 * 64));
  wire.world.cloud.files.streams.create("big", {
    files: [{ fileId: 1, s3Location: { bucket: "images", key: "big" } }],
  });
  const b = wire.format === "json" ? "0x130080" : wire.bitmap(0x13, 0x00, 0x80);
  const replies = await wire.ask("get", { c: "1", s: 1, l: 256, f: 1, o: 20, n: 32, b }, "big");
  t.deepEqual(indexes(replies), [20, 21, 24, 43]);
});

inBoth("n limits what a bitmap marks", async (t, { ask, bitmap }) => {
  const b = bitmap(0b1011_0110);
  t.deepEqual(indexes(await ask("get", { f: 0, l: 256, n: 3, b })), [1, 2, 4]);
  t.deepEqual(indexes(await ask("get", { f: 0, l: 256, n: 100, b })), [1, 2, 4, 5, 7]);
  t.deepEqual(indexes(await ask("get", { f: 0, l: 256, n: 0, b })), []);
});

inBoth("marks behind the end of the file are passed over", async (t, { ask, bitmap }) => {
  t.deepEqual(indexes(await ask("get", { f: 0, l: 4096, b: bitmap(0xff, 0xff) })), [0, 1, 2]);
  t.deepEqual(indexes(await ask("get", { f: 0, l: 4096, o: 2, n: 9 })), [2]);
});

inBoth("a bitmap without marks is answered by nothing", async (t, { ask, bitmap }) => {
  t.deepEqual(await ask("get", { f: 0, l: 256, b: bitmap(0, 0) }), []);
});

inBoth("one request is answered with 128 KB at most", async (t, { world, ask, bitmap }) => {
  await world.cloud.files.objects.put("images", "big", new Uint8Array(400_000));
  world.cloud.files.streams.create("big", {
    files: [{ fileId: 0, s3Location: { bucket: "images", key: "big" } }],
  });
  const count = async (request: object): Promise<number> =>
    (await ask("get", { f: 0, ...request }, "big")).length;
  t.is(await count({ l: 32_768, n: 5 }), 4);
  t.is(await count({ l: 32_768, b: bitmap(0xff) }), 4);
  t.is(await count({ l: 50_000, n: 5 }), 2);
  t.is(await count({ l: 131_072, n: 2 }), 1);
  t.is(await count({ l: 4096, o: 3, b: bitmap(...Array(10).fill(0xff)) }), 32);
});

inBoth("a block of 128 KB arrives whole", async (t, wire) => {
  await wire.world.cloud.files.objects.put("images", "big", new Uint8Array(200_000).fill(7));
  wire.world.cloud.files.streams.create("big", {
    files: [{ fileId: 0, s3Location: { bucket: "images", key: "big" } }],
  });
  const [reply] = await wire.ask("get", { f: 0, l: 131_072, n: 1 }, "big");
  t.is(reply?.body.l, 131_072);
  t.is(wire.bytesOf(reply!).length, 131_072);
});

const get = { f: 0, l: 256, n: 1 };
const refused: readonly [string, object, string, string][] = [
  [
    "a block size below 256",
    { ...get, l: 255 },
    "BlockSizeOutOfBounds",
    "The block size is out of bounds",
  ],
  [
    "a block size above 131072",
    { ...get, l: 131_073 },
    "BlockSizeOutOfBounds",
    "The block size is out of bounds",
  ],
  ["an offset below 0", { ...get, o: -1 }, "OffsetOutOfBounds", "The offset is out of bounds"],
  [
    "an offset above 98304",
    { ...get, o: 98_305 },
    "OffsetOutOfBounds",
    "The offset is out of bounds",
  ],
  [
    "a count below 0",
    { ...get, n: -1 },
    "BlockCountLimitExceeded",
    "The number of blocks is out of bounds",
  ],
  [
    "a count above 98304",
    { ...get, n: 98_305 },
    "BlockCountLimitExceeded",
    "The number of blocks is out of bounds",
  ],
  [
    "another version of the stream",
    { ...get, s: 2 },
    "VersionMismatch",
    "The stream has version 1, not 2",
  ],
  [
    "a file that is not in the stream",
    { ...get, f: 2 },
    "ResourceNotFound",
    "The stream has no file 2",
  ],
  [
    "blocks behind the end only",
    { ...get, o: 40 },
    "ResourceNotFound",
    "File 0 has none of these blocks",
  ],
  ["a file id above 255", { ...get, f: 256 }, "InvalidRequest", "The file id is not 0 to 255"],
  ["a file id below 0", { ...get, f: -1 }, "InvalidRequest", "The file id is not 0 to 255"],
  ["no file id", { l: 256, n: 1 }, "InvalidRequest", "The request has no f"],
  ["no block size", { f: 0, n: 1 }, "InvalidRequest", "The request has no l"],
  [
    "neither count nor bitmap",
    { f: 0, l: 256 },
    "InvalidRequest",
    "The request has neither n nor b",
  ],
  ["a count that is text", { ...get, n: "1" }, "InvalidRequest", "n is not an integer"],
  ["a fraction", { ...get, o: 0.5 }, "InvalidRequest", "o is not an integer"],
  ["a version that is text", { ...get, s: "1" }, "InvalidRequest", "s is not an integer"],
  ["capitals for names", { F: 0, L: 256, N: 1 }, "InvalidRequest", "The request has no f"],
  [
    "a bitmap that is a number",
    { f: 0, l: 256, b: 1 },
    "InvalidRequest",
    "The bitmap is not bytes",
  ],
  ["a list for a request", [1], "InvalidRequest", "The request is not an object"],
];
for (const [title, body, o, m] of refused) {
  inBoth(`get is rejected: ${title}`, async (t, { ask }) => {
    const isList = Array.isArray(body);
    const token = isList ? {} : { c: "t" };
    const [reply, more] = await ask("get", isList ? body : { ...body, ...token });
    t.deepEqual(reply, { kind: "rejected", qos: 0, body: { o, m, ...token } });
    t.is(more, undefined);
  });
}

inBoth("the bounds themselves are taken", async (t, { ask, bitmap }) => {
  t.is((await ask("get", { ...get, l: 131_072, n: 98_304 })).length, 1);
  t.deepEqual(codes(await ask("get", { ...get, o: 98_304 })), ["rejected ResourceNotFound"]);
  const longest = bitmap(...Array(12_287).fill(1));
  t.is((await ask("get", { f: 0, l: 256, n: 1, b: longest })).length, 1);
  const longer = bitmap(...Array(12_288).fill(1));
  const [reply] = await ask("get", { f: 0, l: 256, n: 1, b: longer });
  t.is(reply?.body.o, "BlockBitmapLimitExceeded");
});

inBoth(
  "a client token has at most 64 bytes; one that is not valid is not said again",
  async (t, wire) => {
    const { ask } = wire;
    t.is((await ask("describe", { c: "é".repeat(32) }))[0]?.kind, "description");
    for (const c of [`${"é".repeat(32)}x`, 5]) {
      for (const [operation, body] of [
        ["describe", {}],
        ["get", get],
      ] as const) {
        const [reply] = await ask(operation, { ...body, c });
        t.is(reply?.body.o, "InvalidRequest");
        t.false("c" in reply!.body);
      }
    }
  },
);

inBoth("what is no document is said to be so", async (t, { ask, format }) => {
  const code = `rejected ${format === "json" ? "InvalidJson" : "InvalidCbor"}`;
  for (const text of ["{", "{'f':0}", "\u00ff\u00fe", '{"f":1'.repeat(50)]) {
    t.deepEqual(codes(await ask("get", Buffer.from(text, "latin1"))), [code]);
    t.deepEqual(codes(await ask("describe", Buffer.from(text, "latin1"))), [code]);
  }
});

inBoth("an empty payload describes, and gets nothing", async (t, { ask }) => {
  t.is((await ask("describe", new Uint8Array()))[0]?.kind, "description");
  t.deepEqual(codes(await ask("get", new Uint8Array())), ["rejected InvalidRequest"]);
});

inBoth("a stream that nobody made, and one whose name cannot be", async (t, { ask }) => {
  for (const [operation, body] of [
    ["describe", {}],
    ["get", get],
  ] as const) {
    t.deepEqual(codes(await ask(operation, body, "other")), ["rejected ResourceNotFound"]);
    t.deepEqual(codes(await ask(operation, body, "a.b")), ["rejected InvalidTopic"]);
    t.deepEqual(codes(await ask(operation, body, "a".repeat(129))), ["rejected InvalidTopic"]);
  }
});

inBoth("an object that changed is an ETagMismatch until the stream is updated", async (t, wire) => {
  const { cloud } = wire.world;
  await cloud.files.objects.put("images", "0", new Uint8Array(5000));
  t.deepEqual(codes(await wire.ask("get", get)), ["rejected ETagMismatch"]);
  t.is((await wire.ask("get", { ...get, f: 1 })).length, 1);
  const files = [{ fileId: 0, s3Location: { bucket: "images", key: "0" } }];
  t.is(cloud.files.streams.update("fw", { files }).streamVersion, 2);
  t.deepEqual(codes(await wire.ask("get", { ...get, s: 1 })), ["rejected VersionMismatch"]);
  t.is((await wire.ask("get", { ...get, s: 2 })).length, 1);
  t.like((await wire.ask("describe", {}))[0]?.body, { s: 2, r: [{ f: 0, z: 5000 }] });
});

inBoth("a stream of one version of an object is not changed by the next", async (t, wire) => {
  const { objects, streams } = wire.world.cloud.files;
  const { version } = objects.find({ bucket: "images", key: "0" })!;
  const s3Location = { bucket: "images", key: "0", version };
  streams.create("fixed", { files: [{ fileId: 0, s3Location }] });
  await objects.put("images", "0", new Uint8Array(5000));
  const [reply] = await wire.ask("get", get, "fixed");
  t.deepEqual(Buffer.from(wire.bytesOf(reply!)), Buffer.from(wire.files[0]!.subarray(0, 256)));
  await objects.remove({ bucket: "images", key: "0" });
  t.deepEqual(codes(await wire.ask("get", get, "fixed")), ["rejected ResourceNotFound"]);
});

test("a bitmap in JSON is hexadecimal text of whole bytes", async t => {
  const { ask } = await streamWire(t, "json");
  for (const b of ["", "1", "0x", "xyz", "0x1g", " 01"]) {
    t.deepEqual(codes(await ask("get", { f: 0, l: 256, b })), ["rejected InvalidRequest"], b);
  }
  t.deepEqual(indexes(await ask("get", { f: 0, l: 256, b: "0A" })), [1, 3]);
});

test("what AWS's own C client sends in CBOR is understood", async t => {
  const { ask } = await streamWire(t, "cbor");
  // c "rdy", f 0, l 1024, o 0, b 0x05, n 1
  const hex = "a6 6163 63726479 6166 00 616c 190400 616f 00 6162 4105 616e 01".replaceAll(" ", "");
  const request = Buffer.from(hex, "hex");
  const [reply, more] = await ask("get", request);
  t.like(reply, { kind: "data", body: { c: "rdy", f: 0, i: 0, l: 1024 } });
  t.is(more, undefined);
  t.deepEqual(codes(await ask("get", request.subarray(0, -1))), ["rejected InvalidCbor"]);
});

for (const format of ["json", "cbor"] as Format[]) {
  test(`MQTT 5 gets the same, ${format}`, async t => {
    const { ask } = await streamWire(t, format, {}, 5);
    t.deepEqual(indexes(await ask("get", { f: 0, l: 4096, n: 2 })), [0, 1]);
  });
}

test("a topic of streams that nobody may publish to ends the connection", async t => {
  for (const last of [
    "data/json",
    "description/json",
    "rejected/json",
    "get/xml",
    "get",
    "create/json",
  ]) {
    const { client } = await streamWire(t, "json");
    client.publish(`$aws/things/device/streams/fw/${last}`, "{}");
    t.true(client.closed, last);
  }
});

test("a policy decides who may ask", async t => {
  const { world, client } = await streamWire(t, "json");
  const Statement = { Effect: "Allow", Action: "iot:Connect", Resource: "*" };
  world.cloud.putPolicy("skerry-claim", { Version: "2012-10-17", Statement });
  client.publish("$aws/things/device/streams/fw/describe/json", "{}");
  await world.cloud.idle();
  t.true(client.closed);
  t.deepEqual(client.topics(), []);
});

test("more requests at once than one connection may have are rejected", async t => {
  const { world, client } = await streamWire(t, "json");
  for (let times = 0; times < 40; times++) {
    client.publish("$aws/things/device/streams/fw/get/json", { f: 0, l: 256, n: 1, c: `${times}` });
  }
  await world.cloud.idle();
  const count = (kind: string): number =>
    client.topics().filter(each => each.includes(kind)).length;
  t.is(count("/data/"), 32);
  t.is(count("/rejected/"), 8);
});
