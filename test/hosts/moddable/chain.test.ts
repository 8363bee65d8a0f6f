// Which servers are believed: chains that are right, and chains that are wrong in one place.
import { createPublicKey, verify as verifySignature } from "node:crypto";
import test from "ava";
import type { PublicKey } from "../../../hosts/moddable/certificate.js";
import { judgeChain, parseAddress } from "../../../hosts/moddable/chain.js";
import { alerts, TLSError } from "../../../hosts/moddable/tls-error.js";
import {
  authority,
  certificate,
  keyUsage,
  names,
  type Party,
  party,
  purpose,
  renamed,
  unknownCritical,
} from "./certificates.js";

const now = Date.UTC(2026, 0, 1);
const root = party("root");
const other = party("other");
const middle = party("middle");
const server = party("server");
const attacker = party("attacker");
const anchor = certificate({ issuer: root, subject: root, extensions: [authority()] });
const san = names("thing.example.com", Uint8Array.of(127, 0, 0, 1));

const infos = new Map<string, Uint8Array>();
for (const one of [root, other, middle, server, attacker]) {
  infos.set(Buffer.from(one.publicKeyInfo.subarray(-65)).toString("hex"), one.publicKeyInfo);
}

function verify(key: PublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  if (key.kind !== "p256") return false;
  const info = infos.get(Buffer.from(key.point).toString("hex"))!;
  const object = createPublicKey({ key: Buffer.from(info), format: "der", type: "spki" });
  return verifySignature("sha256", message, object, signature);
}

function leaf(issuer: Party, ...extensions: Uint8Array[]): Uint8Array {
  return certificate({ issuer, subject: server, extensions: [san, ...extensions] });
}

function judge(chain: readonly Uint8Array[], serverName = "thing.example.com", at = now) {
  return judgeChain({ chain, anchors: [anchor], serverName, now: at, verify });
}

const intermediate = (...extensions: Uint8Array[]) =>
  certificate({ issuer: root, subject: middle, extensions });

const believed = test.macro({
  exec: (t, chain: () => readonly Uint8Array[], serverName?: string) => {
    t.is(judge(chain(), serverName).kind, "p256");
  },
  title: title => `believed: ${title}`,
});

const refused = test.macro({
  exec: (
    t,
    alert: keyof typeof alerts,
    chain: () => readonly Uint8Array[],
    serverName?: string,
    at?: number,
  ) => {
    const error = t.throws(() => judge(chain(), serverName, at), { instanceOf: TLSError })!;
    t.is(error.alert, alerts[alert], error.message);
  },
  title: title => `refused: ${title}`,
});

test("the leaf alone, issued by the anchor", believed, () => [leaf(root)]);
test("the anchor itself sent along", believed, () => [leaf(root), anchor]);
test("an intermediate", believed, () => [leaf(middle), intermediate(authority())]);
test("a purpose that includes servers", believed, () => [leaf(root, purpose(1), keyUsage(0x80))]);
test("an address", believed, () => [leaf(root)], "127.0.0.1");
test("another case of letters", believed, () => [leaf(root)], "Thing.Example.COM");
test("a wildcard for one label", believed, () => [
  certificate({ issuer: root, subject: server, extensions: [names("*.example.com")] }),
]);

test("no certificate", refused, "handshakeFailure", () => []);
test("another name", refused, "badCertificate", () => [leaf(root)], "other.example.com");
test("another address", refused, "badCertificate", () => [leaf(root)], "127.0.0.2");
test("no name at all", refused, "badCertificate", () => [
  certificate({ issuer: root, subject: renamed(server, "thing.example.com") }),
]);
test(
  "a wildcard for two labels",
  refused,
  "badCertificate",
  () => [
    certificate({ issuer: root, subject: server, extensions: [names("*.com", "*.example.com")] }),
  ],
  "a.thing.example.com",
);
test("another authority", refused, "unknownCa", () => [leaf(other)]);
test("a missing intermediate", refused, "unknownCa", () => [leaf(middle)]);
test(
  "before its time",
  refused,
  "certificateExpired",
  () => [leaf(root)],
  undefined,
  Date.UTC(2024, 0, 1),
);
test(
  "after its time",
  refused,
  "certificateExpired",
  () => [leaf(root)],
  undefined,
  Date.UTC(2046, 0, 1),
);
test("an intermediate after its time", refused, "certificateExpired", () => [
  leaf(middle),
  certificate({
    issuer: root,
    subject: middle,
    notAfter: "250601000000Z",
    extensions: [authority()],
  }),
]);
test("self-signed for our name, with the public root behind it", refused, "badCertificate", () => [
  certificate({ issuer: attacker, subject: attacker, extensions: [san] }),
  anchor,
]);
test("signed by a stranger under the name of the root", refused, "badCertificate", () => [
  leaf(renamed(attacker, "root")),
  anchor,
]);
test("issued by a certificate that is no authority", refused, "badCertificate", () => [
  leaf(middle),
  intermediate(san),
]);
test("issued by an authority that may not sign certificates", refused, "badCertificate", () => [
  leaf(middle),
  intermediate(authority(), keyUsage(0x80)),
]);
test("issued by an authority for clients", refused, "badCertificate", () => [
  leaf(middle),
  intermediate(authority(), purpose(2)),
]);
test("an authority too deep", refused, "badCertificate", () => [
  leaf(other),
  certificate({ issuer: middle, subject: other, extensions: [authority()] }),
  intermediate(authority(0)),
]);
test("for clients only", refused, "badCertificate", () => [leaf(root, purpose(2))]);
test("not for signing", refused, "badCertificate", () => [leaf(root, keyUsage(0x08))]);
test("an unknown critical extension", refused, "badCertificate", () => [
  leaf(root, unknownCritical),
]);
test("an extension twice", refused, "badCertificate", () => [leaf(root, san)]);
test("a byte left over", refused, "badCertificate", () => [Uint8Array.of(...leaf(root), 0)]);

test("no truncation of a certificate is believed", t => {
  const whole = leaf(root);
  for (let length = 0; length < whole.length; length++) {
    t.throws(() => judge([whole.subarray(0, length)]), { instanceOf: TLSError });
  }
});

test("no certificate with one bit changed is believed", t => {
  const whole = leaf(root);
  for (let at = 0; at < whole.length; at++) {
    const changed = whole.slice();
    changed[at]! ^= 1 << (at % 8);
    t.throws(() => judge([changed]), { instanceOf: TLSError }, `bit in byte ${at}`);
  }
});

test("an expired anchor issues nothing", t => {
  const expired = certificate({
    issuer: root,
    subject: root,
    notAfter: "250601000000Z",
    extensions: [authority()],
  });
  t.throws(
    () =>
      judgeChain({ chain: [leaf(root)], anchors: [expired], serverName: "127.0.0.1", now, verify }),
    { instanceOf: TLSError },
  );
});

test("only dotted decimal is an address", t => {
  t.deepEqual(parseAddress("127.0.0.1"), Uint8Array.of(127, 0, 0, 1));
  for (const text of ["127.0.0", "127.0.0.256", "127.0.0.01", "localhost", "1.2.3.4.5", ""]) {
    t.is(parseAddress(text), undefined, text);
  }
});
