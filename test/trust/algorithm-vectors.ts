// Algorithms and key sizes, and certificates for code.
import type { Vector } from "./judge.js";
import { anyPurpose, certificate, type Party, party, purpose, usage } from "./maker.js";
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
  return [
    ...accepted,
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
