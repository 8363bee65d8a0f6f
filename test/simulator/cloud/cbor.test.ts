import test from "ava";
import { encode } from "cborg";
import fc from "fast-check";
import { parseCbor } from "../../../simulator/cloud/cbor.js";

const hex = (text: string): Uint8Array => Buffer.from(text, "hex");

test("what JSON can say is read from CBOR", t => {
  const value = fc.jsonValue({ maxDepth: 5 });
  fc.assert(
    fc.property(value, each => {
      const result = parseCbor(encode(each), 8);
      t.true(result.ok);
      const plain = (found: unknown): unknown => JSON.parse(JSON.stringify(found));
      t.deepEqual(plain(result.ok && result.value), plain(each));
    }),
  );
});

const refused = test.macro({
  exec: (t, bytes: string) =>
    t.deepEqual(parseCbor(hex(bytes), 4), { ok: false, fault: "not-cbor" }),
  title: what => `${what} is refused`,
});
test("nothing", refused, "");
test("a map of indefinite length", refused, "bf616101ff");
test("an array of indefinite length", refused, "9f01ff");
test("a text of indefinite length", refused, "7f6161ff");
test("a break alone", refused, "ff");
test("a name twice", refused, "a2616101616102");
test("a name that is a number", refused, "a10102");
test("a byte string", refused, "4101");
test("a tag", refused, "c101");
test("undefined", refused, "f7");
test("a simple value", refused, "f0");
test("not a number", refused, "f97e00");
test("an integer past 2^53", refused, "1b0020000000000000");
test("a length in more bytes than it needs", refused, "780161");
test("a text that is not UTF-8", refused, "62c328");
test("a text that ends early", refused, "6261");
test("an array that ends early", refused, "8201");
test("an array of 2^32 - 1 items", refused, "9affffffff01");
test("two items", refused, "0101");

test("depth is judged before the library descends", t => {
  t.true(parseCbor(hex("8181818101"), 4).ok);
  t.deepEqual(parseCbor(hex("818181818101"), 4), { ok: false, fault: "too-deep" });
  t.deepEqual(parseCbor(Buffer.alloc(100_000, 0x81), 4), { ok: false, fault: "too-deep" });
  t.deepEqual(parseCbor(hex("a16161a16162a16163a16164a1616501"), 4), {
    ok: false,
    fault: "too-deep",
  });
  t.true(parseCbor(hex("83810181018101"), 2).ok);
});

test("a name like any other", t => {
  const result = parseCbor(hex("a1695f5f70726f746f5f5fa1617801"), 4);
  t.is(result.ok && JSON.stringify(result.value), '{"__proto__":{"x":1}}');
  t.is(({} as Record<string, unknown>).x, undefined);
});

test("no bytes do worse than a refusal", t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), bytes => {
      t.notThrows(() => parseCbor(bytes, 8));
    }),
  );
});
