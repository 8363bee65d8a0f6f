// Certificates for tests, made element by element so that each can be wrong in one place.
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { bitString, element, objectIdentifier, tag } from "../../../src/trust/der.js";
import { concat, toUtf8 } from "../../../src/util/bytes.js";

export interface Party {
  readonly name: string;
  readonly key: KeyObject;
  readonly publicKeyInfo: Uint8Array;
}

export interface Contents {
  readonly issuer: Party;
  readonly subject: Party;
  readonly notBefore?: string;
  readonly notAfter?: string;
  readonly extensions?: readonly Uint8Array[];
}

export function party(name: string, kind: "ec" | "rsa" = "ec"): Party {
  const { privateKey, publicKey } =
    kind === "ec"
      ? generateKeyPairSync("ec", { namedCurve: "P-256" })
      : generateKeyPairSync("rsa", { modulusLength: 2048 });
  return {
    name,
    key: privateKey,
    publicKeyInfo: publicKey.export({ type: "spki", format: "der" }),
  };
}

/** Signed by the issuer over SHA-256; valid from 2025 to 2045 unless told. */
export function certificate({ issuer, subject, ...rest }: Contents): Uint8Array {
  const algorithm =
    issuer.key.asymmetricKeyType === "ec"
      ? element(tag.sequence, objectIdentifier(1, 2, 840, 10045, 4, 3, 2))
      : element(tag.sequence, objectIdentifier(1, 2, 840, 113549, 1, 1, 11), element(0x05));
  const body = element(
    tag.sequence,
    element(0xa0, element(tag.integer, Uint8Array.of(2))),
    element(tag.integer, Uint8Array.of(1)),
    algorithm,
    nameOf(issuer),
    element(
      tag.sequence,
      element(0x17, toUtf8(rest.notBefore ?? "250101000000Z")),
      element(0x17, toUtf8(rest.notAfter ?? "450101000000Z")),
    ),
    nameOf(subject),
    subject.publicKeyInfo,
    element(0xa3, element(tag.sequence, ...(rest.extensions ?? []))),
  );
  return element(tag.sequence, body, algorithm, bitString(sign("sha256", body, issuer.key)));
}

function nameOf({ name }: Party): Uint8Array {
  const attribute = element(
    tag.sequence,
    objectIdentifier(2, 5, 4, 3),
    element(tag.utf8String, toUtf8(name)),
  );
  return element(tag.sequence, element(tag.set, attribute));
}

const yes = element(0x01, Uint8Array.of(0xff));

function extension(arcs: readonly number[], value: Uint8Array, critical = false): Uint8Array {
  const flag = critical ? yes : new Uint8Array(0);
  return element(tag.sequence, objectIdentifier(...arcs), flag, element(tag.octetString, value));
}

export function authority(pathLength?: number): Uint8Array {
  const bound =
    pathLength === undefined ? new Uint8Array(0) : element(tag.integer, Uint8Array.of(pathLength));
  return extension([2, 5, 29, 19], element(tag.sequence, yes, bound), true);
}

/** @param bits first octet: 0x80 digitalSignature, 0x04 keyCertSign */
export function keyUsage(bits: number): Uint8Array {
  return extension([2, 5, 29, 15], element(tag.bitString, Uint8Array.of(0, bits)), true);
}

/** @param purpose last arc below id-kp: 1 server, 2 client */
export function purpose(arc: number): Uint8Array {
  const identifier = objectIdentifier(1, 3, 6, 1, 5, 5, 7, 3, arc);
  return extension([2, 5, 29, 37], element(tag.sequence, identifier));
}

/** DNS names, or addresses as bytes. */
export function names(...values: readonly (string | Uint8Array)[]): Uint8Array {
  const list = values.map(value =>
    typeof value === "string" ? element(0x82, toUtf8(value)) : element(0x87, value),
  );
  return extension([2, 5, 29, 17], element(tag.sequence, concat(list)));
}

export const unknownCritical = extension([1, 2, 3, 4], element(0x05), true);

/** The same key under another name. */
export function renamed(original: Party, name: string): Party {
  return { ...original, name };
}

/** @returns PKCS#8, DER */
export function pkcs8Of({ key }: Party): Uint8Array {
  return new Uint8Array(key.export({ type: "pkcs8", format: "der" }) as Buffer);
}
