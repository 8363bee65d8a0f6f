// Names: which a certificate is for, and which an authority may issue for.
import type { Outcome, Vector } from "./judge.js";
import { authority, certificate, constraints, type Name, names } from "./maker.js";
import {
  issued,
  leafBy,
  lower,
  middle,
  type Options,
  root,
  rootOf,
  server,
  v6,
  vector,
} from "./vectors.js";

/** A leaf for exactly these names. */
function named(
  title: string,
  expected: Outcome,
  given: readonly Name[],
  wanted: string,
  options: Options = {},
): Vector {
  const leaf = certificate({
    issuer: root,
    subject: server,
    extensions: given.length > 0 ? [names(...given)] : [],
  });
  return vector(title, expected, [leaf], { serverName: wanted, ...options });
}

export function nameVectors(): Vector[] {
  const wrong = "trust/wrong-name";
  const ip = (...octets: readonly number[]) => Uint8Array.from(octets);
  return [
    named("name", "accepted", ["a.example.com", "b.example.com"], "b.example.com"),
    named("name in other letters", "accepted", ["A.example.COM"], "a.Example.com"),
    named("other name", wrong, ["a.example.com"], "b.example.com"),
    named("name with more in front", wrong, ["example.com"], "a.example.com"),
    named("name with more behind", wrong, ["a.example.com"], "a.example.com.evil.test"),
    named("common name only", wrong, [], "server", { apart: "falls back to the common name" }),
    named("wildcard", "accepted", ["*.example.com"], "a.example.com"),
    named("wildcard for two labels", wrong, ["*.example.com"], "a.b.example.com"),
    named("wildcard for no label", wrong, ["*.example.com"], "example.com"),
    named("wildcard for an empty label", wrong, ["*.example.com"], ".example.com", {
      apart: "takes a leading dot for any subdomain",
    }),
    named("wildcard for a top-level domain", wrong, ["*.com"], "example.com"),
    named("wildcard alone", wrong, ["*"], "localhost"),
    named("wildcard in part of a label", wrong, ["a*.example.com"], "ab.example.com", {
      apart: "lets it stand for part of a label",
    }),
    named("wildcard further right", wrong, ["a.*.example.com"], "a.b.example.com"),
    named("two wildcards", wrong, ["*.*.example.com"], "a.b.example.com"),
    named("a wildcard asked for", wrong, ["*.example.com"], "*.example.com", {
      apart: "compares it as text",
    }),
    named("a name with a zero octet", wrong, ["a.example.com\0.evil.test"], "a.example.com"),
    named("IPv4 address", "accepted", [ip(192, 0, 2, 1)], "192.0.2.1"),
    named("other IPv4 address", wrong, [ip(192, 0, 2, 1)], "192.0.2.2"),
    named("IPv4 address as a DNS name", wrong, ["192.0.2.1"], "192.0.2.1"),
    named("IPv4 address under a wildcard", wrong, ["*.0.2.1"], "192.0.2.1"),
    named("IPv6 address", "accepted", [v6()], "2001:db8::1"),
    named("IPv6 address in full", "accepted", [v6()], "2001:0DB8:0:0:0:0:0:1"),
    named("other IPv6 address", wrong, [v6()], "2001:db8::2"),
    named("IPv4 address mapped into IPv6", wrong, [ip(192, 0, 2, 1)], "::ffff:192.0.2.1"),
    named("empty name", wrong, ["a.example.com"], "", { apart: "asks for no name" }),
    ...constraintVectors(),
  ];
}

function constraintVectors(): Vector[] {
  const not = "trust/name-constraints";
  const under = (
    title: string,
    expected: Outcome,
    extension: Uint8Array,
    name: string | Uint8Array,
    wanted: string,
    options: Options = {},
  ) =>
    named(`constraint: ${title}`, expected, [name], wanted, {
      anchors: [rootOf(root, { extensions: [authority(), extension] })],
      ...options,
    });
  const range = Uint8Array.of(192, 0, 2, 0, 255, 255, 255, 0);
  const address = Uint8Array.of(192, 0, 2, 7);
  const name = "a.example.com";
  return [
    under("permitted domain", "accepted", constraints(["example.com"]), name, name),
    under("permitted, other letters", "accepted", constraints(["EXAMPLE.com"]), name, name),
    under("the domain itself", "accepted", constraints([name]), name, name),
    under("not permitted", not, constraints(["example.org"]), name, name),
    under("not on a label's border", not, constraints(["ample.com"]), name, name),
    under("one of several", "accepted", constraints(["example.org", "example.com"]), name, name),
    under("excluded", not, constraints([], ["example.com"]), name, name),
    under("excluded elsewhere", "accepted", constraints([], ["example.org"]), name, name),
    under(
      "permitted and excluded",
      not,
      constraints(["example.com"], ["a.example.com"]),
      name,
      name,
    ),
    under(
      "excluded below a wildcard",
      not,
      constraints([], ["a.example.com"]),
      "*.example.com",
      "b.example.com",
      {
        apart: "compares the wildcard as text",
      },
    ),
    under(
      "wildcard wider than permitted",
      not,
      constraints(["b.example.com"]),
      "*.example.com",
      "b.example.com",
    ),
    under("permitted range", "accepted", constraints([range]), address, "192.0.2.7"),
    under("outside the range", not, constraints([range]), Uint8Array.of(192, 0, 3, 7), "192.0.3.7"),
    under("excluded range", not, constraints([], [range]), address, "192.0.2.7"),
    under("IPv6 where IPv4 is permitted", not, constraints([range]), v6(), "2001:db8::1"),
    under("addresses only, a DNS name", "accepted", constraints([range]), name, name),
    under(
      "a mask with holes",
      "trust/certificate",
      constraints([Uint8Array.of(192, 0, 2, 0, 255, 0, 255, 0)]),
      address,
      "192.0.2.7",
      { apart: "takes any mask" },
    ),
    vector("constraint: of an intermediate", not, [
      leafBy(middle),
      issued(root, middle, [authority(), constraints(["example.org"])]),
    ]),
    vector("constraint: of an intermediate on the one below", "accepted", [
      leafBy(lower),
      issued(middle, lower),
      issued(root, middle, [
        authority(),
        constraints(["example.com", Uint8Array.of(127, 0, 0, 0, 255, 0, 0, 0), new Uint8Array(32)]),
      ]),
    ]),
  ];
}
