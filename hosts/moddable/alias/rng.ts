// Takes the place of the SDK's module `rng`, so that TLS draws from the system generator too.
import { randomBytes } from "skerry/hosts/moddable/random";

const maxBytes = 256;

const rng = Object.freeze({
  /** @param byteLength at least 1. @throws when the generator has refused. */
  get(byteLength: number): ArrayBuffer {
    const bytes = new Uint8Array(byteLength);
    for (let at = 0; at < byteLength; at += maxBytes) {
      bytes.set(randomBytes(Math.min(maxBytes, byteLength - at)), at);
    }
    return bytes.buffer;
  },
  /** The system generator needs no seed from here. */
  init(): void {},
});

export default rng;
