// Images of a few blocks, and the signed documents that offer them; made once for all runs.
import { createHash, createSign } from "node:crypto";
import { type Behaviour, hardware, product } from "../../simulator/fleet/updatable.js";
import { makeSigner } from "../../simulator/fleet/update-world.js";
import { afrOtaFile, manifestDocument } from "../../simulator/signing/job-document.js";
import { signManifest } from "../../simulator/signing/manifest.js";
import { virtualImage } from "../../simulator/world/slots.js";
import type { SignerOptions } from "../../src/ota/signers.js";

const made = makeSigner("signer");

export interface Signing {
  readonly signer: SignerOptions;
}

export const signing: Signing = Object.freeze({
  signer: Object.freeze({ name: made.name, publicKey: made.key.publicKey }),
});

export interface Release {
  readonly version: string;
  readonly image: Uint8Array;
}

/**
 * @param bytes of the payload
 * @param head  what the payload begins with: another file of the same size
 */
export function release(
  version: string,
  behaviour: Behaviour = "good",
  bytes = 9000,
  head = "",
): Release {
  const payload = Buffer.from((head + JSON.stringify({ version, behaviour })).padEnd(bytes));
  return { version, image: virtualImage({ product, version, payload }) };
}

/** @param says the manifest's version, where it is not the image's */
export function ownDocument(
  { image, version }: Release,
  { source = "stream" as "stream" | "link", says = version, minimumVersion = "1.0.0" } = {},
): unknown {
  const sha256 = createHash("sha256").update(image).digest("hex");
  const manifest = signManifest(
    {
      ...{ type: "firmware", product, hardware: [hardware], version: says },
      ...{ size: image.length, sha256, minimumVersion },
    },
    [made.key],
  );
  const from =
    source === "stream" ? { stream: nameOf(version), fileId: 0 } : { url: linkOf(version) };
  return manifestDocument(manifest, [from]);
}

/** As AWS's CreateOTAUpdate writes it. */
export function afrDocument(
  { image, version }: Release,
  source: "stream" | "link" = "stream",
): unknown {
  const base64 = createSign("sha256").update(image).sign(made.pem, "base64");
  const file = afrOtaFile({
    ...{ filePath: "firmware.bin", fileSize: image.length, fileId: 0 },
    ...{ certificatePath: made.name, fileType: 0 },
    url: source === "link" ? linkOf(version) : undefined,
    signature: { member: "sig-sha256-ecdsa", base64 },
  });
  if (source === "link") return { afr_ota: { protocols: ["HTTP"], files: [file] } };
  return { afr_ota: { protocols: ["MQTT"], streamname: nameOf(version), files: [file] } };
}

function linkOf(version: string): string {
  return `https://files.test/${nameOf(version)}?signature=secret`;
}

/** Of the stream, and of the file. */
export function nameOf(version: string): string {
  return `fw-${version.replaceAll(".", "-")}`;
}
