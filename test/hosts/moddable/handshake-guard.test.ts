// What a server may say before encryption: one handshake that is right, and the same wrong in one place.
import { generateKeyPairSync } from "node:crypto";
import test from "ava";
import { HandshakeGuard, recordType } from "../../../hosts/moddable/handshake-guard.js";
import { encodeSignature } from "../../../hosts/moddable/p256.js";
import { alerts, TLSError } from "../../../hosts/moddable/tls-error.js";
import type { PublicKey } from "../../../src/trust/algorithm.js";
import { concat } from "../../../src/util/bytes.js";

const point = new Uint8Array(
  generateKeyPairSync("ec", { namedCurve: "P-256" })
    .publicKey.export({ type: "spki", format: "der" })
    .subarray(-65),
);
const ecKey: PublicKey = { kind: "ec", curve: "P-256", point };
const rsaKey: PublicKey = {
  kind: "rsa",
  modulus: new Uint8Array(256),
  exponent: Uint8Array.of(1, 0, 1),
};
const signature = encodeSignature({ r: 5n, s: 7n });

interface Setting {
  readonly key?: PublicKey;
  readonly isRsaRight?: boolean;
  readonly hasCertificate?: boolean;
}

function guardWith({ key = ecKey, isRsaRight = true, hasCertificate = true }: Setting = {}) {
  return new HandshakeGuard({
    protocols: ["mqtt"],
    fragmentBytes: 4096,
    hasCertificate,
    judge: () => key,
    verifyRsa: () => isRsaRight,
    clientRandom: () => new Uint8Array(32),
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

function exchange(change: (body: Uint8Array) => Uint8Array = body => body): Uint8Array {
  const length = [signature.length >> 8, signature.length];
  const body = concat([
    Uint8Array.of(3, 0, 23, 65),
    point,
    Uint8Array.of(4, 3, ...length),
    signature,
  ]);
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
    guard.open();
    t.truthy(guard.accept(recordType.applicationData, new Uint8Array(30)));
    t.is(guard.serverKey, ecKey);
  }
});

test("messages may share records or be spread over many, to any byte", t => {
  const flight = concat([hello(), chain, exchange(), request, done]);
  for (const size of [1, 2, 3, 5, 50, flight.length]) {
    const guard = guardWith();
    const passed: Uint8Array[] = [];
    for (let at = 0; at < flight.length; at += size) {
      const part = guard.accept(recordType.handshake, flight.slice(at, at + size));
      if (part !== undefined) passed.push(part);
    }
    t.deepEqual(concat(passed), flight, `${size} bytes in a record`);
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
test("a handshake after the handshake", refused, "unexpectedMessage", () => {
  const guard = guardWith();
  feed(guard, hello(), chain, exchange(), done);
  guard.accept(recordType.changeCipherSpec, Uint8Array.of(1));
  guard.open();
  guard.accept(recordType.handshake, new Uint8Array(30));
});
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
    exchange(body => setByte(body.length - 1, 0)(body)),
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
test("a wrong RSA signature", refused, "decryptError", () =>
  feed(
    guardWith({ key: rsaKey, isRsaRight: false }),
    hello({ suite: 0xc02f }),
    chain,
    exchange(setByte(70, 1)),
  ),
);
test("a request our certificate cannot answer", refused, "handshakeFailure", () =>
  feed(guardWith(), hello(), chain, exchange(), message(13, [1, 1], [0, 2, 4, 1], [0, 0])),
);

test("an alert of the server ends the handshake without one of ours", t => {
  const error = t.throws(() => guardWith().accept(recordType.alert, Uint8Array.of(2, 40)), {
    instanceOf: TLSError,
  })!;
  t.is(error.alert, undefined);
  t.regex(error.message, /alert 40/);
});

test("the agreed fragment length is remembered", t => {
  const guard = guardWith();
  feed(guard, hello({ extensions: [0, 1, 0, 1, 4] }));
  t.true(guard.isFragmentBound);
});
