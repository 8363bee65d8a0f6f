// A ClientHello is read whole or not at all, whatever bytes come; what it offers is judged by the documented rules.
import test from "ava";
import fc from "fast-check";
import {
  alertName,
  parseClientHello,
  RecordReader,
} from "../../../simulator/advisor/client-hello.js";
import { judgeHello } from "../../../simulator/advisor/tls-cases.js";

const octets = (length: number, value: number): number[] =>
  Array.from({ length }, (_, i) => Math.floor(value / 256 ** (length - 1 - i)) % 256);
const vector = (lengthOctets: number, content: readonly number[]) => [
  ...octets(lengthOctets, content.length),
  ...content,
];

function hello(suites: readonly number[], extensions: readonly number[] = []): Uint8Array {
  const body = [
    ...octets(2, 0x0303),
    ...new Array<number>(32).fill(7),
    ...vector(1, []),
    ...vector(
      2,
      suites.flatMap(suite => octets(2, suite)),
    ),
    ...vector(1, [0]),
    ...vector(2, extensions),
  ];
  return Uint8Array.from([1, ...vector(3, body)]);
}

const name = [...Buffer.from("cloud.example")];
const serverName = [...octets(2, 0), ...vector(2, vector(2, [0, ...vector(2, name)]))];
const versions = [...octets(2, 43), ...vector(2, vector(1, [0x3a, 0x3a, 3, 4, 3, 3]))];

test("suites, versions and the server's name are read, values that mean nothing left out", t => {
  t.deepEqual(parseClientHello(hello([4865, 49195], [...serverName, ...versions])), {
    suites: [4865, 49195],
    versions: [0x0304, 0x0303],
    serverName: "cloud.example",
  });
});

test("a ClientHello that ends early, anywhere, is none", t => {
  const whole = hello([4865], [...serverName, ...versions]);
  for (let length = 0; length < whole.length; length++) {
    t.is(parseClientHello(whole.subarray(0, length)), undefined, `${length}`);
  }
});

test("random bytes are a ClientHello or none, never an exception", t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
      parseClientHello(Uint8Array.from([1, ...bytes]));
    }),
  );
  t.pass();
});

test("records are found however the bytes come", t => {
  const stream = Uint8Array.from([22, 3, 1, 0, 3, 1, 2, 3, 21, 3, 3, 0, 2, 2, 45]);
  for (let size = 1; size <= stream.length; size++) {
    const records: string[] = [];
    const reader = new RecordReader((type, content) => records.push(`${type} ${[...content]}`));
    for (let at = 0; at < stream.length; at += size) reader.push(stream.subarray(at, at + size));
    t.deepEqual(records, ["22 1,2,3", "21 2,45"]);
  }
  t.is(alertName(Uint8Array.of(2, 45)), "certificate_expired");
  t.is(alertName(Uint8Array.of(2, 45, 0)), undefined);
});

const offered = { suites: [4865, 49195], versions: [0x0304, 0x0303], serverName: "a.example" };

test("at least one recommended suite and none that is not supported passes", t => {
  t.is(judgeHello(offered).grade, "pass");
  t.is(judgeHello({ ...offered, suites: [...offered.suites, 0x00ff, 0x2a2a] }).grade, "pass");
});

test("no recommended suite, unsupported ones beside them, no SNI and old versions beside new ones are warned of", t => {
  t.is(judgeHello({ ...offered, suites: [0x002f] }).grade, "warn");
  t.is(judgeHello({ ...offered, suites: [4865, 0x0005] }).grade, "warn");
  t.is(judgeHello({ ...offered, serverName: undefined }).grade, "warn");
  t.is(judgeHello({ ...offered, versions: [0x0303, 0x0302] }).grade, "warn");
});

test("nothing that is supported, or nothing newer than TLS 1.1, fails", t => {
  t.is(judgeHello({ ...offered, suites: [0x0005, 0x000a] }).grade, "fail");
  t.is(judgeHello({ ...offered, versions: [0x0302] }).grade, "fail");
});
