// The device's own key in a handshake: read strictly, tied to its certificate, and giving away only signatures that are right.
import {
  createECDH,
  createHash,
  createPrivateKey,
  type JsonWebKey,
  type KeyObject,
  verify,
} from "node:crypto";
import test from "ava";
import { ClientIdentity, type KeyArithmetic } from "../../../hosts/moddable/client-identity.js";
import { toBigInt, toBytes } from "../../../hosts/moddable/p256.js";
import { parsePrivateKey, type RsaPrivateKey } from "../../../hosts/moddable/pkcs8.js";
import { type Power, signRsa } from "../../../hosts/moddable/rsa-signature.js";
import { TLSError } from "../../../hosts/moddable/tls-error.js";
import { AgentError } from "../../../src/errors.js";
import { element, objectIdentifier, tag } from "../../../src/trust/der.js";
import { toUtf8 } from "../../../src/util/bytes.js";
import { certificate, integer, type Party, party, pkcs8Of, sequence } from "../../trust/maker.js";

const root = party("root");
const device = party("device");
const rsaDevice = party("device", "rsa");
const certificateOf = (subject: Party) => certificate({ issuer: root, subject });
const message = toUtf8("what was said so far");
const digest = new Uint8Array(createHash("sha256").update(message).digest());

const power: Power = (base, exponent, modulus) => {
  let result = 1n;
  let square = base % modulus;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
};

const arithmetic: KeyArithmetic = {
  power,
  signEcdsa: scalar => scalar,
  pointOf: scalar => {
    const pair = createECDH("prime256v1");
    pair.setPrivateKey(scalar);
    return new Uint8Array(pair.getPublicKey());
  },
};

const rsaKey = (subject = rsaDevice) => parsePrivateKey(pkcs8Of(subject)) as RsaPrivateKey;

test("an EC key and its certificate make an identity that signs with the scalar", t => {
  const own = new ClientIdentity([certificateOf(device)], pkcs8Of(device), arithmetic);
  t.is(own.kind, "ec");
  t.is(own.sign(digest).length, 32);
});

test("an RSA key and its certificate make an identity whose signatures OpenSSL verifies", t => {
  const own = new ClientIdentity([certificateOf(rsaDevice)], pkcs8Of(rsaDevice), arithmetic);
  t.is(own.kind, "rsa");
  t.true(verify("sha256", message, publicOf(rsaDevice), own.sign(digest)));
});

test("RSA keys of 3072 and 4096 bits, and with the primes in either order", t => {
  for (const kind of ["rsa3072", "rsa4096"] as const) {
    const subject = party("device", kind);
    const key = rsaKey(subject);
    t.true(verify("sha256", message, publicOf(subject), signRsa(key, digest, power)));
    const [p, q] = key.primes;
    const swapped: RsaPrivateKey = {
      ...key,
      primes: [q, p],
      exponents: [key.exponents[1], key.exponents[0]],
      coefficient: power(p, q - 2n, q),
    };
    t.true(verify("sha256", message, publicOf(subject), signRsa(swapped, digest, power)));
  }
});

test("a certificate of version 1 is as good as any", t => {
  const subject = { issuer: root, subject: device, version: new Uint8Array(0) };
  const own = new ClientIdentity([certificate(subject)], pkcs8Of(device), arithmetic);
  t.is(own.kind, "ec");
});

test("without a certificate the key is not looked at", t => {
  t.is(new ClientIdentity([], new Uint8Array(3), arithmetic).kind, undefined);
});

function unfit(pattern: RegExp, chain: readonly Uint8Array[], key: Uint8Array) {
  return test.macro({
    exec: t => {
      const error = t.throws(() => new ClientIdentity(chain, key, arithmetic), {
        instanceOf: AgentError,
      })!;
      t.is(error.code, "agent/options");
      t.regex(error.message, pattern);
    },
    title: title => `refused before the handshake: ${title}`,
  });
}

const foreign = /does not belong/;
const [ec, rsa] = [pkcs8Of(device), pkcs8Of(rsaDevice)];
test("an EC key of another device", unfit(foreign, [certificateOf(party("device"))], ec));
test("an RSA key of another device", unfit(foreign, [certificateOf(party("d", "rsa"))], rsa));
test("an EC key beside an RSA certificate", unfit(foreign, [certificateOf(rsaDevice)], ec));
test("an RSA key beside an EC certificate", unfit(foreign, [certificateOf(device)], rsa));
for (const [title, pattern, kind] of [
  ["a key on P-384", /not on P-256/, "p384"],
  ["a key on P-521", /not on P-256/, "p521"],
  ["an RSA key of 1024 bits", /1024 bits/, "rsa1024"],
  ["an RSA key of 5120 bits", /5120 bits/, "rsa5120"],
] as const) {
  const subject = party("device", kind);
  test(title, unfit(pattern, [certificateOf(subject)], pkcs8Of(subject)));
}
const small = party("device", "rsa3");
test("an RSA key with exponent 3", unfit(foreign, [certificateOf(small)], pkcs8Of(small)));
test("a certificate that is none", unfit(/client certificate/, [Uint8Array.of(1, 2)], ec));
test(
  "more certificates than a record holds",
  unfit(/at most 4096/, Array(20).fill(certificateOf(device)), ec),
);

const kinds = [
  ["the first half", 0],
  ["the second half", 1],
] as const;
for (const [which, at] of kinds) {
  test(`a calculation of ${which} that goes wrong gives no signature away`, t => {
    const key = rsaKey();
    const faulty: Power = (base, exponent, modulus) => {
      const right = power(base, exponent, modulus);
      return modulus === key.primes[at] ? right ^ 1n : right;
    };
    const error = t.throws(() => signRsa(key, digest, faulty), { instanceOf: TLSError })!;
    t.regex(error.message, /is not right/);
  });
}

test("numbers that do not belong to the primes give no signature", t => {
  const key = rsaKey();
  const [dp, dq] = key.exponents;
  for (const wrong of [
    { exponents: [dp + 2n, dq] },
    { exponents: [0n, 0n] },
    { coefficient: key.coefficient + 1n },
    { exponent: Uint8Array.of(1, 0, 3) },
  ] as const) {
    t.throws(() => signRsa({ ...key, ...wrong }, digest, power), { instanceOf: TLSError });
  }
});

/** RSAPrivateKey in PKCS#8, from the numbers of a JWK. */
function rsaInfo(change: Partial<Record<string, Uint8Array>> = {}, version = 0): Uint8Array {
  const jwk = rsaDevice.key.export({ format: "jwk" }) as Record<keyof JsonWebKey, string>;
  const names = ["n", "e", "d", "p", "q", "dp", "dq", "qi"] as const;
  const numbers = names.map(name => {
    const bytes = change[name] ?? new Uint8Array(Buffer.from(jwk[name]!, "base64url"));
    return integer(...(bytes[0]! >= 0x80 ? [0] : []), ...bytes);
  });
  const algorithm = sequence(objectIdentifier(1, 2, 840, 113549, 1, 1, 1), element(tag.null));
  const key = sequence(integer(version), ...numbers);
  return sequence(integer(0), algorithm, element(tag.octetString, key));
}

test("an RSA key is read as OpenSSL writes it", t => {
  t.deepEqual(rsaInfo(), pkcs8Of(rsaDevice));
  const { primes, modulus } = rsaKey();
  t.is(primes[0] * primes[1], toBigInt(modulus));
});

test("RSA keys cut short, with bytes added, of another version or with other primes are refused", t => {
  const der = rsaInfo();
  for (let length = 0; length < der.length; length += 7) {
    t.throws(() => parsePrivateKey(der.subarray(0, length)), { code: "trust/der" });
  }
  const [p] = rsaKey().primes;
  for (const wrong of [
    rsaInfo({}, 1),
    rsaInfo({ p: toBytes(p + 2n, 128) }),
    rsaInfo({ p: toBytes(p - 1n, 128) }),
    rsaInfo({ p: Uint8Array.of(1), q: rsaKey().modulus }),
    rsaInfo({ qi: new Uint8Array(300).fill(1) }),
    Uint8Array.from([...der, 0]),
  ]) {
    t.throws(() => parsePrivateKey(wrong), { code: "trust/der" });
  }
});

function publicOf({ key }: Party): KeyObject {
  return createPrivateKey(key.export({ type: "pkcs8", format: "pem" }));
}
