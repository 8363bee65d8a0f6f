// The command `update`: puts an image into the local cloud, has a device take it, and says what becomes of it.

import { existsSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "commander";
import { arnPrefix } from "./cloud/policy.js";
import { endpointIn } from "./rest-endpoint.js";
import { manifestDocument } from "./signing/job-document.js";
import { localSignerName } from "./signing/local-signer.js";
import { parseSignedManifest } from "./signing/manifest.js";

interface Flags {
  readonly state: string;
  readonly serial: string;
  readonly thing?: string;
  readonly manifest?: string;
  readonly http?: boolean;
}

/** As DescribeJobExecution has it. */
interface Execution {
  readonly status: string;
  readonly statusDetails?: { readonly detailsMap?: Readonly<Record<string, string>> };
}

const bucket = "images";
const pollMs = 500;
/** Any will do: the local cloud has no roles. */
const roleArn = "arn:aws:iam::000000000000:role/update";
/** Which of the services at this address is meant; the signature is not looked at. */
const asOwner = {
  authorization: "AWS4-HMAC-SHA256 Credential=local/20260101/eu-west-1/iot/aws4_request",
};
const presigned = { roleArn, expiresInSec: 3600 };

const help = `
It is what these do against AWS: aws s3api put-object, aws iot create-ota-update (with --manifest: create-stream
and create-job), aws iot describe-job-execution.

Examples:
  skerry image --version 1.1.0 good.bin && skerry update good.bin
  skerry sign --key .skerry/signing-key.pem --product sensor-node --hardware devkit --version 1.2.0 next.bin
  skerry update next.bin --manifest next.bin.manifest.json`;

/** What a person types to update the device. @param running the version it has */
export function updateCommands(
  { state, serial }: Pick<Flags, "state" | "serial">,
  running: string,
): string {
  const [major = 1, minor = 0] = running.split(".").map(Number);
  const version = `${major}.${minor + 1}.0`;
  const where = state === ".skerry" ? "" : ` --state ${state}`;
  const which = serial === "SN-0001" ? "" : ` --serial ${serial}`;
  const run = "  npm run --silent skerry --";
  const image = join(state, "good.bin");
  return `${run} image --version ${version} ${image}\n${run} update${where}${which} ${image}`;
}

export function updateCommand(): Command {
  return new Command("update")
    .description(
      "give a device of the running local cloud new firmware; exit code 0 once it is confirmed",
    )
    .argument("<image>", "the image, as devices download it")
    .option("--thing <name>", "which device; default is that of --serial")
    .option("--manifest <file>", "its signed manifest; default: the cloud signs the image itself")
    .option("--http", "by a presigned link instead of an MQTT stream")
    .addHelpText("after", help)
    .allowExcessArguments(false)
    .action((image: string, _flags, command: Command) =>
      run(image, command.optsWithGlobals() as Flags),
    );
}

async function run(image: string, flags: Flags): Promise<void> {
  const state = resolve(flags.state);
  const endpoint = endpointIn(state);
  const objects = endpointIn(state, "objects");
  if (endpoint === undefined || objects === undefined)
    throw new Error(`${flags.state} says of no cloud where it listens: npm start makes one.`);
  if (!existsSync(image)) throw new Error(`There is no file ${image}.`);
  const bytes = readFileSync(image);
  const thing = flags.thing ?? `node-${flags.serial}`;
  const id = `${basename(image)
    .replace(/[^A-Za-z0-9_-]/g, "-")
    .slice(0, 32)}-${Date.now().toString(36)}`;
  const key = `${id}.bin`;
  await ask("PUT", new URL(`${bucket}/${key}`, objects), bytes);
  console.log(`${image}: ${bytes.length} bytes, for ${thing}`);
  const jobId =
    flags.manifest === undefined
      ? await createOtaUpdate(endpoint, id, key, thing, flags.http === true)
      : await createJob(endpoint, id, key, thing, flags.manifest, flags.http === true);
  console.log(`job ${jobId}`);
  const status = await watch(endpoint, thing, jobId, id);
  process.exitCode = status === "SUCCEEDED" ? 0 : 1;
}

/** The cloud signs, makes the stream, and has the job made. */
async function createOtaUpdate(
  endpoint: URL,
  id: string,
  key: string,
  thing: string,
  isHttp: boolean,
): Promise<string> {
  await ask("POST", new URL(`otaUpdates/${id}`, endpoint), {
    targets: [`${arnPrefix}thing/${thing}`],
    protocols: [isHttp ? "HTTP" : "MQTT"],
    roleArn,
    files: [
      {
        fileName: key,
        fileLocation: { s3Location: { bucket, key } },
        codeSigning: { startSigningJobParameter: { signingProfileName: localSignerName } },
      },
    ],
  });
  return `AFR_OTA-${id}`;
}

/** What the owner has signed goes as it is. */
async function createJob(
  endpoint: URL,
  id: string,
  key: string,
  thing: string,
  manifest: string,
  isHttp: boolean,
): Promise<string> {
  const signed = parseSignedManifest(readFileSync(manifest, "utf8"), manifest);
  const s3Location = { bucket, key };
  const link = `\${aws:iot:s3-presigned-url:https://s3.eu-west-1.amazonaws.com/${bucket}/${key}}`;
  if (!isHttp)
    await ask("POST", new URL(`streams/${id}`, endpoint), {
      roleArn,
      files: [{ fileId: 0, s3Location }],
    });
  const source = isHttp ? { url: link } : { stream: id, fileId: 0 };
  await ask("PUT", new URL(`jobs/${id}`, endpoint), {
    targets: [`${arnPrefix}thing/${thing}`],
    document: JSON.stringify(manifestDocument(signed, [source])),
    presignedUrlConfig: presigned,
  });
  return id;
}

/** Says each change. @returns the last status */
async function watch(endpoint: URL, thing: string, jobId: string, id: string): Promise<string> {
  let said = "";
  for (;;) {
    const execution = await executionOf(endpoint, thing, jobId);
    if (execution === undefined) await checkMade(endpoint, id);
    const { status = "", statusDetails } = execution ?? {};
    const details = Object.entries(statusDetails?.detailsMap ?? {});
    const line = [status, ...details.map(([name, value]) => `${name}: ${value}`)].join("  ");
    if (line !== said) console.log(line);
    said = line;
    if (!["", "QUEUED", "IN_PROGRESS"].includes(status)) return status;
    await sleep(pollMs);
  }
}

/** @returns undefined while there is none */
async function executionOf(
  endpoint: URL,
  thing: string,
  jobId: string,
): Promise<Execution | undefined> {
  const url = new URL(`things/${thing}/jobs/${jobId}`, endpoint);
  const response = await fetch(url, { headers: asOwner });
  const { execution } = (await response.json()) as { readonly execution?: Execution };
  return execution;
}

/** @throws Error with the cloud's own reason when the update could not be made */
async function checkMade(endpoint: URL, id: string): Promise<void> {
  const response = await fetch(new URL(`otaUpdates/${id}`, endpoint));
  const { otaUpdateInfo } = (await response.json()) as {
    readonly otaUpdateInfo?: { readonly errorInfo?: { readonly message: string } };
  };
  if (otaUpdateInfo?.errorInfo) throw new Error(otaUpdateInfo.errorInfo.message);
}

/** @throws Error with the service's own words */
async function ask(method: "PUT" | "POST", url: URL, body: object): Promise<void> {
  const isBytes = body instanceof Uint8Array;
  const response = await fetch(url, {
    method,
    body: isBytes ? new Uint8Array(body) : JSON.stringify(body),
  }).catch(cause => {
    throw new Error(`Nobody answers at ${url.origin}: is npm start running?`, { cause });
  });
  const answer = await response.text();
  if (!response.ok) throw new Error(`${method} ${url.pathname}: ${response.status} ${answer}`);
}
