// Certificates and keys as a product has them, PEM, and as hosts take them, DER.
import { parsePem } from "./pem.js";

/** PEM texts. The key is PKCS#8 ("PRIVATE KEY"). */
export interface CertificateAndKey {
  readonly certificate: string;
  readonly key: string;
}

/** DER, as the host's sockets take it; own certificate first. */
export interface Credentials {
  readonly certificates: readonly Uint8Array[];
  readonly key: Uint8Array;
}

/** @throws AgentError "trust/pem" */
export function anchorsOf(trustAnchors: readonly string[]): readonly Uint8Array[] {
  return trustAnchors.flatMap((pem, i) =>
    parsePem(pem, "CERTIFICATE", `options.trustAnchors[${i}]`),
  );
}

/** @throws AgentError "trust/pem" */
export function credentialsOf(pem: CertificateAndKey, where: string): Credentials {
  return {
    certificates: parsePem(pem.certificate, "CERTIFICATE", `options.${where}.certificate`),
    key: parsePem(pem.key, "PRIVATE KEY", `options.${where}.key`)[0]!,
  };
}
