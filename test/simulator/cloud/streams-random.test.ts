// Whatever is asked of a stream, it is answered within its bounds, or not at all.

import test from "ava";
import fc from "fast-check";
import { streamWire } from "./streams-wire.js";

const near = (...values: number[]) =>
  fc.oneof(...values.map(value => fc.integer({ min: value - 2, max: value + 2 })));
const mostly = (usual: fc.Arbitrary<unknown>, unusual: fc.Arbitrary<unknown>) =>
  fc.oneof({ arbitrary: usual, weight: 9 }, { arbitrary: unusual, weight: 1 });
const request = fc.record(
  {
    c: mostly(fc.constant("t"), fc.oneof(fc.string({ maxLength: 70 }), fc.integer())),
    s: mostly(fc.constant(1), fc.constant(2)),
    f: mostly(fc.constantFrom(0, 1), near(0, 255)),
    l: mostly(fc.constantFrom(256, 300, 512, 1024, 4096), near(256, 131_072)),
    o: mostly(fc.nat(40), fc.oneof(near(0, 98_304), fc.double())),
    n: mostly(fc.nat(40), fc.oneof(near(0, 98_304), fc.string())),
    b: mostly(fc.constant("ff0f"), fc.oneof(fc.uint8Array({ maxLength: 12 }), fc.string())),
  },
  { requiredKeys: ["f", "l", "n"] },
);

for (const format of ["json", "cbor"] as const) {
  test(`random requests, ${format}`, async t => {
    const { ask, files, bytesOf } = await streamWire(t, format);
    let blocks = 0;
    await fc.assert(
      fc.asyncProperty(request, async body => {
        const replies = await ask("get", body);
        const isRejected = replies.some(({ kind }) => kind === "rejected");
        if (isRejected && replies.length > 1) throw new Error("rejected and answered");
        let sum = 0;
        for (const reply of replies) {
          if (reply.kind !== "data") continue;
          blocks++;
          const { f, i } = reply.body;
          const from = Number(i) * Number(body.l);
          const wanted = files[Number(f)]!.subarray(from, from + Number(body.l));
          if (reply.body.l !== wanted.length) throw new Error("another length than it says");
          if (!Buffer.from(wanted).equals(Buffer.from(bytesOf(reply))))
            throw new Error("other bytes");
          sum += wanted.length;
        }
        if (sum > 131_072) throw new Error(`${sum} bytes`);
      }),
      { numRuns: 1500, seed: 1 },
    );
    t.true(blocks > 100, `${blocks} blocks`);
  });

  test(`random bytes, ${format}`, async t => {
    const { ask, client } = await streamWire(t, format);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 40 }), async bytes => {
        for (const operation of ["describe", "get"]) await ask(operation, bytes);
      }),
      { numRuns: 500, seed: 1 },
    );
    t.false(client.closed);
  });
}
