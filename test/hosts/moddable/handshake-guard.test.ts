// What a server may say before encryption: one handshake that is right, and the same wrong in one place.
import { randomBytes, sign } from "node:crypto";
import test from "ava";
import {
  checkOpenRecord,
  type GuardOptions,
  HandshakeGuard,
  recordType,
} from "../../../hosts/moddable/handshake-guard.js";
import { encodeSignature } from "../../../hosts/moddable/p256.js";
import { alerts, TLSError } from "../../../hosts/moddable/tls-error.js";
import { createCrypto } from "../../../hosts/node/crypto.js";
import { type PublicKey, parsePublicKey } from "../../../src/trust/algorithm.js";
import { tag } from "../../../src/trust/der.js";
import { DerReader } from "../../../src/trust/der-reader.js";
import { concat } from "../../../src/util/bytes.js";
import { type Party, party } from "../../trust/maker.js";
import { type Fault, serverFlight } from "../scripted-server.js";

const ecParty = party("server");
const rsaParty = party("server", "rsa");
const keyOf = ({ publicKeyInfo }: Party): PublicKey =>
  parsePublicKey(new DerReader(publicKeyInfo, "key").next(tag.sequence).content)!;
const ecKey = keyOf(ecParty);
const rsaKey = keyOf(rsaParty);
const point = ecParty.publicKeyInfo.slice(-65);
/** The randoms of both sides are zeros. */
const signature = new Uint8Array(
  sign("sha256", concat([new Uint8Array(64), Uint8Array.of(3, 0, 23, 65), point]), ecParty.key),
);

function guardWith(setting: { readonly key?: PublicKey } & Partial<GuardOptions> = {}) {
  const { key = ecKey, ...options } = setting;
  return new HandshakeGuard({
    protocols: ["mqtt"],
    fragmentBytes: 4096,
    clientKey: "ec",
    crypto: createCrypto(),
    judge: () => key,
    clientRandom: () => new Uint8Array(32),
    ...options,
  });
}

function message(type: number, ...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const body = concat(parts.map(part => Uint8Array.from(part)));
  return concat([Uint8Array.of(type, body.length >> 16, body.length >> 8, body.length), body]);
}

interface Hello {
  readonly version?: number;
  readonly suite?: number;
  readonly compression?: number;
  readonly extensions?: readonly number[];
}

function hello({ version = 0x0303, suite = 0xc02b, compression = 0, extensions }: Hello = {}) {
  const tail =
    extensions === undefined ? [] : [extensions.length >> 8, extensions.length, ...extensions];
  const head = [version >> 8, version & 255, ...new Uint8Array(32), 0];
  return message(2, head, [suite >> 8, suite & 255, compression, ...tail]);
}

const chain = message(11, [0, 0, 5, 0, 0, 2, 9, 9]);
const request = message(13, [1, 64], [0, 4, 4, 1, 4, 3], [0, 0]);
const done = message(14);

function exchange(
  change: (body: Uint8Array) => Uint8Array = body => body,
  signed: Uint8Array = signature,
): Uint8Array {
  const length = [signed.length >> 8, signed.length];
  const head = Uint8Array.of(3, 0, 23, 65);
  const body = concat([head, point, Uint8Array.of(4, 3, ...length), signed]);
  return message(12, change(body));
}

const setByte = (at: number, value: number) => (body: Uint8Array) => {
  const changed = body.slice();
  changed[at] = value;
  return changed;
};

function feed(guard: HandshakeGuard, ...messages: readonly Uint8Array[]): void {
  for (const one of messages) guard.accept(recordType.handshake, one);
}

test("a whole handshake passes, with and without a certificate request", t => {
  for (const asked of [[request], []]) {
    const guard = guardWith();
    feed(guard, hello(), chain, exchange(), ...asked, done);
    guard.accept(recordType.changeCipherSpec, Uint8Array.of(1));
    guard.accept(recordType.handshake, new Uint8Array(40));
    t.true(guard.isComplete);
    t.is(guard.serverKey, ecKey);
    t.deepEqual(guard.serverPoint, point);
  }
});

test("messages may share records or be spread over many, to any byte", t => {
  const messages = [hello(), chain, exchange(), request, done];
  const flight = concat(messages);
  for (const size of [1, 2, 3, 5, 50, flight.length]) {
    const guard = guardWith();
    const passed: Uint8Array[] = [];
    for (let at = 0; at < flight.length; at += size) {
      passed.push(...guard.accept(recordType.handshake, flight.slice(at, at + size))!);
    }
    t.deepEqual(passed, messages, `${size} bytes in a record`);
  }
});

const refused = test.macro({
  exec: (t, alert: keyof typeof alerts, work: () => void) => {
    const error = t.throws(work, { instanceOf: TLSError })!;
    t.is(error.alert, alerts[alert], error.message);
  },
  title: title => `refused: ${title}`,
});

test("a message out of order", refused, "unexpectedMessage", () =>
  feed(guardWith(), hello(), done),
);
test("a message twice", refused, "unexpectedMessage", () => feed(guardWith(), hello(), hello()));
test("no key exchange", refused, "unexpectedMessage", () =>
  feed(guardWith(), hello(), chain, done),
);
test("a message of a client", refused, "unexpectedMessage", () =>
  feed(guardWith(), message(1, [0])),
);
test("bytes behind ServerHelloDone", refused, "unexpectedMessage", () =>
  feed(guardWith(), hello(), chain, exchange(), concat([done, Uint8Array.of(0)])),
);
test("a message too long to hold", refused, "decodeError", () =>
  feed(guardWith(), Uint8Array.of(2, 1, 0, 0)),
);
test("ChangeCipherSpec before the key exchange", refused, "unexpectedMessage", () =>
  guardWith().accept(recordType.changeCipherSpec, Uint8Array.of(1)),
);
test("application data in the clear", refused, "unexpectedMessage", () =>
  guardWith().accept(recordType.applicationData, Uint8Array.of(1)),
);
test("application data before Finished", refused, "unexpectedMessage", () => {
  const guard = guardWith();
  feed(guard, hello(), chain, exchange(), done);
  guard.accept(recordType.changeCipherSpec, Uint8Array.of(1));
  guard.accept(recordType.applicationData, new Uint8Array(30));
});
test("a handshake after the handshake", refused, "unexpectedMessage", () =>
  checkOpenRecord(recordType.handshake),
);
test("another cipher after the handshake", refused, "unexpectedMessage", () =>
  checkOpenRecord(recordType.changeCipherSpec),
);
test("after the handshake come application data and alerts", t => {
  t.notThrows(() => checkOpenRecord(recordType.applicationData));
  t.notThrows(() => checkOpenRecord(recordType.alert));
});

/** As far as ChangeCipherSpec, then one record more each. */
function finish(...records: readonly (readonly [type: number, byteLength: number])[]) {
  const guard = guardWith();
  feed(guard, hello(), chain, exchange(), done);
  guard.accept(recordType.changeCipherSpec, Uint8Array.of(1));
  for (const [type, byteLength] of records) guard.accept(type, new Uint8Array(byteLength));
  return guard;
}
const { applicationData, handshake } = recordType;
test("a handshake is not complete without Finished", t => {
  t.false(finish().isComplete);
  t.true(finish([handshake, 40]).isComplete);
});
test("Finished twice", refused, "unexpectedMessage", () =>
  finish([handshake, 40], [handshake, 40]),
);
test("application data before Finished has been looked at", refused, "unexpectedMessage", () =>
  finish([handshake, 40], [applicationData, 30]),
);
test("Finished that is longer", refused, "decodeError", () => finish([handshake, 41]));
test("an older version", refused, "protocolVersion", () =>
  feed(guardWith(), hello({ version: 0x0302 })),
);
test("a suite that was not offered", refused, "illegalParameter", () =>
  feed(guardWith(), hello({ suite: 0x002f })),
);
test("compression", refused, "illegalParameter", () =>
  feed(guardWith(), hello({ compression: 1 })),
);
test("an extension that was not offered", refused, "unsupportedExtension", () =>
  feed(guardWith(), hello({ extensions: [0, 23, 0, 0] })),
);
test("an extension twice", refused, "illegalParameter", () =>
  feed(guardWith(), hello({ extensions: [0, 0, 0, 0, 0, 0, 0, 0] })),
);
test("another fragment length", refused, "illegalParameter", () =>
  feed(guardWith(), hello({ extensions: [0, 1, 0, 1, 1] })),
);
test("a protocol that was not offered", refused, "noApplicationProtocol", () =>
  feed(guardWith(), hello({ extensions: [0, 16, 0, 5, 0, 3, 2, 0x68, 0x32] })),
);
test("a key that does not fit the suite", refused, "illegalParameter", () =>
  feed(guardWith({ key: rsaKey }), hello(), chain),
);
test("another curve", refused, "illegalParameter", () =>
  feed(guardWith(), hello(), chain, exchange(setByte(2, 24))),
);
test("a point off the curve", refused, "illegalParameter", () =>
  feed(guardWith(), hello(), chain, exchange(setByte(68, point[64]! ^ 1))),
);
test("no hash", refused, "illegalParameter", () =>
  feed(guardWith(), hello(), chain, exchange(setByte(69, 0))),
);
test("an unknown signature algorithm", refused, "illegalParameter", () =>
  feed(guardWith(), hello(), chain, exchange(setByte(70, 9))),
);
test("a signature with a zero half", refused, "decryptError", () =>
  feed(
    guardWith(),
    hello(),
    chain,
    exchange(body => body, encodeSignature({ r: 5n, s: 0n })),
  ),
);
test("a key exchange cut short", refused, "decodeError", () =>
  feed(
    guardWith(),
    hello(),
    chain,
    exchange(body => body.slice(0, -1)),
  ),
);

/** What a scripted server says, to a guard that knows its key. */
function follow(server: Party, fault?: Fault, asked: "ec" | "rsa" = "ec"): HandshakeGuard {
  const clientRandom = new Uint8Array(randomBytes(32));
  const guard = guardWith({
    key: keyOf(server),
    clientKey: asked,
    clientRandom: () => clientRandom,
  });
  const script = {
    key: server.key,
    chain: [Uint8Array.of(9, 9)],
    stranger: party("stranger", server === rsaParty ? "rsa" : "p256").key,
    asks: true,
    ...(fault === undefined ? {} : { fault }),
  };
  feed(guard, ...serverFlight(script, clientRandom).messages);
  return guard;
}

for (const [label, server] of [
  ["EC", ecParty],
  ["RSA", rsaParty],
] as const) {
  test(`a key exchange signed by the server's ${label} key is taken`, t => {
    for (const kind of ["ec", "rsa"] as const) {
      t.is(follow(server, undefined, kind).serverPoint?.length, 65);
    }
  });
  const wrong = (fault: Fault) => () => follow(server, fault);
  test(`${label}: one wrong bit in the signature`, refused, "decryptError", wrong("signature"));
  test(`${label}: a stranger's signature`, refused, "decryptError", wrong("strangersSignature"));
  test(
    `${label}: a signature that was recorded`,
    refused,
    "decryptError",
    wrong("recordedSignature"),
  );
  test(`${label}: Ed25519`, refused, "illegalParameter", wrong("unknownSignatureAlgorithm"));
  test(`${label}: a hash nobody knows`, refused, "illegalParameter", wrong("unknownHash"));
  test(
    `${label}: a signature by the name of another kind of key`,
    refused,
    "illegalParameter",
    wrong("otherSignatureAlgorithm"),
  );
}

for (const [clientKey, types, algorithms] of [
  ["ec", [1], [4, 1]],
  ["ec", [1, 64], [4, 1, 5, 3]],
  ["ec", [1], [4, 3]],
  ["rsa", [64], [4, 3]],
  ["rsa", [1, 64], [4, 3, 2, 1]],
  ["rsa", [64], [4, 1]],
] as const) {
  test(
    `a request for ${types} and ${algorithms} that an ${clientKey} key cannot answer`,
    refused,
    "handshakeFailure",
    () => {
      const request = message(
        13,
        [types.length, ...types],
        [0, algorithms.length],
        algorithms,
        [0, 0],
      );
      feed(guardWith({ clientKey }), hello(), chain, exchange(), request);
    },
  );
}

test("a request that nobody can answer is answered with no certificate", t => {
  const request = message(13, [1, 7], [0, 2, 9, 9], [0, 0]);
  const guard = guardWith({ clientKey: undefined });
  t.notThrows(() => feed(guard, hello(), chain, exchange(), request, done));
});

test("an alert of the server ends the handshake without one of ours", t => {
  const error = t.throws(() => guardWith().accept(recordType.alert, Uint8Array.of(2, 40)), {
    instanceOf: TLSError,
  })!;
  t.is(error.alert, undefined);
  t.is(error.received, 40);
  t.regex(error.message, /alert 40/);
});

test("the agreed fragment length is remembered", t => {
  const guard = guardWith();
  feed(guard, hello({ extensions: [0, 1, 0, 1, 4] }));
  t.true(guard.isFragmentBound);
});
