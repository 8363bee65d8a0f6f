// Algorithms and key sizes, and certificates for code.
import { concat } from "../../src/util/bytes.js";
import type { Outcome, Vector } from "./judge.js";
import { anyPurpose, certificate, type Party, party, purpose, rsaKeyInfo, usage } from "./maker.js";
import { rsa3072, rsa4096 } from "./rsa-keys.js";
import {
  expired,
  leafBy,
  p384Root,
  p384Server,
  type Rest,
  root,
  rootOf,
  rsaRoot,
  rsaServer,
  san,
  server,
  vector,
} from "./vectors.js";

export function algorithmVectors(): Vector[] {
  const rsaAnchor = rootOf(rsaRoot);
  const p384Anchor = rootOf(p384Root, { scheme: { hash: "SHA-384" } });
  const by = (issuer: Party, subject: Party, scheme: Rest["scheme"]) =>
    certificate({ issuer, subject, extensions: [san], ...(scheme ? { scheme } : {}) });
  const accepted: Vector[] = (["SHA-256", "SHA-384", "SHA-512"] as const).flatMap(hash => [
    vector(`RSA with ${hash}`, "accepted", [by(rsaRoot, server, { hash })], {
      anchors: [rsaAnchor],
    }),
    vector(`RSA-PSS with ${hash}`, "accepted", [by(rsaRoot, server, { hash, isPss: true })], {
      anchors: [rsaAnchor],
    }),
    vector(`P-256 with ${hash}`, "accepted", [by(root, server, { hash })]),
    vector(`P-384 with ${hash}`, "accepted", [by(p384Root, p384Server, { hash })], {
      anchors: [p384Anchor],
    }),
  ]);
  const weak = (kind: Parameters<typeof party>[1]) =>
    certificate({ issuer: root, subject: party("weak", kind), extensions: [san] });
  const weakAnchor = party("weak root", "rsa1024");
  const large = [rsa3072, rsa4096].flatMap(issuer =>
    [false, true].map(isPss =>
      vector(
        `${issuer.name}${isPss ? ", PSS" : ""}`,
        "accepted",
        [by(issuer, issuer === rsa3072 ? rsa4096 : rsa3072, { hash: "SHA-256", isPss })],
        { anchors: [rootOf(issuer)] },
      ),
    ),
  );
  return [
    ...accepted,
    ...large,
    ...rsaKeyVectors(),
    vector(
      "RSA-PSS with another hash in its mask",
      "trust/algorithm",
      [by(rsaRoot, server, { hash: "SHA-256", isPss: true, maskHash: "SHA-384" })],
      { anchors: [rsaAnchor] },
    ),
    vector("RSA key of 2047 bits", "trust/algorithm", [weak("rsa2047")], {
      apart: "counts security bits another way",
    }),
    vector("RSA server under an EC root", "accepted", [by(root, rsaServer, undefined)]),
    vector(
      "RSA-PSS with another salt",
      "trust/algorithm",
      [by(rsaRoot, server, { hash: "SHA-256", isPss: true, salt: 20 })],
      {
        anchors: [rsaAnchor],
        apart: "takes any salt",
      },
    ),
    vector("signature over SHA-1, ECDSA", "trust/algorithm", [by(root, server, { hash: "SHA-1" })]),
    vector(
      "signature over SHA-1, RSA",
      "trust/algorithm",
      [by(rsaRoot, server, { hash: "SHA-1" })],
      { anchors: [rsaAnchor] },
    ),
    vector("RSA key of 1024 bits", "trust/algorithm", [weak("rsa1024")]),
    vector("RSA key with exponent 3", "trust/algorithm", [weak("rsa3")], {
      apart: "takes any exponent",
    }),
    vector("P-521 key", "trust/algorithm", [weak("p521")], { apart: "takes the curve" }),
    vector("anchor with an RSA key of 1024 bits", "trust/algorithm", [leafBy(weakAnchor)], {
      anchors: [rootOf(weakAnchor)],
    }),
  ];
}

/** Keys of a leaf that the root has signed: what is read of them, and which are taken. */
function rsaKeyVectors(): Vector[] {
  const bytes = (...octets: readonly number[]) => Uint8Array.from(octets);
  /** Odd, its highest bit set. */
  const modulus = (octets: number) => new Uint8Array(octets).fill(0xa5);
  const positive = (magnitude: Uint8Array) => concat([bytes(0), magnitude]);
  const taken = positive(modulus(256));
  const f4 = bytes(1, 0, 1);
  const made = (
    title: string,
    expected: Outcome,
    ...contents: Parameters<typeof rsaKeyInfo>
  ): Vector =>
    vector(
      `RSA key: ${title}`,
      expected,
      [leafBy(root, [], { publicKeyInfo: rsaKeyInfo(...contents) })],
      {
        apart: "does not look at it",
      },
    );
  const refused = "trust/algorithm";
  const malformed = "trust/certificate";
  return [
    made("2048 bits, 65537", "accepted", taken, f4),
    made("4096 bits, 65537", "accepted", positive(modulus(512)), f4),
    made("4097 bits", refused, concat([bytes(1), modulus(512)]), f4),
    made(
      "2047 bits",
      refused,
      modulus(256).map((octet, i) => (i === 0 ? 0x7f : octet)),
      f4,
    ),
    made(
      "even modulus",
      refused,
      taken.map((octet, i) => (i === 256 ? 0xa4 : octet)),
      f4,
    ),
    made("modulus with a zero too many", malformed, concat([bytes(0), taken]), f4),
    made("modulus below zero", malformed, modulus(256), f4),
    made("modulus zero", refused, bytes(0), f4),
    made("modulus without octets", malformed, bytes(), f4),
    made("exponent 0", refused, taken, bytes(0)),
    made("exponent 1", refused, taken, bytes(1)),
    made("exponent 3", refused, taken, bytes(3)),
    made("exponent 65535", refused, taken, bytes(0, 0xff, 0xff)),
    made("exponent 65536", refused, taken, bytes(1, 0, 0)),
    made("exponent 65539", "accepted", taken, bytes(1, 0, 3)),
    made("even exponent", refused, taken, bytes(1, 0, 2)),
    made("exponent of 32 bits", "accepted", taken, bytes(0, 0xff, 0xff, 0xff, 0xff)),
    made("exponent of 33 bits", refused, taken, bytes(1, 0, 0, 0, 1)),
    made("exponent with a zero too many", malformed, taken, bytes(0, 1, 0, 1)),
    made("exponent below zero", malformed, taken, bytes(0x80, 0, 1)),
    made("without parameters", malformed, taken, f4, bytes()),
    made("parameters with content", malformed, taken, f4, bytes(5, 1, 0)),
  ];
}

export function codeVectors(): Vector[] {
  const code = { purpose: "codeSigning", apart: "has no such purpose in this version" } as const;
  const signer = (...extensions: Uint8Array[]) =>
    certificate({ issuer: root, subject: server, extensions });
  return [
    vector("code signing", "accepted", [signer(purpose(3), usage(0x80))], code),
    vector(
      "code signing by a certificate for servers",
      "trust/purpose",
      [signer(purpose(1))],
      code,
    ),
    vector(
      "code signing by a certificate for no purpose in particular",
      "trust/purpose",
      [signer()],
      code,
    ),
    vector(
      "code signing by a certificate for any purpose",
      "trust/purpose",
      [signer(anyPurpose)],
      code,
    ),
    vector(
      "code signing by one not for signatures",
      "trust/key-usage",
      [signer(purpose(3), usage(0x20))],
      code,
    ),
    vector("a server that presents a certificate for code", "trust/purpose", [
      leafBy(root, [purpose(3)]),
    ]),
    vector(
      "code signing, expired",
      "trust/expired",
      [certificate({ issuer: root, subject: server, extensions: [purpose(3)], ...expired })],
      code,
    ),
  ];
}
