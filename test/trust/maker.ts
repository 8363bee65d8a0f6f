// Certificates for tests, made element by element so that each can be wrong in one place.
import { constants, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import type { HashName } from "../../src/host.js";
import { bitString, element, objectIdentifier, tag } from "../../src/trust/der.js";
import { concat, toUtf8 } from "../../src/util/bytes.js";

export type KeyKind =
  | "p256"
  | "p384"
  | "p521"
  | "rsa"
  | "rsa1024"
  | "rsa2047"
  | "rsa2049"
  | "rsa3072"
  | "rsa4096"
  | "rsa5120"
  | "rsa3";

export interface Party {
  readonly name: string;
  readonly key: KeyObject;
  readonly publicKeyInfo: Uint8Array;
}

export interface Scheme {
  readonly hash: HashName | "SHA-1";
  readonly isPss?: boolean;
  /** Of PSS; the digest's length unless told. */
  readonly salt?: number;
  /** Of PSS: the mask's, as the algorithm names it; the message's unless told. */
  readonly maskHash?: HashName;
}

export interface Contents {
  readonly issuer: Party;
  readonly subject: Party;
  readonly notBefore?: string;
  readonly notAfter?: string;
  readonly extensions?: readonly Uint8Array[];
  readonly scheme?: Scheme;
  /** Elements in the place of those that would be made. */
  readonly version?: Uint8Array;
  readonly serial?: Uint8Array;
  readonly validity?: Uint8Array;
  readonly subjectName?: Uint8Array;
  readonly publicKeyInfo?: Uint8Array;
  readonly outerAlgorithm?: Uint8Array;
  /** Makes the BIT STRING. */
  readonly sealed?: (signature: Uint8Array) => Uint8Array;
}

const nothing = new Uint8Array(0);
export const yes = element(tag.boolean, Uint8Array.of(0xff));
export const sequence = (...parts: readonly Uint8Array[]) => element(tag.sequence, ...parts);
export const integer = (...octets: readonly number[]) =>
  element(tag.integer, Uint8Array.from(octets));

function keyPair(kind: KeyKind) {
  switch (kind) {
    case "p256":
      return generateKeyPairSync("ec", { namedCurve: "P-256" });
    case "p384":
      return generateKeyPairSync("ec", { namedCurve: "P-384" });
    case "p521":
      return generateKeyPairSync("ec", { namedCurve: "P-521" });
    default: {
      // The size stands in the name, except for the exponent 3.
      const modulusLength = Number(/\d{4}/.exec(kind) ?? 2048);
      return generateKeyPairSync("rsa", {
        modulusLength,
        publicExponent: kind === "rsa3" ? 3 : 65537,
      });
    }
  }
}

export function party(name: string, kind: KeyKind = "p256"): Party {
  const { privateKey, publicKey } = keyPair(kind);
  const publicKeyInfo = new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
  return { name, key: privateKey, publicKeyInfo };
}

/** The same key under another name. */
export function renamed(original: Party, name: string): Party {
  return { ...original, name };
}

/** @returns PKCS#8, DER */
export function pkcs8Of({ key }: Party): Uint8Array {
  return new Uint8Array(key.export({ type: "pkcs8", format: "der" }));
}

const hashArcs = { "SHA-256": 1, "SHA-384": 2, "SHA-512": 3 } as const;

export function algorithmOf({ key }: Party, { hash, isPss, salt, maskHash }: Scheme): Uint8Array {
  if (hash === "SHA-1") {
    return key.asymmetricKeyType === "ec"
      ? sequence(objectIdentifier(1, 2, 840, 10045, 4, 1))
      : sequence(objectIdentifier(1, 2, 840, 113549, 1, 1, 5), element(tag.null));
  }
  const arc = hashArcs[hash];
  if (key.asymmetricKeyType === "ec") {
    return sequence(objectIdentifier(1, 2, 840, 10045, 4, 3, arc + 1));
  }
  if (isPss === true) {
    const mask = maskHash === undefined ? arc : hashArcs[maskHash];
    return pssAlgorithm(arc, mask, salt ?? 16 * (arc + 1));
  }
  return sequence(objectIdentifier(1, 2, 840, 113549, 1, 1, 10 + arc), element(tag.null));
}

function pssAlgorithm(arc: number, mask: number, salt: number): Uint8Array {
  const hashOf = (last: number) =>
    sequence(objectIdentifier(2, 16, 840, 1, 101, 3, 4, 2, last), element(tag.null));
  const mgf1 = objectIdentifier(1, 2, 840, 113549, 1, 1, 8);
  return sequence(
    objectIdentifier(1, 2, 840, 113549, 1, 1, 10),
    sequence(
      element(0xa0, hashOf(arc)),
      element(0xa1, sequence(mgf1, hashOf(mask))),
      element(0xa2, integer(salt)),
    ),
  );
}

/** SubjectPublicKeyInfo of an RSA key with these contents of its two INTEGERs. */
export function rsaKeyInfo(
  modulus: Uint8Array,
  exponent: Uint8Array,
  parameters: Uint8Array = element(tag.null),
): Uint8Array {
  return sequence(
    sequence(objectIdentifier(1, 2, 840, 113549, 1, 1, 1), parameters),
    bitString(sequence(element(tag.integer, modulus), element(tag.integer, exponent))),
  );
}

function signBody(body: Uint8Array, { key }: Party, { hash, isPss, salt }: Scheme): Uint8Array {
  const name = hash.replace("-", "").toLowerCase();
  if (isPss !== true) return new Uint8Array(sign(name, body, key));
  const saltLength = salt ?? constants.RSA_PSS_SALTLEN_DIGEST;
  const options = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
  return new Uint8Array(sign(name, body, options));
}

/** Signed by the issuer over SHA-256 unless told; valid from 2025 to 2045 unless told. */
export function certificate(contents: Contents): Uint8Array {
  const { issuer, subject, extensions = [] } = contents;
  const scheme = contents.scheme ?? { hash: "SHA-256" };
  const algorithm = algorithmOf(issuer, scheme);
  const validity = sequence(
    element(tag.utcTime, toUtf8(contents.notBefore ?? "250101000000Z")),
    element(tag.utcTime, toUtf8(contents.notAfter ?? "450101000000Z")),
  );
  const body = sequence(
    contents.version ?? element(0xa0, integer(2)),
    contents.serial ?? integer(1 + Math.floor(Math.random() * 127)),
    algorithm,
    nameOf(issuer.name),
    contents.validity ?? validity,
    contents.subjectName ?? nameOf(subject.name),
    contents.publicKeyInfo ?? subject.publicKeyInfo,
    extensions.length === 0 ? nothing : element(0xa3, sequence(...extensions)),
  );
  const signature = signBody(body, issuer, scheme);
  const sealed = (contents.sealed ?? bitString)(signature);
  return sequence(body, contents.outerAlgorithm ?? algorithm, sealed);
}

export function nameOf(name: string): Uint8Array {
  if (name === "") return sequence();
  const attribute = sequence(objectIdentifier(2, 5, 4, 3), element(tag.utf8String, toUtf8(name)));
  return sequence(element(tag.set, attribute));
}

export function extension(
  arcs: readonly number[],
  value: Uint8Array,
  isCritical = false,
): Uint8Array {
  const flag = isCritical ? yes : nothing;
  return sequence(objectIdentifier(...arcs), flag, element(tag.octetString, value));
}

export function authority(pathLength?: number): Uint8Array {
  const bound = pathLength === undefined ? nothing : integer(pathLength);
  return extension([2, 5, 29, 19], sequence(yes, bound), true);
}

export const noAuthority = extension([2, 5, 29, 19], sequence(), true);

/** @param bits first octet: 0x80 digitalSignature, 0x04 keyCertSign */
export function usage(bits: number): Uint8Array {
  const unused = 31 - Math.clz32(bits & -bits);
  return extension([2, 5, 29, 15], element(tag.bitString, Uint8Array.of(unused, bits)), true);
}

/** @param arcs last arcs below id-kp: 1 server, 2 client, 3 code */
export function purpose(...arcs: readonly number[]): Uint8Array {
  const identifiers = arcs.map(arc => objectIdentifier(1, 3, 6, 1, 5, 5, 7, 3, arc));
  return extension([2, 5, 29, 37], sequence(...identifiers));
}

export const anyPurpose = extension([2, 5, 29, 37], sequence(objectIdentifier(2, 5, 29, 37, 0)));

export type Name = string | Uint8Array;
const generalName = (value: Name) =>
  typeof value === "string" ? element(0x82, toUtf8(value)) : element(0x87, value);

/** DNS names, or addresses as bytes. */
export function names(...values: readonly Name[]): Uint8Array {
  return extension([2, 5, 29, 17], sequence(concat(values.map(generalName))));
}

export const directory = (name: string) => element(0xa4, nameOf(name));

/** @param values DNS names, address ranges as bytes, or whole general names when `isRaw` */
export function constraints(
  permitted: readonly Name[],
  excluded: readonly Name[] = [],
  isRaw = false,
): Uint8Array {
  const subtrees = (context: number, bases: readonly Name[]) =>
    bases.length === 0
      ? nothing
      : element(
          context,
          ...bases.map(base => sequence(isRaw ? (base as Uint8Array) : generalName(base))),
        );
  const value = sequence(subtrees(0xa0, permitted), subtrees(0xa1, excluded));
  return extension([2, 5, 29, 30], value, true);
}

export const unknownCritical = extension([1, 2, 3, 4], element(tag.null), true);
export const unknownHarmless = extension([1, 2, 3, 5], element(tag.null));
