// Signers as a product names them: certificates, kinds of keys, and the ids that tools print.
import { execFileSync, spawnSync } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import test from "ava";
import { createCrypto } from "../../hosts/node/crypto.js";
import { checkSigners, readSigner, type SignerOptions } from "../../src/ota/signers.js";
import { toPem } from "../../src/trust/pem.js";
import { certificate, party } from "../trust/maker.js";
import { outcomeOf } from "./judge.js";
import { type KeyKind, ownDocument, signerOf, signingKey, vector } from "./maker.js";

const crypto = createCrypto();
const refused = (...signers: readonly SignerOptions[]) => {
  try {
    checkSigners({ signers }, "firmware");
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return `${code}: ${message}`;
  }
  return undefined;
};

test("ota signers: the kinds of keys that are taken", t => {
  for (const kind of ["P-256", "P-384", "RSA-2048", "RSA-4096"] satisfies KeyKind[])
    t.is(refused(signerOf(signingKey(kind))), undefined, kind);
  for (const kind of ["P-521", "RSA-1024", "Ed25519"] satisfies KeyKind[])
    t.regex(
      refused(signerOf(signingKey("P-256")), signerOf(signingKey(kind)))!,
      /^agent\/options: options\.firmware\.signers\[1\]/,
      kind,
    );
});

test("ota signers: an id is what OpenSSL calculates", t => {
  const key = signingKey("P-256");
  const how = { input: key.publicKey };
  if (spawnSync("openssl", ["version"]).status !== 0) {
    t.log("openssl is not installed: it is not asked");
    t.pass();
    return;
  }
  const der = execFileSync("openssl", ["pkey", "-pubin", "-outform", "DER"], how);
  const printed = createHash("sha256").update(der).digest("hex").slice(0, 16);
  t.is(readSigner(signerOf(key), crypto).keyId, printed);
});

test("ota signers: of a certificate only the key counts, not its dates", t => {
  const signer = party("signer");
  const dates = { notBefore: "200101000000Z", notAfter: "210101000000Z" };
  const der = certificate({ issuer: party("nobody"), subject: signer, ...dates });
  const pem = toPem(der, "CERTIFICATE");
  t.is(refused({ certificate: pem }), undefined);
  t.true(Date.parse(new X509Certificate(pem).validTo) < Date.now());
  const publicKey = toPem(signer.publicKeyInfo, "PUBLIC KEY");
  const { keyId } = readSigner({ certificate: pem }, crypto);
  t.is(readSigner({ publicKey }, crypto).keyId, keyId);
  t.regex(refused({ certificate: pem }, { publicKey })!, /signers\[1\] has the key of .*\[0\]/);
  t.regex(refused({ certificate: pem + pem })!, /more than one CERTIFICATE/);
  const document = ownDocument({ keys: [{ privateKey: signer.key, publicKey, keyId }] });
  t.is(outcomeOf(vector("", document, [{ certificate: pem }], ""), crypto), "manifest");
});

test("ota signers: a certificate that is cut, or changed so that it is none", t => {
  const der = certificate({ issuer: party("a"), subject: party("b") });
  for (let length = 1; length < der.length; length += 7)
    t.regex(refused({ certificate: toPem(der.subarray(0, length), "CERTIFICATE") })!, /^agent/);
  for (let at = 0; at < der.length; at++) {
    const changed = der.map((octet, i) => (i === at ? octet ^ (1 << (at % 8)) : octet));
    const answer = refused({ certificate: toPem(changed, "CERTIFICATE") });
    t.regex(answer ?? "agent/options", /^agent\/options/, `octet ${at}`);
  }
});
