// The command `sign`: its options, and nothing that takes long to load.

import { Command, InvalidArgumentError, Option } from "commander";
import type { EntryOptions, ManifestOptions } from "./sign.js";
import { SigningError } from "./signing-key.js";

interface Flags {
  readonly key: readonly string[];
  readonly addSignature?: string;
  readonly product?: string;
  readonly hardware?: readonly string[];
  readonly version?: string;
  readonly type: "firmware" | "script";
  readonly minimumVersion?: string;
  readonly expires?: string;
  readonly out?: string;
  readonly afrOta?: string;
  readonly filePath?: string;
  readonly certificatePath?: string;
  readonly fileId: number;
  readonly fileType?: number;
}

const examples = `
Examples:
  skerry sign --key a.pem image.bin
  skerry sign --product lamp --hardware esp32,esp32s3 --version 1.5.0 --key a.pem image.bin
  skerry sign --add-signature image.bin.manifest.json --key b.pem
  skerry sign --key a.pem --afr-ota entry.json --certificate-path /certs/signer.pem image.bin`;

function toByte(text: string): number {
  const value = Number(text);
  if (/^\d{1,3}$/.test(text) && value <= 255) return value;
  throw new InvalidArgumentError("It is not 0 to 255.");
}

const collected = (value: string, before: readonly string[]): string[] => [...before, value];
const listed = (text: string): string[] => text.split(",").map(each => each.trim());

export function signCommand(): Command {
  return new Command("sign")
    .description("sign an image with your own key, or a manifest of it, or add another signature")
    .argument("[image]", "the file as devices download it")
    .option("--key <file>", "private key, PEM: EC P-256 or RSA; may be given again", collected, [])
    .option("--product <name>", "write a signed manifest, for this product")
    .option("--hardware <names>", "with --product: boards it runs on, with commas between", listed)
    .option("--version <number>", "with --product: as 1.5.0")
    .addOption(
      new Option("--type <what>", "with --product")
        .choices(["firmware", "script"])
        .default("firmware"),
    )
    .option("--minimum-version <number>", "with --product: no device runs less after it")
    .option("--expires <time>", "with --product: ISO 8601, as 2027-01-31T00:00:00Z")
    .option("--out <file>", "with --product: default is the image with .manifest.json behind it")
    .option("--add-signature <file>", "sign the manifest in this file too")
    .option("--afr-ota <file>", "write an entry for files of an afr_ota job document")
    .option("--file-path <path>", "with --afr-ota: on the device; default is the image's name")
    .option("--certificate-path <path>", "with --afr-ota: certfile on the device")
    .option("--file-id <number>", "with --afr-ota", toByte, 0)
    .option("--file-type <number>", "with --afr-ota", toByte)
    .addHelpText("after", examples)
    .allowExcessArguments(false)
    .action((image: string | undefined, flags: Flags) => run(image, flags));
}

async function run(image: string | undefined, flags: Flags): Promise<void> {
  const { addSignatures, signImage } = await import("./sign.js");
  const say = (text: string): void => console.log(text);
  if (flags.addSignature !== undefined) {
    if (image !== undefined) throw new SigningError("--add-signature takes no image.");
    return addSignatures(flags.addSignature, flags.key, say);
  }
  if (image === undefined) throw new SigningError("No image: name the file to sign.");
  const manifest = manifestOf(image, flags);
  const entry = entryOf(image, flags);
  signImage({
    image,
    keys: flags.key,
    ...(manifest === undefined ? {} : { manifest }),
    ...(entry === undefined ? {} : { entry }),
    nowMs: Date.now(),
    say,
  });
}

function manifestOf(image: string, flags: Flags): ManifestOptions | undefined {
  const { product, hardware, version, type, minimumVersion, expires, out } = flags;
  if (product === undefined) {
    const stray = Object.entries({ hardware, version, minimumVersion, expires, out });
    const found = stray.find(([, value]) => value !== undefined)?.[0];
    if (found === undefined) return undefined;
    throw new SigningError(`--${dashed(found)} is for a manifest: it needs --product too.`);
  }
  if (hardware === undefined) throw new SigningError("A manifest needs --hardware.");
  if (version === undefined) throw new SigningError("A manifest needs --version.");
  return {
    type,
    product,
    hardware,
    version,
    ...(minimumVersion === undefined ? {} : { minimumVersion }),
    ...(expires === undefined ? {} : { expires }),
    out: out ?? `${image}.manifest.json`,
  };
}

function entryOf(image: string, flags: Flags): EntryOptions | undefined {
  const { afrOta, filePath, certificatePath, fileId, fileType } = flags;
  if (afrOta === undefined) return undefined;
  if (certificatePath === undefined) {
    throw new SigningError("An afr_ota entry needs --certificate-path.");
  }
  return {
    out: afrOta,
    filePath: filePath ?? image.replace(/^.*[/\\]/, ""),
    certificatePath,
    fileId,
    ...(fileType === undefined ? {} : { fileType }),
  };
}

function dashed(name: string): string {
  return name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`);
}
