// Job documents that carry an update: our own with its manifest, and a file of an `afr_ota` document.

import type { ManifestSignature, SignedManifest } from "./manifest.js";

/** Where the image is, in the order in which a device tries them. */
export type UpdateSource =
  | { readonly stream: string; readonly fileId: number }
  | { readonly url: string };

export interface ManifestDocument {
  readonly skerry: {
    readonly operation: "firmware";
    readonly manifest: string;
    readonly signatures: readonly ManifestSignature[];
    readonly sources: readonly UpdateSource[];
  };
}

export function manifestDocument(
  { manifest, signatures }: SignedManifest,
  sources: readonly UpdateSource[],
): ManifestDocument {
  return { skerry: { operation: "firmware", manifest, signatures, sources } };
}

/** What AWS's job document says of one file, in its order (chapter 5.2 of the notes on AWS's protocol). */
export interface AfrOtaFile {
  readonly filepath?: string;
  readonly filesize: number;
  readonly fileid: number;
  readonly certfile?: string;
  readonly fileType?: number;
  readonly update_data_url?: string;
  readonly auth_scheme?: "aws.s3.presigned";
  /** `sig-sha256-ecdsa` and its like: base64. */
  readonly [signature: `sig-${string}`]: string;
}

export interface AfrOtaFileParts {
  readonly filePath?: string | undefined;
  readonly fileSize: number;
  readonly fileId: number;
  readonly certificatePath?: string | undefined;
  readonly fileType?: number | undefined;
  readonly url?: string | undefined;
  readonly signature?: { readonly member: string; readonly base64: string } | undefined;
}

export function afrOtaFile(parts: AfrOtaFileParts): AfrOtaFile {
  const { filePath, fileSize, fileId, certificatePath, fileType, url, signature } = parts;
  return {
    ...(filePath === undefined ? {} : { filepath: filePath }),
    filesize: fileSize,
    fileid: fileId,
    ...(certificatePath === undefined ? {} : { certfile: certificatePath }),
    ...(fileType === undefined ? {} : { fileType }),
    ...(url === undefined ? {} : { update_data_url: url, auth_scheme: "aws.s3.presigned" }),
    ...(signature === undefined ? {} : { [signature.member]: signature.base64 }),
  };
}
