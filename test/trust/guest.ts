// Path validation inside the engine, its arithmetic on the owner's host over the bridge.
import { Bridge } from "../../hosts/xs/bridge.js";
import { createCrypto } from "../../hosts/xs/crypto.js";
import { outcomeOf, outcomesOfMutants, type Vector } from "./judge.js";
import { readingsOfKeys } from "./key-judge.js";
import type { Range } from "./mutants.js";
import {
  readingsOfMutants,
  type SignatureVector,
  verdictOf,
  verdictsOfMutants,
} from "./signature-judge.js";

const bridge = new Bridge();
bridge.install();

/** Byte strings travel as `{ "hex": … }`, numbers that JSON does not know as `{ "number": … }`. */
const revive = (_: string, value: unknown) => {
  const { hex, number } = (value ?? {}) as { hex?: string; number?: string };
  if (typeof number === "string") return Number(number);
  if (typeof hex !== "string") return value;
  return Uint8Array.from(hex.match(/../g) ?? [], pair => Number.parseInt(pair, 16));
};

let vector: Vector | undefined;
let signature: SignatureVector | undefined;
let key: Uint8Array | undefined;
bridge.on("start", () => {
  const crypto = createCrypto(bridge);
  bridge.on("vector", ([text]) => {
    vector = JSON.parse(text as string, revive) as Vector;
    bridge.event("ready", null);
  });
  bridge.on("judge", () => bridge.event("outcome", outcomeOf(vector!, crypto)));
  bridge.on("mutants", ([range]) => {
    const whole = range as Range & { readonly index: number };
    bridge.event("outcome", outcomesOfMutants(vector!, crypto, whole));
  });
  bridge.on("signature", ([text]) => {
    signature = JSON.parse(text as string, revive) as SignatureVector;
    bridge.event("outcome", verdictOf(signature, crypto));
  });
  bridge.on("signature mutants", ([range]) => {
    bridge.event("outcome", verdictsOfMutants(signature!, crypto, range as Range));
  });
  bridge.on("key", ([text]) => {
    key = JSON.parse(text as string, revive) as Uint8Array;
    bridge.event("outcome", key.length);
  });
  bridge.on("key mutants", ([range]) => {
    bridge.event("outcome", readingsOfKeys(key!, range as Range));
  });
  bridge.on("signature readings", ([range]) => {
    bridge.event("outcome", readingsOfMutants(signature!, range as Range));
  });
});
