// A client's own key on Node: refused before a socket opens when it is not the certificate's.
import test from "ava";
import { tls } from "../../../hosts/node/tls.js";
import { AgentError } from "../../../src/errors.js";
import { certificate, party, pkcs8Of } from "../../trust/maker.js";
import { countMutants } from "../../trust/mutants.js";

const root = party("root");
const anchor = certificate({ issuer: root, subject: root });

/** What becomes of a socket to nobody; one that opens is closed at once. */
function answerOf(own: Uint8Array, clientKey: Uint8Array): string {
  try {
    const secure = {
      trustAnchors: [anchor],
      clientCertificates: [own],
      clientKey,
      now: Date.now(),
    };
    const address = { address: "127.0.0.1", host: "localhost", port: 9 };
    new tls.io({ ...address, secure }).close();
    return "taken";
  } catch (error) {
    return error instanceof AgentError ? error.code : String(error);
  }
}

for (const kind of ["p256", "p384", "rsa"] as const) {
  test(`trust: a client key of another ${kind} pair is refused`, t => {
    const device = party("device", kind);
    const own = certificate({ issuer: root, subject: device });
    t.is(answerOf(own, pkcs8Of(device)), "taken");
    t.is(answerOf(own, pkcs8Of(party("device", kind))), "agent/options");
  });
}

test("trust: no cut and no changed bit of an EC scalar is taken", t => {
  const device = party("device");
  const own = certificate({ issuer: root, subject: device });
  const key = pkcs8Of(device);
  // Found where the scalar is: 32 octets behind the header of its OCTET STRING.
  const scalar = Buffer.from(device.key.export({ format: "jwk" }).d!, "base64url");
  const from = Buffer.from(key).indexOf(scalar);
  const range = { extent: "bits and two values", from, to: from + 32 } as const;
  t.deepEqual(
    countMutants(key, range, mutant => answerOf(own, mutant)),
    { "agent/options": 352 },
  );
});
