// The extensions of a certificate that path validation knows (RFC 5280 4.2.1).
import { tag } from "./der.js";
import { DerReader } from "./der-reader.js";

export interface GeneralName {
  /** Its context tag: 2 a DNS name, 4 a directory name, 7 an address. */
  readonly kind: number;
  readonly value: Uint8Array;
}

export interface NameConstraints {
  /** For `someSubtree`; undefined when there are none. */
  readonly permitted: Uint8Array | undefined;
  readonly excluded: Uint8Array | undefined;
}

export interface Extensions {
  readonly isAuthority: boolean;
  /** Authorities that may stand between this one and the leaf; undefined: any number. */
  readonly pathLength: number | undefined;
  /** Bit 0 as 0x8000; undefined when the extension is absent. */
  readonly keyUsage: number | undefined;
  /** Object identifiers in hexadecimal; undefined when the extension is absent. */
  readonly purposes: readonly string[] | undefined;
  /** For `someName`; undefined when the extension is absent. */
  readonly alternativeNames: Uint8Array | undefined;
  readonly nameConstraints: NameConstraints | undefined;
  /** Identifier of a critical extension that is not among the above. */
  readonly unknownCritical: string | undefined;
}

type Draft = { -readonly [Name in keyof Extensions]: Extensions[Name] };

export const keyUsage = Object.freeze({ digitalSignature: 0x8000, keyCertSign: 0x0400 });
export const nameKind = Object.freeze({ dns: 2, directory: 4, address: 7 });

/** Bounds what one certificate may cost. */
const maxExtensions = 32;
const maxPurposes = 16;

/**
 * @param outer  inside the tag [3]; undefined when there are none
 * @throws       AgentError "trust/der"
 */
export function parseExtensions(outer: DerReader | undefined): Extensions {
  const draft: Draft = {
    isAuthority: false,
    pathLength: undefined,
    keyUsage: undefined,
    purposes: undefined,
    alternativeNames: undefined,
    nameConstraints: undefined,
    unknownCritical: undefined,
  };
  if (outer === undefined) return draft;
  const list = outer.enter(tag.sequence);
  outer.end();
  const seen: string[] = [];
  do {
    const extension = list.enter(tag.sequence);
    const identifier = extension.identifier();
    const isCritical = extension.flag();
    const { content } = extension.next(tag.octetString);
    extension.end();
    if (seen.includes(identifier)) throw list.error(`extension ${identifier} twice`);
    if (seen.push(identifier) > maxExtensions) throw list.error("too many extensions");
    const reader = new DerReader(content, `extension ${identifier}`);
    if (take(draft, identifier, reader)) reader.end();
    else if (isCritical) draft.unknownCritical ??= identifier;
  } while (!list.isAtEnd);
  return draft;
}

/** @returns whether the extension is known; what is not has not been read. */
function take(draft: Draft, identifier: string, reader: DerReader): boolean {
  switch (identifier) {
    case "551d13":
      takeBasicConstraints(draft, reader.enter(tag.sequence));
      return true;
    case "551d0f":
      draft.keyUsage = reader.namedBits();
      return true;
    case "551d25":
      draft.purposes = parsePurposes(reader.enter(tag.sequence));
      return true;
    case "551d11":
      draft.alternativeNames = reader.next(tag.sequence).content;
      check(draft.alternativeNames, parseGeneralName);
      return true;
    case "551d1e":
      draft.nameConstraints = parseNameConstraints(reader.enter(tag.sequence));
      return true;
    default:
      return false;
  }
}

function takeBasicConstraints(draft: Draft, reader: DerReader): void {
  draft.isAuthority = reader.flag();
  if (!reader.isAtEnd) draft.pathLength = reader.small();
  reader.end();
  if (draft.pathLength !== undefined && !draft.isAuthority) {
    throw reader.error("path length without authority");
  }
}

function parsePurposes(reader: DerReader): string[] {
  const purposes: string[] = [];
  do {
    if (purposes.push(reader.identifier()) > maxPurposes) throw reader.error("too many purposes");
  } while (!reader.isAtEnd);
  return purposes;
}

type Parse = (reader: DerReader) => GeneralName;

/** There may be thousands: they are read one by one, here for their form, later when they are asked for, and never kept. */
function check(content: Uint8Array, parse: Parse): void {
  if (content.length === 0) throw new DerReader(content, "names").error("there are none");
  someOf(content, parse, () => false);
}

function someOf(content: Uint8Array | undefined, parse: Parse, is: (name: GeneralName) => boolean) {
  if (content === undefined) return false;
  const reader = new DerReader(content, "names");
  while (!reader.isAtEnd) if (is(parse(reader))) return true;
  return false;
}

/** Whether it is so for one of the alternative names. */
export function someName(
  names: Extensions["alternativeNames"],
  is: (name: GeneralName) => boolean,
): boolean {
  return someOf(names, parseGeneralName, is);
}

/** Whether it is so for one of the subtrees of a constraint. */
export function someSubtree(
  subtrees: NameConstraints["permitted"],
  is: (base: GeneralName) => boolean,
): boolean {
  return someOf(subtrees, parseSubtree, is);
}

function parseGeneralName(reader: DerReader): GeneralName {
  const { tag: found, content } = reader.next();
  const kind = found & 0x1f;
  // Constructed are other name, X.400, directory name and EDI party; the rest are strings.
  const isConstructed = kind === 0 || (kind >= 3 && kind <= 5);
  if (kind > 8 || found !== (isConstructed ? 0xa0 : 0x80) + kind) {
    throw reader.error(`general name with tag 0x${found.toString(16)}`);
  }
  if (kind === nameKind.directory) {
    const name = reader.inside(content);
    parseName(name);
    name.end();
  }
  return { kind, value: content };
}

function parseNameConstraints(reader: DerReader): NameConstraints {
  const permitted = reader.optional(0xa0)?.content;
  const excluded = reader.optional(0xa1)?.content;
  reader.end();
  if (permitted === undefined && excluded === undefined) throw reader.error("no name constraints");
  for (const subtrees of [permitted, excluded]) {
    if (subtrees !== undefined) check(subtrees, parseSubtree);
  }
  return { permitted, excluded };
}

/** Minimum and maximum are not used. @see RFC 5280 4.2.1.10 */
function parseSubtree(reader: DerReader): GeneralName {
  const subtree = reader.enter(tag.sequence);
  const base = parseGeneralName(subtree);
  subtree.end();
  if (base.kind === nameKind.address && !isRange(base.value)) throw reader.error("address range");
  return base;
}

/** Address and mask, the mask ones and then zeros. */
function isRange(value: Uint8Array): boolean {
  if (value.length !== 8 && value.length !== 32) return false;
  let isOver = false;
  for (const octet of value.subarray(value.length / 2)) {
    for (let bit = 0x80; bit > 0; bit >>= 1) {
      if ((octet & bit) === 0) isOver = true;
      else if (isOver) return false;
    }
  }
  return true;
}

/** @returns the Name as encoded. @see RFC 5280 4.1.2.4 */
export function parseName(reader: DerReader): Uint8Array {
  const { content, encoded } = reader.next(tag.sequence);
  const parts = reader.inside(content);
  while (!parts.isAtEnd) {
    const attributes = parts.enter(tag.set);
    do {
      const attribute = attributes.enter(tag.sequence);
      attribute.identifier();
      attribute.next();
      attribute.end();
    } while (!attributes.isAtEnd);
  }
  return encoded;
}
