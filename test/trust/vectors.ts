// Questions to path validation: right ones, and ones that are wrong in one place, each with the reason it has to be refused for.
import type { Outcome, Vector } from "./judge.js";
import {
  anyPurpose,
  authority,
  certificate,
  names,
  noAuthority,
  type Party,
  party,
  purpose,
  renamed,
  unknownCritical,
  unknownHarmless,
  usage,
} from "./maker.js";

export const now = Date.UTC(2026, 0, 1);
export const serverName = "thing.example.com";

/** Keys are slow to make: one for each role. */
export const root = party("root");
export const other = party("other root");
export const middle = party("middle");
export const lower = party("lower");
export const lowest = party("lowest");
export const server = party("server");
export const attacker = party("attacker");
export const rsaRoot = party("RSA root", "rsa");
export const p384Root = party("P-384 root", "p384");
export const p384Server = party("P-384 server", "p384");
export const rsaServer = party("RSA server", "rsa");

export type Rest = Omit<Parameters<typeof certificate>[0], "issuer" | "subject">;
export const san = names(serverName, "*.wild.example.com", Uint8Array.of(127, 0, 0, 1), v6());

export function v6(): Uint8Array {
  return Uint8Array.of(0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
}

export const rootOf = (key: Party, rest: Rest = {}) =>
  certificate({ issuer: key, subject: key, extensions: [authority(), usage(0x04)], ...rest });
export const anchor = rootOf(root);
export const expired = { notAfter: "250601000000Z" };
const future = { notBefore: "270101000000Z" };

export const leafBy = (issuer: Party, extensions: readonly Uint8Array[] = [], rest: Rest = {}) =>
  certificate({ issuer, subject: server, extensions: [san, ...extensions], ...rest });
export const issued = (
  issuer: Party,
  subject: Party,
  extensions: readonly Uint8Array[] = [authority(), usage(0x06)],
  rest: Rest = {},
) => certificate({ issuer, subject, extensions, ...rest });
export const intermediate = issued(root, middle);

export type Options = Partial<Omit<Vector, "title" | "chain" | "expected">>;
export const vector = (
  title: string,
  expected: Outcome,
  chain: readonly Uint8Array[],
  options: Options = {},
): Vector => ({
  title,
  expected,
  chain,
  anchors: [anchor],
  purpose: "server",
  serverName,
  now,
  ...options,
});

const longWay = (pathLengths: readonly (number | undefined)[]) => {
  const [a, b, c] = pathLengths.map(length => [authority(length), usage(0x04)]);
  return [
    leafBy(lowest),
    issued(lower, lowest, c),
    issued(middle, lower, b),
    issued(root, middle, a),
  ];
};

const many = Array.from({ length: 8 }, () => issued(middle, middle));

export function pathVectors(): Vector[] {
  const strangersRoot = rootOf(renamed(attacker, "root"));
  return [
    vector("leaf and intermediate", "accepted", [leafBy(middle), intermediate]),
    vector("leaf alone, issued by the anchor", "accepted", [leafBy(root)]),
    vector("leaf, intermediate and the anchor itself", "accepted", [
      leafBy(middle),
      intermediate,
      anchor,
    ]),
    vector("three intermediates", "accepted", longWay([undefined, undefined, undefined])),
    vector("three intermediates in reverse order", "accepted", [
      leafBy(lowest),
      ...longWay([2, 1, 0]).slice(1).reverse(),
    ]),
    vector("path lengths that just suffice", "accepted", longWay([2, 1, 0])),
    vector(
      "cross-signed intermediate, the other authority first",
      "accepted",
      [leafBy(middle), issued(other, middle), intermediate],
      { apart: "follows the first one only" },
    ),
    vector("root cross-signed by the pinned one", "accepted", [
      leafBy(middle),
      issued(other, middle),
      issued(root, other),
    ]),
    vector("several anchors, one expired under the same name", "accepted", [leafBy(root)], {
      anchors: [rootOf(root, expired), rootOf(other), anchor],
    }),
    vector(
      "several anchors, one with another key under the same name",
      "accepted",
      [leafBy(root)],
      {
        anchors: [strangersRoot, anchor],
        apart: "looks an anchor up by its name alone",
      },
    ),
    vector(
      "a self-issued intermediate does not count",
      "accepted",
      [
        leafBy(renamed(lower, "middle")),
        issued(middle, renamed(lower, "middle"), [authority()]),
        issued(root, middle, [authority(0)]),
      ],
      { apart: "follows the first certificate of a name only" },
    ),
    vector("another certificate that is of no use", "accepted", [
      leafBy(root),
      issued(other, lower),
    ]),
    vector("a trailing root of an algorithm that is not taken", "accepted", [
      leafBy(root),
      rootOf(rsaRoot, { scheme: { hash: "SHA-1" } }),
    ]),
    vector("an unknown extension that is not critical", "accepted", [
      leafBy(root, [unknownHarmless]),
    ]),

    vector("leaf expired, valid intermediate", "trust/expired", [
      leafBy(middle, [], expired),
      intermediate,
    ]),
    vector("leaf not yet valid", "trust/not-yet-valid", [leafBy(middle, [], future), intermediate]),
    vector("intermediate expired", "trust/expired", [
      leafBy(middle),
      issued(root, middle, undefined, expired),
    ]),
    vector("intermediate not yet valid", "trust/not-yet-valid", [
      leafBy(middle),
      issued(root, middle, undefined, future),
    ]),
    vector("anchor expired", "trust/expired", [leafBy(root)], { anchors: [rootOf(root, expired)] }),
    vector("anchor not yet valid", "trust/not-yet-valid", [leafBy(root)], {
      anchors: [rootOf(root, future)],
    }),
    ...[Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map(now =>
      vector(`a clock at ${now}`, "trust/clock", [leafBy(root)], { now, apart: "no such time" }),
    ),
    // What may come out of a store or a host that is not TypeScript.
    ...[undefined, null, "1767225600000", {}].map(now =>
      vector(`a clock at ${JSON.stringify(now)}`, "trust/clock", [leafBy(root)], {
        now: now as unknown as number,
        apart: "no such time",
      }),
    ),
    vector("last valid second", "accepted", [leafBy(root, [], { notAfter: "260101000000Z" })], {
      apart: "ends a second earlier",
    }),
    vector("a second after the last", "trust/expired", [
      leafBy(root, [], { notAfter: "251231235959Z" }),
    ]),
    vector("first valid second", "accepted", [leafBy(root, [], { notBefore: "260101000000Z" })]),

    vector("unknown authority", "trust/unknown-authority", [leafBy(other)]),
    vector("unknown authority that is sent along", "trust/unknown-authority", [
      leafBy(other),
      rootOf(other),
    ]),
    vector("intermediate missing", "trust/unknown-authority", [leafBy(middle)]),
    vector("no anchor", "trust/unknown-authority", [leafBy(root)], {
      anchors: [],
      apart: "needs a file",
    }),
    vector("self-signed leaf alone", "trust/unknown-authority", [
      certificate({ issuer: attacker, subject: attacker, extensions: [san] }),
    ]),
    vector("self-signed leaf before a genuine intermediate", "trust/unknown-authority", [
      certificate({ issuer: attacker, subject: attacker, extensions: [san] }),
      intermediate,
    ]),
    vector("self-signed leaf before the root", "trust/unknown-authority", [
      certificate({ issuer: attacker, subject: attacker, extensions: [san] }),
      anchor,
    ]),
    vector("self-signed leaf before the genuine server's", "trust/unknown-authority", [
      certificate({ issuer: attacker, subject: attacker, extensions: [san] }),
      leafBy(middle),
      intermediate,
    ]),
    vector("signed by a stranger under the root's name", "trust/signature", [
      leafBy(renamed(attacker, "root")),
    ]),
    vector("signed by a stranger under the intermediate's name", "trust/signature", [
      leafBy(renamed(attacker, "middle")),
      intermediate,
    ]),
    vector("an impostor of the root sent along", "trust/signature", [
      leafBy(renamed(attacker, "root")),
      strangersRoot,
    ]),
    vector("intermediate signed by a stranger", "trust/signature", [
      leafBy(middle),
      issued(renamed(attacker, "root"), middle),
    ]),
    vector("no certificate", "trust/certificate", [], { apart: "needs one" }),

    vector("issued by an end entity", "trust/not-authority", [
      leafBy(middle),
      issued(root, middle, [san]),
    ]),
    vector("issued by one that says it is no authority", "trust/not-authority", [
      leafBy(middle),
      issued(root, middle, [noAuthority]),
    ]),
    vector("an anchor that is no authority", "trust/not-authority", [leafBy(root)], {
      anchors: [rootOf(root, { extensions: [] })],
      apart: "takes an anchor for one",
    }),
    vector("path length of the intermediate", "trust/path-length", [
      leafBy(lower),
      issued(middle, lower),
      issued(root, middle, [authority(0)]),
    ]),
    vector("path length of the anchor", "trust/path-length", [leafBy(middle), intermediate], {
      anchors: [rootOf(root, { extensions: [authority(0)] })],
    }),
    vector("path length two below", "trust/path-length", longWay([1, 1, 0])),
    vector("intermediate may not sign certificates", "trust/key-usage", [
      leafBy(middle),
      issued(root, middle, [authority(), usage(0x80)]),
    ]),
    vector("anchor may not sign certificates", "trust/key-usage", [leafBy(root)], {
      anchors: [rootOf(root, { extensions: [authority(), usage(0x02)] })],
    }),
    vector("leaf not for signatures", "trust/key-usage", [leafBy(root, [usage(0x08)])], {
      apart: "lets key agreement do for a server",
    }),
    vector("leaf for signatures", "accepted", [leafBy(root, [usage(0x80)])]),
    vector("leaf for clients only", "trust/purpose", [leafBy(root, [purpose(2)])]),
    vector("leaf for servers", "accepted", [leafBy(root, [purpose(2, 1)])]),
    vector("leaf for any purpose", "accepted", [leafBy(root, [anyPurpose])], {
      apart: "asks for the one",
    }),
    vector("intermediate for clients only", "trust/purpose", [
      leafBy(middle),
      issued(root, middle, [authority(), purpose(2)]),
    ]),
    vector("intermediate for servers", "accepted", [
      leafBy(middle),
      issued(root, middle, [authority(), purpose(1)]),
    ]),
    vector("a critical extension nobody knows, leaf", "trust/critical-extension", [
      leafBy(root, [unknownCritical]),
    ]),
    vector("a critical extension nobody knows, intermediate", "trust/critical-extension", [
      leafBy(middle),
      issued(root, middle, [authority(), unknownCritical]),
    ]),
    vector(
      "a critical extension nobody knows, anchor",
      "trust/critical-extension",
      [leafBy(root)],
      {
        anchors: [rootOf(root, { extensions: [authority(), unknownCritical] })],
      },
    ),

    vector(
      "four intermediates",
      "trust/chain-length",
      [
        leafBy(attacker),
        issued(lowest, attacker),
        ...longWay([undefined, undefined, undefined]).slice(1),
      ],
      { apart: "has a longer bound" },
    ),
    vector("nine certificates", "trust/chain-length", [leafBy(root), ...many], {
      apart: "has no such bound",
    }),
    vector(
      "a thicket of certificates that issue each other",
      "trust/chain-length",
      [leafBy(middle), ...many.slice(1)],
      {
        apart: "has a longer bound",
      },
    ),
  ];
}
