// The certificate authority: one P-256 root, and what it signs. Knows no registry and no MQTT.

import "reflect-metadata";
import { createHash, generateKeyPair, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import { promisify } from "node:util";
import * as x509 from "@peculiar/x509";
import * as v from "valibot";
import { type Clock, type Random, randomHex } from "./environment.js";
import { messageOf } from "./errors.js";
import { damaged } from "./files.js";
import { provisioningLimits } from "./limits.js";
import { CsrError, verifiedKey } from "./signing-request.js";
import type { Store } from "./store.js";

type CryptoKey = webcrypto.CryptoKey;

x509.cryptoProvider.set(webcrypto);

const ecdsa = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const documentName = "authority.json";
const dayMs = 86_400_000;
/** Devices whose clock is behind still accept what was signed a moment ago. */
const backdateMs = dayMs;
const serverLifeMs = 397 * dayMs;
const serverRenewalMs = 30 * dayMs;
/** AWS-issued client certificates expire then (developer guide, "x509-client-certs"). */
const endOfTime = new Date("2049-12-31T23:59:59Z");

const identity = v.object({ certificate: v.string(), key: v.string() });
const authoritySchema = v.object({
  format: v.literal(1),
  root: identity,
  claim: identity,
  server: v.object({ ...identity.entries, names: v.array(v.string()) }),
});
type AuthorityDocument = v.InferOutput<typeof authoritySchema>;

/** PEM certificate and PEM PKCS#8 key. */
export type PemIdentity = v.InferOutput<typeof identity>;

export interface IssuedCertificate {
  /** Lower-case hex SHA-256 of the DER, as AWS names certificates. */
  readonly id: string;
  readonly pem: string;
}

/** The AWS certificate id of a DER certificate. */
export function certificateId(der: Uint8Array): string {
  return createHash("sha256").update(der).digest("hex");
}

export interface AuthorityOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  /** Names and addresses of the server certificate beside localhost and 127.0.0.1. */
  readonly serverNames: readonly string[];
}

export class Authority {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #root: x509.X509Certificate;
  readonly #key: CryptoKey;
  #claim: PemIdentity | undefined;
  #server: PemIdentity | undefined;

  private constructor(options: AuthorityOptions, root: x509.X509Certificate, key: CryptoKey) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#root = root;
    this.#key = key;
  }

  /** Reads the authority, or makes one on the first run. @throws CloudError "cloud/damaged-state" */
  static async open(options: AuthorityOptions): Promise<Authority> {
    const stored = await options.store.read(documentName, authoritySchema);
    if (stored === undefined) return Authority.#create(options);
    const path = options.store.path(documentName) ?? documentName;
    let authority: Authority;
    try {
      const key = await importKey(stored.root.key);
      authority = new Authority(options, new x509.X509Certificate(stored.root.certificate), key);
      for (const pem of [stored.claim, stored.server]) {
        new x509.X509Certificate(pem.certificate);
        await importKey(pem.key);
      }
    } catch (cause) {
      throw damaged(path, `a certificate or key in it cannot be read: ${messageOf(cause)}`, cause);
    }
    await authority.#adopt(options, stored);
    return authority;
  }

  static async #create(options: AuthorityOptions): Promise<Authority> {
    const keys = await generateKeys();
    const root = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: newSerial(options.random),
      name: "CN=Skerry Local Root CA",
      notBefore: new Date(options.clock.now() - backdateMs),
      notAfter: endOfTime,
      signingAlgorithm: ecdsa,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(
          x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
          true,
        ),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    const authority = new Authority(options, root, keys.privateKey);
    const claim = await authority.#issueFirstClaim();
    const server = await authority.#issueServer(options.serverNames);
    const stored: AuthorityDocument = {
      format: 1,
      root: { certificate: pemOf(root), key: await exportKey(keys.privateKey) },
      claim,
      server: { ...server, names: [...options.serverNames] },
    };
    await options.store.write(documentName, stored);
    return authority;
  }

  /** Takes over what was stored; a server certificate near its end or for other names is renewed. */
  async #adopt(options: AuthorityOptions, stored: AuthorityDocument): Promise<void> {
    this.#claim = stored.claim;
    this.#server = stored.server;
    const expiresAt = new x509.X509Certificate(stored.server.certificate).notAfter.getTime();
    const sameNames = stored.server.names.join() === options.serverNames.join();
    if (sameNames && expiresAt - options.clock.now() > serverRenewalMs) return;
    const server = await this.#issueServer(options.serverNames);
    await options.store.write(documentName, {
      ...stored,
      server: { ...server, names: [...options.serverNames] },
    });
  }

  /** The root certificate, PEM. */
  get trustAnchor(): string {
    return pemOf(this.#root);
  }

  get claim(): PemIdentity {
    return need(this.#claim);
  }

  get server(): PemIdentity {
    return need(this.#server);
  }

  /**
   * Signs a PKCS#10 request whose own signature holds; its subject and extensions are not taken over.
   *
   * @throws CsrError
   */
  async issueFromCsr(pem: string): Promise<IssuedCertificate> {
    if (pem.length > provisioningLimits.csrCharacters) {
      throw new CsrError(`CSR has ${pem.length} characters, at most 4096 are allowed`);
    }
    return this.#issueDevice(new x509.PublicKey(verifiedKey(pem).slice()));
  }

  /** CreateKeysAndCertificate: AWS makes an RSA-2048 pair and answers with a PKCS#1 key. */
  async issueWithKeys(): Promise<IssuedCertificate & { readonly privateKey: string }> {
    const pair = await promisify(generateKeyPair)("rsa", {
      modulusLength: 2048,
      publicKeyEncoding: { type: "spki", format: "der" },
      privateKeyEncoding: { type: "pkcs1", format: "pem" },
    });
    const issued = await this.#issueDevice(new x509.PublicKey(new Uint8Array(pair.publicKey)));
    return { ...issued, privateKey: pair.privateKey };
  }

  /** A certificate with its key, P-256 and PKCS#8, for whoever asks on a device's behalf. */
  async issueClaim(notAfter: Date): Promise<PemIdentity & { readonly id: string }> {
    const keys = await generateKeys();
    const publicKey = await x509.PublicKey.create(keys.publicKey);
    const certificate = await this.#sign("CN=AWS IoT Certificate", publicKey, notAfter, []);
    return {
      id: certificateId(new Uint8Array(certificate.rawData)),
      certificate: pemOf(certificate),
      key: await exportKey(keys.privateKey),
    };
  }

  async #issueDevice(publicKey: x509.PublicKey): Promise<IssuedCertificate> {
    const certificate = await this.#sign("CN=AWS IoT Certificate", publicKey, endOfTime, []);
    return { id: certificateId(new Uint8Array(certificate.rawData)), pem: pemOf(certificate) };
  }

  async #issueFirstClaim(): Promise<PemIdentity> {
    const { certificate, key } = await this.issueClaim(endOfTime);
    this.#claim = { certificate, key };
    return this.#claim;
  }

  async #issueServer(extraNames: readonly string[]): Promise<PemIdentity> {
    const keys = await generateKeys();
    const publicKey = await x509.PublicKey.create(keys.publicKey);
    const names = ["localhost", "127.0.0.1", ...extraNames];
    const certificate = await this.#sign(
      "CN=Skerry Local Cloud",
      publicKey,
      new Date(this.#clock.now() + serverLifeMs),
      [
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(
          names.map(value => ({ type: isIP(value) ? ("ip" as const) : ("dns" as const), value })),
        ),
      ],
    );
    this.#server = { certificate: pemOf(certificate), key: await exportKey(keys.privateKey) };
    return this.#server;
  }

  async #sign(
    subject: string,
    publicKey: x509.PublicKey,
    notAfter: Date,
    extensions: readonly x509.Extension[],
  ): Promise<x509.X509Certificate> {
    return x509.X509CertificateGenerator.create({
      serialNumber: newSerial(this.#random),
      subject,
      issuer: this.#root.subjectName,
      notBefore: new Date(this.#clock.now() - backdateMs),
      notAfter,
      publicKey,
      signingKey: this.#key,
      signingAlgorithm: ecdsa,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        await x509.SubjectKeyIdentifierExtension.create(publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(this.#root.publicKey),
        ...extensions,
      ],
    });
  }
}

/** 20 bytes, positive, no leading zero (RFC 5280 4.1.2.2). */
function newSerial(random: Random): string {
  const hex = randomHex(random, 19);
  return `40${hex}`;
}

function pemOf(certificate: x509.X509Certificate): string {
  return `${certificate.toString("pem")}\n`;
}

async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ecdsa, true, ["sign", "verify"]);
}

async function exportKey(key: CryptoKey): Promise<string> {
  const der = await webcrypto.subtle.exportKey("pkcs8", key);
  return `${x509.PemConverter.encode(der, "PRIVATE KEY")}\n`;
}

async function importKey(pem: string): Promise<CryptoKey> {
  const der = x509.PemConverter.decodeFirst(pem);
  return webcrypto.subtle.importKey("pkcs8", der, ecdsa, false, ["sign"]);
}

function need<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("the authority is not open yet");
  return value;
}
