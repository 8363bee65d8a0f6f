// Servers a device should believe, and servers it should not; and an identity for the device.
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { isIP } from "node:net";
import * as x509 from "@peculiar/x509";
import * as v from "valibot";

x509.cryptoProvider.set(webcrypto);

const pemIdentity = v.object({ certificate: v.string(), key: v.string() });

export const identitiesSchema = v.object({
  trustAnchor: v.string(),
  device: pemIdentity,
  servers: v.object({
    good: pemIdentity,
    large: pemIdentity,
    larger: pemIdentity,
    strange: pemIdentity,
    wrongName: pemIdentity,
    expired: pemIdentity,
  }),
  /** Epoch ms: no longer of use then. */
  endsAt: v.number(),
});

/** PEM. The trust anchor is the only one a device is to believe; a server's certificate comes with those above it. */
export type Identities = Readonly<v.InferOutput<typeof identitiesSchema>>;
export type ServerName = keyof Identities["servers"];
export type PemIdentity = Readonly<v.InferOutput<typeof pemIdentity>>;

const ecdsa = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const dayMs = 86_400_000;
const lifeMs = 365 * dayMs;

interface Authority {
  readonly certificate: x509.X509Certificate;
  readonly key: webcrypto.CryptoKey;
}

interface Leaf {
  readonly names: readonly string[];
  /** Epoch ms. */
  readonly notAfter?: number;
}

/** @param names of the server, as the device dials it */
export async function makeIdentities(names: readonly string[]): Promise<Identities> {
  const root = await makeRoot("Skerry Advisor Root");
  const strangeRoot = await makeRoot("Skerry Advisor Root");
  const issuer = await makeIntermediate(root, "Skerry Advisor Issuing 1");
  const lower = await makeIntermediate(issuer, "Skerry Advisor Issuing 2");
  const lowest = await makeIntermediate(lower, "Skerry Advisor Issuing 3");
  const strangeIssuer = await makeIntermediate(strangeRoot, "Skerry Advisor Issuing 1");
  const server = (chain: readonly Authority[], leaf: Leaf) => makeServer(chain, leaf);
  const good = await server([issuer], { names });
  const goodBytes = bytesOf(good);
  const large = (factor: number) => [...names, ...padding(goodBytes * (factor - 1))];
  const servers = {
    good,
    large: await server([issuer], { names: large(1.2) }),
    larger: await server([lowest, lower, issuer], { names: large(3) }),
    strange: await server([strangeIssuer], { names }),
    wrongName: await server([issuer], { names: ["elsewhere.example"] }),
    expired: await server([issuer], { names, notAfter: Date.now() - dayMs }),
  };
  return {
    trustAnchor: pemOf(root.certificate),
    device: await makeDevice(root),
    servers,
    endsAt: Date.now() + lifeMs,
  };
}

/** What a server shows. */
export function bytesOf({ certificate }: PemIdentity): number {
  return x509.PemConverter.decode(certificate).reduce((sum, der) => sum + der.byteLength, 0);
}

/** Names that take about so many bytes in a certificate: 40 each, with their tag and length. */
function padding(bytes: number): string[] {
  const count = Math.ceil(bytes / 40);
  return Array.from({ length: count }, (_, i) => `${String(i).padStart(22, "x")}.padding.example`);
}

const pemOf = (certificate: x509.X509Certificate) => `${certificate.toString("pem")}\n`;

const newKeys = () => webcrypto.subtle.generateKey(ecdsa, true, ["sign", "verify"]);

const newSerial = () =>
  `40${Buffer.from(webcrypto.getRandomValues(new Uint8Array(15))).toString("hex")}`;

function authorityExtensions(pathLength: number): x509.Extension[] {
  return [
    new x509.BasicConstraintsExtension(true, pathLength, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
  ];
}

async function makeRoot(name: string): Promise<Authority> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: `CN=${name}`,
    notBefore: new Date(Date.now() - 2 * lifeMs),
    notAfter: new Date(Date.now() + lifeMs),
    signingAlgorithm: ecdsa,
    keys,
    extensions: [
      ...authorityExtensions(4),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate, key: keys.privateKey };
}

async function makeIntermediate(issuer: Authority, name: string): Promise<Authority> {
  const keys = await newKeys();
  const above = issuer.certificate.getExtension(x509.BasicConstraintsExtension)!.pathLength!;
  const extensions = authorityExtensions(above - 1);
  const certificate = await sign(issuer, `CN=${name}`, keys.publicKey, extensions);
  return { certificate, key: keys.privateKey };
}

/** @param chain who signs it first, then those above */
async function makeServer(chain: readonly Authority[], leaf: Leaf): Promise<PemIdentity> {
  const keys = await newKeys();
  const extensions = [
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
    new x509.SubjectAlternativeNameExtension(
      leaf.names.map(value => ({ type: isIP(value) ? ("ip" as const) : ("dns" as const), value })),
    ),
  ];
  const subject = `CN=${leaf.names[0]}`;
  const own = await sign(chain[0]!, subject, keys.publicKey, extensions, leaf.notAfter);
  const certificates = [own, ...chain.map(({ certificate }) => certificate)];
  return { certificate: certificates.map(pemOf).join(""), key: await exportKey(keys.privateKey) };
}

async function makeDevice(root: Authority): Promise<PemIdentity> {
  const keys = await newKeys();
  const certificate = await sign(root, "CN=AWS IoT Certificate", keys.publicKey, [
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
  ]);
  return { certificate: pemOf(certificate), key: await exportKey(keys.privateKey) };
}

async function sign(
  issuer: Authority,
  subject: string,
  publicKey: webcrypto.CryptoKey,
  extensions: readonly x509.Extension[],
  notAfter = Date.now() + lifeMs,
): Promise<x509.X509Certificate> {
  return x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject,
    issuer: issuer.certificate.subjectName,
    notBefore: new Date(Math.min(Date.now(), notAfter) - 30 * dayMs),
    notAfter: new Date(notAfter),
    publicKey,
    signingKey: issuer.key,
    signingAlgorithm: ecdsa,
    extensions: [
      ...extensions,
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.certificate.publicKey),
    ],
  });
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY")}\n`;
}
