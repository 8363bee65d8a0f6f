// Textual encodings of PKIX structures, as AWS and openssl write them.
import { AgentError } from "../errors.js";
import { fromBase64, toBase64 } from "../util/bytes.js";

/** Bounds a chain or a bundle of anchors. */
const maxBlocks = 8;

/**
 * @param label  "CERTIFICATE", "PRIVATE KEY", …
 * @returns      the DER of every block with that label, in order, at least one
 * @throws       AgentError "trust/pem"
 * @see          RFC 7468
 */
export function parsePem(text: string, label: string, where: string): Uint8Array[] {
  const begin = `-----BEGIN ${label}-----`;
  const end = `-----END ${label}-----`;
  const blocks: Uint8Array[] = [];
  for (const part of text.split(begin).slice(1)) {
    const body = part.split(end);
    const der = body.length === 2 ? fromBase64(body[0]!) : undefined;
    if (der === undefined || der.length === 0) {
      throw new AgentError(
        "trust/pem",
        `${where}: block ${blocks.length + 1} of ${label} is damaged`,
      );
    }
    blocks.push(der);
  }
  if (blocks.length === 0) throw new AgentError("trust/pem", `${where}: no ${label} in it`);
  if (blocks.length > maxBlocks) {
    throw new AgentError(
      "trust/pem",
      `${where}: ${blocks.length} of ${label}, at most ${maxBlocks} are taken`,
    );
  }
  return blocks;
}

export function toPem(der: Uint8Array, label: string): string {
  const lines = toBase64(der).match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
