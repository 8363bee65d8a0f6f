import {
  encodeJson,
  readElements,
  readJson,
  unsupported,
  writeJson,
} from "../../../src/codec/json.js";
import { fromUtf8, toUtf8 } from "../../../src/util/bytes.js";
import { check, equal, refuses } from "../harness.js";

const shape = {
  version: "integer",
  name: "string",
  on: "boolean",
  ratio: "number",
  any: "scalar",
  map: "strings",
  state: { led: "scalar" },
} as const;
const raw = { x: "raw", y: "raw", z: "raw" } as const;
const read = (text: string) => readJson(toUtf8(text), shape, "text");

check("json: named members are read, others passed over", () => {
  const value = read(
    ' {"x":[{"y":[1,"]",{}]},[]],"version":7,"name":"a\\u00e9\\ud83d\\ude00\\n","on":true,"ratio":-1.5e-3,"state":{"led":null,"z":{}}} ',
  );
  equal(value.version, 7);
  equal(value.name, "aé😀\n");
  equal(value.on, true);
  equal(value.ratio, -0.0015);
  equal(value.state?.led, null);
  equal(value.any, undefined);
});

check("json: a scalar that is an array or an object reads as unsupported", () => {
  equal(read('{"any":[1,[2]]}').any === unsupported, true);
  equal(read('{"any":{"a":{}}}').any === unsupported, true);
});

check("json: null for an object or a leaf reads as absent", () => {
  equal(read('{"state":null,"version":null,"map":null}').state, undefined);
});

check("json: how long or large a number is matters only where it is wanted", () => {
  equal(
    read('{"x":[1e400,-12345678901234567890123456789012345678901.5e-99],"version":3}').version,
    3,
  );
});

check("json: __proto__ and constructor pollute nothing", () => {
  const value = read(
    '{"__proto__":{"led":1},"constructor":{"prototype":{"led":2}},"map":{"__proto__":"x"}}',
  );
  equal(value.map?.get("__proto__"), "x");
  equal(({} as { led?: number }).led, undefined);
});

const malformed: readonly string[] = [
  "",
  " ",
  "{",
  "}",
  "[",
  "nul",
  "{]",
  "[}",
  '{"a"}',
  '{"a":}',
  '{"a":1,}',
  '{,"a":1}',
  '{"a":1 "b":2}',
  '{"a":[1,]}',
  '{"a":[,1]}',
  '{"a":[1 2]}',
  '{"a":[1}',
  '{"a":{"b":1]}',
  '{"a":01}',
  '{"a":1.}',
  '{"a":.5}',
  '{"a":+1}',
  '{"a":1e}',
  '{"a":--1}',
  '{"version":1e400}',
  '{"a":NaN}',
  '{"a":tru}',
  '{"a":"\\x"}',
  '{"a":"\\u12"}',
  '{"name":"\\ud800"}',
  '{"name":"\\udc00x"}',
  '{"name":"\\ud800\\u0041"}',
  '{"a":"tab\tin it"}',
  '{"a":"no end}',
  "{a:1}",
  '{"version":1.5}',
  '{"version":"7"}',
  '{"name":7}',
  '{"on":"true"}',
  '{"state":[]}',
  '{"state":7}',
  '{"map":{"a":1}}',
  '{"version":7}x',
  '{"version":12345678901234567890123456789012345678901}',
];
for (const text of malformed)
  check(`json: ${text} is refused`, () => refuses(() => read(text), "protocol"));

check("json: bytes that are not UTF-8 are refused", () => {
  const bad: readonly number[][] = [
    [0xff],
    [0xc0, 0x80],
    [0xed, 0xa0, 0x80],
    [0xf5, 0x80, 0x80, 0x80],
    [0xe2, 0x82],
  ];
  for (const bytes of bad) {
    const text = Uint8Array.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, ...bytes, 0x22, 0x7d]);
    refuses(() => readJson(text, shape, "text"), "protocol");
  }
});

check("json: 100,000 nested arrays or objects are refused, wanted or not", () => {
  refuses(() => read(`{"x":${"[".repeat(100_000)}`), "protocol");
  refuses(() => read("[".repeat(100_000)), "protocol");
  refuses(() => read('{"x":'.repeat(100_000)), "protocol");
  refuses(() => read('{"state":'.repeat(1000)), "protocol");
});

check("json: a text cut anywhere is refused", () => {
  const text = '{"x":[{"y":["\\u00e9",-1.5e3,true,null]}],"state":{"led":"red"}}';
  for (let i = 0; i < text.length; i++) refuses(() => read(text.slice(0, i)), "protocol");
  equal(read(text).state?.led, "red");
});

check("json: what is written reads back", () => {
  const text = writeJson({
    name: 'q"\\\n\u0001é😀',
    version: 9007199254740991,
    on: false,
    ratio: 0.1,
    left: undefined,
  });
  const value = read(text);
  equal(value.name, 'q"\\\n\u0001é😀');
  equal(value.version, 9007199254740991);
  equal(text.includes("left"), false);
  equal(writeJson([1, [null, true], { a: "b" }]), '[1,[null,true],{"a":"b"}]');
});

check("json: what is no JSON is not written", () => {
  refuses(() => writeJson(Number.NaN), "protocol");
  refuses(() => writeJson({ a: [Number.POSITIVE_INFINITY] }), "protocol");
});

check("json: what is wanted as it stands is the bytes of its text", () => {
  const { x, y, z } = readJson(
    toUtf8(' { "x" : {"a":[1, {}]} , "y":"\\n", "z": null}'),
    raw,
    "text",
  );
  equal(fromUtf8(x!), '{"a":[1, {}]}');
  equal(fromUtf8(y!), '"\\n"');
  equal(z, undefined);
  refuses(() => readJson(toUtf8('{"x":[1,}'), raw, "text"), "protocol");
  refuses(() => readJson(toUtf8(`{"x":${"[".repeat(1000)}`), raw, "text"), "protocol");
});

check("json: the elements of an array are texts of their own, and not more than wanted", () => {
  const elements = (text: string) =>
    readElements(toUtf8(text), 3, "list").map(element => fromUtf8(element));
  equal(elements(' [ {"a":1} , 2,"]" ] ').join("|"), '{"a":1}|2|"]"');
  equal(elements("[]").length, 0);
  for (const text of ["[1,2,3,4]", "{}", "[1,]", "[", "[1] 2", "", "null"])
    refuses(() => elements(text), "protocol");
});

check(
  "json: what is long is written as bytes at once, with room before it, and is the same",
  () => {
    const long = "é😀 and \\".repeat(2000);
    const value = {
      text: 'a "quoted"\n line, \u0001',
      long,
      plain: "x".repeat(30_000),
      left: undefined,
      list: [1, [], {}, null, true, -1.5],
      map: new Map<string, string>([["clé", "valeur"]]),
      deep: { deeper: { deepest: [] } },
      none: {},
    };
    const text = writeJson(value);
    for (const room of [0, 1, 12]) {
      const bytes = encodeJson(value, room);
      equal(fromUtf8(bytes.subarray(room)), text);
      equal(
        bytes.subarray(0, room).every(octet => octet === 0),
        true,
      );
    }
    equal(fromUtf8(encodeJson({})), "{}");
    refuses(() => encodeJson({ n: Number.NaN }), "protocol");
    refuses(() => encodeJson({ half: "\ud800" }), "protocol");
  },
);
