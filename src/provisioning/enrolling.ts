// How a device asks for an identity, and what holds where the product said nothing.
import type { KeyPair } from "../host.js";
import { refuse } from "../util/checked.js";

/** How a device asks for an identity: by which provisioning template, and with what. */
export interface EnrollingOptions {
  readonly template: string;
  /** Template parameters, for example `{ SerialNumber: host.system.id }`. */
  readonly parameters: { readonly [name: string]: string };
  /** Default "json". */
  readonly format?: "json" | "cbor";
  /**
   * "device", the default: the device makes a P-256 key, and a certificate is asked for with a request it has signed. "cloud": the
   * cloud makes an RSA-2048 key and sends it along (CreateKeysAndCertificate).
   */
  readonly keys?: "device" | "cloud";
  /** A key that is there already, in a secure element for example: `privateKey` is whatever the host's `sign` and TLS take. */
  readonly keyPair?: KeyPair;
}

/** `EnrollingOptions` with its defaults. */
export interface Enrolling {
  readonly template: string;
  readonly parameters: { readonly [name: string]: string };
  readonly format: "json" | "cbor";
  readonly keys: "device" | "cloud";
  readonly keyPair: KeyPair | undefined;
}

export function withDefaults(options: EnrollingOptions): Enrolling {
  const { template, parameters = {}, format = "json", keys = "device", keyPair } = options;
  return { template, parameters, format, keys, keyPair };
}

/** @throws AgentError "agent/options" naming the option, which is in `where`, and the value */
export function checkEnrolling(options: EnrollingOptions, where: string): void {
  const { template, format, keys, keyPair } = withDefaults(options);
  if (!/^[0-9A-Za-z_-]{1,36}$/.test(template))
    refuse(`${where}.template "${template}" is not a template name`);
  if (format !== "json" && format !== "cbor")
    refuse(`${where}.format "${format}" is not json or cbor`);
  if (keys !== "device" && keys !== "cloud")
    refuse(`${where}.keys "${keys}" is not device or cloud`);
  if (keyPair && keys === "cloud") refuse(`${where}.keyPair: the cloud is to make the key`);
}
