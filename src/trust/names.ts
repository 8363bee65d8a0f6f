// Whether a certificate is for a name, and whether an authority may issue for it (RFC 6125, RFC 5280 4.2.1.10).
import { isEqual, toUtf8 } from "../util/bytes.js";
import type { Certificate } from "./certificate.js";
import {
  type GeneralName,
  type NameConstraints,
  nameKind,
  someName,
  someSubtree,
} from "./extensions.js";

const dot = 0x2e;
const star = 0x2a;

/** @param serverName DNS name in ASCII, or address as text; the subject's common name never counts. */
export function isNamed({ alternativeNames }: Certificate, serverName: string): boolean {
  const address = parseAddress(serverName);
  if (address !== undefined) {
    return someName(
      alternativeNames,
      ({ kind, value }) => kind === nameKind.address && isEqual(value, address),
    );
  }
  const wanted = lower(toUtf8(serverName));
  if (!isHostName(wanted)) return false;
  return someName(
    alternativeNames,
    ({ kind, value }) => kind === nameKind.dns && isMatch(lower(value), wanted),
  );
}

/** A wildcard stands for exactly one whole label, the left-most, and only above two others. @see RFC 6125 6.4.3 */
function isMatch(pattern: Uint8Array, name: Uint8Array): boolean {
  if (pattern[0] !== star) return isEqual(pattern, name);
  const parent = pattern.subarray(1);
  if (parent[0] !== dot || parent.indexOf(dot, 1) < 0 || parent.includes(star)) return false;
  const label = name.indexOf(dot);
  return label > 0 && isEqual(parent, name.subarray(label));
}

/** Labels of letters, digits, hyphen and underscore, none empty; no wildcard. */
function isHostName(name: Uint8Array): boolean {
  let previous = dot;
  for (const octet of name) {
    const isLetter = octet >= 0x61 && octet <= 0x7a;
    const isOther = (octet >= 0x30 && octet <= 0x39) || octet === 0x2d || octet === 0x5f;
    if (!isLetter && !isOther && (octet !== dot || previous === dot)) return false;
    previous = octet;
  }
  return previous !== dot;
}

/**
 * The names of `certificate` against what an authority above it allows. Kinds other than DNS name, address and permitted
 * directory name are not told apart: a constraint on one refuses every name of it.
 *
 * @param spend  called before each comparison; what it throws ends them
 */
export function isWithin(
  { alternativeNames, subject }: Certificate,
  { permitted, excluded }: NameConstraints,
  spend: () => void,
): boolean {
  const isRefused = (name: GeneralName): boolean => {
    let isLimited = false;
    const isPermitted = someSubtree(permitted, base => {
      spend();
      if (base.kind !== name.kind) return false;
      isLimited = true;
      return isUnder(name, base);
    });
    if (isLimited && !isPermitted) return true;
    return someSubtree(excluded, base => {
      spend();
      return base.kind === name.kind && isTouched(name, base);
    });
  };
  const isEmpty = subject.length === 2;
  if (!isEmpty && isRefused({ kind: nameKind.directory, value: subject })) return false;
  return !someName(alternativeNames, isRefused);
}

/** Whether all that `name` stands for is in the subtree. */
function isUnder(name: GeneralName, base: GeneralName): boolean {
  switch (name.kind) {
    case nameKind.dns:
      return isSubdomain(lower(name.value), lower(base.value));
    case nameKind.address:
      return isInRange(name.value, base.value);
    case nameKind.directory:
      return isPrefix(contentOf(base.value), contentOf(name.value));
    default:
      return false;
  }
}

/** Whether anything that `name` stands for is in the subtree; true where that cannot be told. */
function isTouched(name: GeneralName, base: GeneralName): boolean {
  if (name.kind === nameKind.address) return isInRange(name.value, base.value);
  if (name.kind !== nameKind.dns) return true;
  const [domain, root] = [lower(name.value), lower(base.value)];
  return isSubdomain(domain, root) || (domain[0] === star && isMatch(domain, root));
}

/** The domain itself and all below it; with a dot in front only what is below it. */
function isSubdomain(name: Uint8Array, root: Uint8Array): boolean {
  const rest = name.length - root.length;
  if (root.length === 0) return true;
  if (rest < 0 || !isEqual(name.subarray(rest), root)) return false;
  return root[0] === dot ? rest > 0 : rest === 0 || name[rest - 1] === dot;
}

/** @param range address, then mask */
function isInRange(address: Uint8Array, range: Uint8Array): boolean {
  const size = range.length / 2;
  if (address.length !== size) return false;
  return address.every((octet, i) => ((octet ^ range[i]!) & range[size + i]!) === 0);
}

/** Content of a SEQUENCE that has been read before. */
function contentOf(encoded: Uint8Array): Uint8Array {
  const length = encoded[1] ?? 0;
  return encoded.subarray(length < 0x80 ? 2 : 2 + (length & 0x7f));
}

/** Whole attributes, since each begins with its own length. */
function isPrefix(start: Uint8Array, whole: Uint8Array): boolean {
  return isEqual(start, whole.subarray(0, start.length));
}

function lower(text: Uint8Array): Uint8Array {
  return text.map(octet => (octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet));
}

/** IPv4 in dotted decimal or IPv6 as RFC 4291 2.2 writes it; undefined for anything else. */
export function parseAddress(text: string): Uint8Array | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every(part => /^(0|[1-9][0-9]{0,2})$/.test(part))) {
    return undefined;
  }
  const octets = parts.map(Number);
  return octets.every(octet => octet < 256) ? Uint8Array.from(octets) : undefined;
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map((half, index) => groupsOf(half, index === halves.length - 1));
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  const rest = tail ?? [];
  const missing = 16 - head.length - rest.length;
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined;
  return Uint8Array.from([...head, ...new Uint8Array(missing), ...rest]);
}

/** Octets of groups between colons; the last one may be an IPv4 address. */
function groupsOf(text: string, isLast: boolean): number[] | undefined {
  const octets: number[] = [];
  if (text === "") return octets;
  const groups = text.split(":");
  for (const [index, group] of groups.entries()) {
    const embedded = isLast && index === groups.length - 1 ? parseIpv4(group) : undefined;
    if (embedded !== undefined) octets.push(...embedded);
    else if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
      const value = Number.parseInt(group, 16);
      octets.push(value >> 8, value & 255);
    } else return undefined;
  }
  return octets;
}
