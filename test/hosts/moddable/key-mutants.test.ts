// Neighbours of a device's own key: each is refused before a handshake, because it cannot be read or does not belong to the certificate.
import { createECDH } from "node:crypto";
import test from "ava";
import { ClientIdentity, type KeyArithmetic } from "../../../hosts/moddable/client-identity.js";
import { AgentError } from "../../../src/errors.js";
import { certificate, type Party, party, pkcs8Of } from "../../trust/maker.js";
import { countAllMutants, countMutants, sum } from "../../trust/mutants.js";

Error.stackTraceLimit = 0;
const pair = createECDH("prime256v1");
const arithmetic: KeyArithmetic = {
  power: () => 0n,
  signEcdsa: scalar => scalar,
  pointOf: scalar => {
    pair.setPrivateKey(scalar);
    return new Uint8Array(pair.getPublicKey());
  },
};

const root = party("root");
const certificateOf = (subject: Party) => certificate({ issuer: root, subject });

function answerOf(own: Uint8Array, key: Uint8Array): string {
  try {
    new ClientIdentity([own], key, arithmetic);
    return "accepted";
  } catch (error) {
    if (!(error instanceof AgentError)) return `not an AgentError: ${String(error)}`;
    const { code, cause } = error;
    return cause instanceof AgentError ? `${code}, ${cause.code}` : code;
  }
}

const unreadable = ["agent/options, trust/algorithm", "agent/options, trust/der"];

test("trust: no cut and no other octet of an EC key is taken with its certificate", t => {
  const device = party("device");
  const [own, key] = [certificateOf(device), pkcs8Of(device)];
  t.is(answerOf(own, key), "accepted");
  const counts = countAllMutants(key, mutant => answerOf(own, mutant));
  t.log(sum(counts), counts);
  t.deepEqual(Object.keys(counts).sort(), ["agent/options", ...unreadable]);
});

test("trust: no cut, no bit and no other of two values of an RSA key is taken with its certificate", t => {
  const device = party("device", "rsa");
  const [own, key] = [certificateOf(device), pkcs8Of(device)];
  t.is(answerOf(own, key), "accepted");
  const range = { extent: "bits and two values", from: 0, to: key.length } as const;
  const counts = countMutants(key, range, mutant => answerOf(own, mutant));
  t.log(sum(counts), counts);
  t.deepEqual(Object.keys(counts).sort(), unreadable);
});
