// What the host calculates, in fewer milliseconds: OpenSSL imports a key once, and is not asked the same question twice in a row.
import {
  constants,
  createHash,
  createPublicKey,
  type KeyObject,
  publicEncrypt,
  verify,
} from "node:crypto";
import type { Verifier } from "../../src/trust/signature.js";

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64url");
const nameOf = (hash: string) => hash.replace("-", "").toLowerCase();
const maxKeys = 16;

/** As `hosts/node/crypto.ts` answers; the same questions are put to both in the tests of single cases. */
export function quickVerifier(): Verifier {
  const keys = new Map<string, KeyObject | undefined>();
  /** The last question of which the answer was yes. */
  let right: Buffer[] | undefined;
  const remember = (name: string, load: () => KeyObject) => {
    if (keys.has(name)) return keys.get(name);
    if (keys.size >= maxKeys) keys.clear();
    let key: KeyObject | undefined;
    try {
      key = load();
    } catch {
      // Not a point of the curve.
    }
    keys.set(name, key);
    return key;
  };
  return {
    digest: (hash, bytes) => new Uint8Array(createHash(nameOf(hash)).update(bytes).digest()),
    verifyEcdsa: (curve, point, hash, message, r, s) => {
      const question = [point, r, s, message].map(bytes => Buffer.from(bytes));
      const isAnswered = right?.every((bytes, i) => bytes.equals(question[i]!)) ?? false;
      if (isAnswered) return true;
      const size = (point.length - 1) / 2;
      const [x, y] = [base64(point.subarray(1, 1 + size)), base64(point.subarray(1 + size))];
      const key = remember(curve + x + y, () =>
        createPublicKey({ key: { kty: "EC", crv: curve, x, y }, format: "jwk" }),
      );
      if (key === undefined) return false;
      const signature = Buffer.concat([r, s]);
      const how = { key, dsaEncoding: "ieee-p1363" } as const;
      const answer = verify(nameOf(hash), message, how, signature);
      if (answer) right = question;
      return answer;
    },
    rsaPublic: (modulus, exponent, input) => {
      const [n, e] = [base64(modulus), base64(exponent)];
      const key = remember(n + e, () =>
        createPublicKey({ key: { kty: "RSA", n, e }, format: "jwk" }),
      );
      return new Uint8Array(publicEncrypt({ key: key!, padding: constants.RSA_NO_PADDING }, input));
    },
  };
}
