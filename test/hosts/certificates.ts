// Certificates for TLS tests, made when asked for: a root, a server's, a device's, and one of a stranger.

import "reflect-metadata";
import { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

x509.cryptoProvider.set(webcrypto);

export interface Identity {
  /** DER. */
  readonly certificate: Uint8Array;
  /** PKCS#8, DER. */
  readonly key: Uint8Array;
}

export interface TestAuthority {
  readonly root: Uint8Array;
  /** @param names DNS names, or addresses. */
  issueServer(names: readonly string[]): Promise<Identity>;
  issueClient(commonName: string, kind?: "ec" | "rsa"): Promise<Identity>;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const rsa = {
  name: "RSASSA-PKCS1-v1_5",
  hash: "SHA-256",
  modulusLength: 2048,
  publicExponent: Uint8Array.of(1, 0, 1),
};
const dayMs = 86_400_000;

export async function createAuthority(name: string): Promise<TestAuthority> {
  const keys = await generateKeys();
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity(),
    serialNumber: "01",
    name: `CN=${name}`,
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  let serial = 1;
  const issue = async (
    subject: string,
    extensions: x509.Extension[],
    kind: "ec" | "rsa" = "ec",
  ): Promise<Identity> => {
    const own = await generateKeys(kind);
    serial++;
    const certificate = await x509.X509CertificateGenerator.create({
      ...validity(),
      serialNumber: serial.toString(16).padStart(2, "0"),
      subject,
      issuer: root.subject,
      publicKey: own.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        ...extensions,
      ],
    });
    const key = await webcrypto.subtle.exportKey("pkcs8", own.privateKey);
    return { certificate: new Uint8Array(certificate.rawData), key: new Uint8Array(key) };
  };
  return {
    root: new Uint8Array(root.rawData),
    issueServer: names =>
      issue(`CN=${names[0]}`, [
        new x509.SubjectAlternativeNameExtension(names.map(toGeneralName)),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      ]),
    issueClient: (commonName, kind) =>
      issue(
        `CN=${commonName}`,
        [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])],
        kind,
      ),
  };
}

/** DER as node:tls takes it. */
export function toPem(label: "CERTIFICATE" | "PRIVATE KEY", der: Uint8Array): string {
  return x509.PemConverter.encode(der.slice().buffer, label);
}

function generateKeys(kind: "ec" | "rsa" = "ec") {
  return webcrypto.subtle.generateKey(kind === "ec" ? algorithm : rsa, true, ["sign", "verify"]);
}

function validity() {
  return { notBefore: new Date(Date.now() - dayMs), notAfter: new Date(Date.now() + dayMs) };
}

function toGeneralName(name: string): x509.JsonGeneralName {
  return { type: /^[0-9.]+$/.test(name) ? "ip" : "dns", value: name };
}
