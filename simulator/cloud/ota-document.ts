// The job document of an update, member by member as AWS writes it (chapter 5.2 of the notes on AWS's protocol). Pure.

import { type AfrOtaFile, afrOtaFile } from "../signing/job-document.js";
import type { JsonObject } from "./json.js";
import type { ObjectInfo } from "./objects.js";
import { region } from "./presign.js";
import type { S3Location } from "./stream-records.js";

export interface OtaDocumentFile {
  /** `fileName` of the request. */
  readonly filePath: string | undefined;
  readonly fileType: number | undefined;
  readonly fileId: number;
  readonly location: S3Location;
  readonly info: ObjectInfo;
  readonly signature: OtaSignature | undefined;
}

export interface OtaSignature {
  /** `certfile`: what the device looks for. */
  readonly certificatePath: string | undefined;
  /** `sig-sha256-ecdsa` and its like. */
  readonly member: string;
  readonly base64: string;
}

/** What the jobs service replaces by a fresh presigned URL at each delivery. */
export function presignPlaceholder({ bucket, key, version }: S3Location): string {
  const path = key.split("/").map(encodeURIComponent).join("/");
  const query = version === undefined ? "" : `?versionId=${encodeURIComponent(version)}`;
  const url = `https://s3.${region}.amazonaws.com/${bucket}/${path}${query}`;
  return `\${aws:iot:s3-presigned-url:${url}}`;
}

const host = "s3(?:[.-][a-z0-9-]+)?\\.amazonaws\\.com";
const rest = "/([^?]+)(?:\\?versionId=([^&]+))?$";
const pathStyle = new RegExp(`^https://${host}/([^/]+)${rest}`);
const hostStyle = new RegExp(`^https://([a-z0-9.-]+)\\.${host}${rest}`);

/** The object that the address in such a placeholder names, in S3's path style or by its host; undefined for another. */
export function placeholderLocation(address: string): S3Location | undefined {
  const [, bucket, key, version] = pathStyle.exec(address) ?? hostStyle.exec(address) ?? [];
  if (bucket === undefined || key === undefined) return undefined;
  try {
    const found = { bucket, key: decodeURIComponent(key) };
    return version === undefined ? found : { ...found, version: decodeURIComponent(version) };
  } catch {
    return undefined;
  }
}

export function otaDocument(
  protocols: readonly ("MQTT" | "HTTP")[],
  streamName: string | undefined,
  files: readonly OtaDocumentFile[],
): JsonObject {
  const hasUrls = protocols.includes("HTTP");
  return {
    afr_ota: {
      protocols: [...protocols],
      ...(streamName === undefined ? {} : { streamname: streamName }),
      files: files.map(file => entryOf(file, hasUrls) as object as JsonObject),
    },
  };
}

function entryOf(file: OtaDocumentFile, hasUrl: boolean): AfrOtaFile {
  const { filePath, fileType, fileId, location, info, signature } = file;
  return afrOtaFile({
    filePath,
    fileType,
    fileId,
    fileSize: info.size,
    certificatePath: signature?.certificatePath,
    url: hasUrl ? presignPlaceholder(location) : undefined,
    signature: signature && { member: signature.member, base64: signature.base64 },
  });
}
