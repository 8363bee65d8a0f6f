// Certificates that are not what X.690 and RFC 5280 ask for, each in one place; all are signed by the right key.
import { bitString, element, objectIdentifier, tag } from "../../src/trust/der.js";
import { concat, toUtf8 } from "../../src/util/bytes.js";
import type { Outcome, Vector } from "./judge.js";
import {
  algorithmOf,
  authority,
  extension,
  integer,
  sequence,
  unknownHarmless,
  usage,
  yes,
} from "./maker.js";
import {
  issued,
  leafBy,
  middle,
  type Options,
  root,
  rootOf,
  san,
  server,
  vector,
} from "./vectors.js";

type Rest = Parameters<typeof leafBy>[2];
const bytes = (...octets: readonly number[]) => Uint8Array.from(octets);
const time = (text: string, kind: number = tag.utcTime) => element(kind, toUtf8(text));
const until = (...end: Parameters<typeof time>) => sequence(time("250101000000Z"), time(...end));
const generalized = (text: string) => until(text, tag.generalizedTime);

/** The element with its length told in one octet more than needed. */
function stretched(der: Uint8Array): Uint8Array {
  const length = der[1]!;
  const octets = length < 0x80 ? [0x81, length] : [length + 1, 0];
  return concat([der.subarray(0, 1), Uint8Array.from(octets), der.subarray(length < 0x80 ? 2 : 2)]);
}

function unended(der: Uint8Array): Uint8Array {
  const start = der[1]! < 0x80 ? 2 : 2 + (der[1]! & 0x7f);
  return concat([bytes(der[0]!, 0x80), der.subarray(start), bytes(0, 0)]);
}

const named = (name: Uint8Array) =>
  sequence(element(tag.set, sequence(objectIdentifier(2, 5, 4, 3), name)));

export function derVectors(): Vector[] {
  const options: Options = { apart: "reads it more generously" };
  const leaf = leafBy(root);
  const whole = (title: string, der: Uint8Array) =>
    vector(`DER: ${title}`, "trust/certificate", [der], options);
  const made = (title: string, rest: Rest, expected: Outcome = "trust/certificate") =>
    vector(`DER: ${title}`, expected, [leafBy(root, [], rest)], options);
  const extended = (title: string, ...extensions: readonly Uint8Array[]) =>
    vector(`DER: ${title}`, "trust/certificate", [leafBy(root, extensions)], options);
  const basic = (value: Uint8Array) => extension([2, 5, 29, 19], value, true);
  const usageBits = (...octets: readonly number[]) =>
    extension([2, 5, 29, 15], element(tag.bitString, Uint8Array.from(octets)));
  const point = server.publicKeyInfo.slice(-65);
  const ecKey = (key: Uint8Array) =>
    sequence(
      sequence(
        objectIdentifier(1, 2, 840, 10045, 2, 1),
        objectIdentifier(1, 2, 840, 10045, 3, 1, 7),
      ),
      bitString(key),
    );
  const flagged = (flag: Uint8Array) =>
    sequence(objectIdentifier(1, 2, 3, 4), flag, element(tag.octetString, element(tag.null)));
  return [
    whole("a byte behind it", Uint8Array.of(...leaf, 0)),
    whole("nothing", bytes()),
    whole("length in too many octets", stretched(leaf)),
    whole("no length", unended(leaf)),
    vector("DER: an anchor of 20,000 bytes", "trust/certificate", [leaf], {
      anchors: [rootOf(root, { extensions: [extension([1, 2, 3, 6], new Uint8Array(20_000))] })],
      apart: "has no such bound",
    }),
    made("version 1", { version: bytes() }),
    made("version 2", { version: element(0xa0, integer(1)) }),
    made("version 4", { version: element(0xa0, integer(3)) }),
    made("serial number with a zero too many", { serial: integer(0, 1) }),
    made("serial number without octets", { serial: integer() }),
    made("serial number of 22 octets", { serial: integer(...new Uint8Array(22).fill(1)) }),
    made("inner and outer algorithm differ", {
      outerAlgorithm: algorithmOf(root, { hash: "SHA-384" }),
    }),
    made("signature with unused bits", {
      sealed: signature => element(tag.bitString, bytes(1), signature),
    }),
    made("time without seconds", { validity: until("4501010000Z") }),
    made("time with a zone", { validity: until("450101000000+0000") }),
    made("time with a fraction", { validity: generalized("20510101000000.5Z") }),
    made("30 February", { validity: until("450230000000Z") }),
    made("29 February of no leap year", { validity: until("450229000000Z") }),
    made("month 13", { validity: until("451301000000Z") }),
    made("hour 24", { validity: until("450101240000Z") }),
    made("second 60", { validity: until("450101000060Z") }),
    made("GeneralizedTime before 2050", { validity: generalized("20450101000000Z") }),
    made("GeneralizedTime from 2050 on", { validity: generalized("20520229000000Z") }, "accepted"),
    made("the time without end", { validity: generalized("99991231235959Z") }, "accepted"),
    made("validity of three times", {
      validity: sequence(time("250101000000Z"), time("450101000000Z"), time("450101000000Z")),
    }),
    made("a name that is a string", { subjectName: element(tag.utf8String, toUtf8("x")) }),
    made("a name with an empty set", { subjectName: sequence(element(tag.set)) }),
    made("an identifier that begins with 0x80", {
      subjectName: sequence(
        element(tag.set, sequence(element(tag.objectIdentifier, bytes(0x55, 0x80, 1)), integer(1))),
      ),
    }),
    made("a tag of several octets", { subjectName: named(bytes(0x1f, 0x81, 0x01, 0)) }),
    made("an empty subject", { subjectName: sequence() }, "accepted"),
    extended("an extension twice", san),
    extended("a harmless extension twice", unknownHarmless, unknownHarmless),
    extended("a flag that is neither true nor false", flagged(element(tag.boolean, bytes(1)))),
    extended("a flag that tells its default", flagged(element(tag.boolean, bytes(0)))),
    extended("path length without authority", basic(sequence(integer(1)))),
    extended("path length below zero", basic(sequence(yes, integer(0xff)))),
    extended("path length above 255", basic(sequence(yes, integer(1, 0)))),
    extended("basic constraints with more", basic(sequence(yes, integer(1), integer(1)))),
    extended("basic constraints twice over", basic(concat([sequence(), sequence()]))),
    extended("key usage without bits", usageBits(0)),
    extended("key usage with a zero at the end", usageBits(0, 0x80)),
    extended("key usage with bits that are unused", usageBits(4, 0x9f)),
    extended("key usage of three octets", usageBits(0, 0x80, 0x80, 1)),
    extended("no purposes", extension([2, 5, 29, 37], sequence())),
    vector(
      "DER: no alternative names",
      "trust/certificate",
      [leafOf(extension([2, 5, 29, 17], sequence()))],
      options,
    ),
    vector(
      "DER: an alternative name of no kind",
      "trust/certificate",
      [leafOf(extension([2, 5, 29, 17], sequence(element(0x89, toUtf8("a")))))],
      options,
    ),
    extended("name constraints without any", extension([2, 5, 29, 30], sequence(), true)),
    made(
      "a compressed point",
      { publicKeyInfo: ecKey(concat([bytes(2 + (point[64]! & 1)), point.subarray(1, 33)])) },
      "trust/algorithm",
    ),
    made("a point too short", { publicKeyInfo: ecKey(point.subarray(0, 64)) }, "trust/algorithm"),
    made("a key with bytes behind it", {
      publicKeyInfo: sequence(server.publicKeyInfo.subarray(2), integer(1)),
    }),
    vector(
      "DER: an intermediate whose key is off the curve",
      "trust/signature",
      [
        leafBy(middle),
        issued(root, middle, [authority(), usage(0x04)], {
          publicKeyInfo: ecKey(point.map((octet, i) => (i === 64 ? octet ^ 1 : octet))),
        }),
      ],
      options,
    ),
  ];
}

function leafOf(names: Uint8Array): Uint8Array {
  return issued(root, server, [names]);
}
