// The program whose memory is measured: one path validation, with an arithmetic that always agrees and takes nothing.
import { Bridge } from "../hosts/xs/bridge.js";
import { type PathQuestion, validatePath } from "../src/trust/path.js";
import type { Verifier } from "../src/trust/signature.js";
import { fromBase64 } from "../src/util/bytes.js";
import { anchor, intermediate, leaf, serverName } from "./certificates.js";

const agreeable: Verifier = {
  digest: () => new Uint8Array(32),
  verifyEcdsa: () => true,
  rsaPublic: modulus => modulus,
};

const bridge = new Bridge();
bridge.install();
bridge.on("start", () => {
  let question: PathQuestion | undefined;
  bridge.on("read", () => {
    question = {
      chain: [leaf, intermediate].map(text => fromBase64(text)!),
      anchors: [fromBase64(anchor)!],
      now: Date.UTC(2026, 0, 1),
      purpose: "server",
      serverName,
      crypto: agreeable,
    };
  });
  bridge.on("validate", () => bridge.event("key", validatePath(question!).kind));
});
