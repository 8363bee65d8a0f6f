// Documents and manifests inside the engine, their arithmetic on the owner's host over the bridge.
import { Bridge } from "../../hosts/xs/bridge.js";
import { createCrypto } from "../../hosts/xs/crypto.js";
import type { Range } from "../trust/mutants.js";
import {
  outcomeOf,
  outcomesOfDocuments,
  outcomesOfManifests,
  outcomesOfReadings,
  type UpdateVector,
} from "./judge.js";

const bridge = new Bridge();
bridge.install();

/** Byte strings travel as `{ "hex": … }`. */
const revive = (_: string, value: unknown) => {
  const { hex } = (value ?? {}) as { hex?: string };
  if (typeof hex !== "string") return value;
  return Uint8Array.from(hex.match(/../g) ?? [], pair => Number.parseInt(pair, 16));
};

let vector: UpdateVector | undefined;
bridge.on("start", () => {
  const crypto = createCrypto(bridge);
  bridge.on("vector", ([text]) => {
    vector = JSON.parse(text as string, revive) as UpdateVector;
    bridge.event("outcome", outcomeOf(vector, crypto));
  });
  bridge.on("judge", () => bridge.event("outcome", outcomeOf(vector!, crypto)));
  bridge.on("documents", ([range]) => {
    bridge.event("outcome", outcomesOfDocuments(vector!, crypto, range as Range));
  });
  bridge.on("manifests", ([range]) => {
    bridge.event("outcome", outcomesOfManifests(vector!, crypto, range as Range));
  });
  bridge.on("readings", ([range]) => {
    bridge.event("outcome", outcomesOfReadings(vector!, range as Range));
  });
});
