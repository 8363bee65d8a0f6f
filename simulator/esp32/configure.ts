// The command `configure`: Wi-Fi and pins of the bench, and the configuration for a cloud other than the local one.
import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import type { BoardConfig } from "../../examples/sensor-node/moddable/config.js";
import { benchPath, readBench, type WiFi, writeBench, writeSecret } from "./configuration.js";

export interface ConfigureFlags {
  readonly config?: string;
  readonly ssid?: string;
  readonly password?: string;
  readonly passwordFile?: string;
  readonly open?: boolean;
  readonly led?: number;
  readonly ledOn?: number;
  readonly button?: number;
  readonly window?: number;
  readonly timeServer?: readonly string[];
  readonly endpoint?: string;
  readonly endpointPort?: number;
  readonly anchor?: readonly string[];
  readonly claim?: string;
  readonly claimKey?: string;
  readonly template?: string;
  readonly thing?: string;
  readonly certificate?: string;
  readonly key?: string;
  readonly serial?: string;
  readonly signer?: string;
}

/** @returns lines that say what was written */
export async function configure(flags: ConfigureFlags): Promise<string[]> {
  const config =
    flags.config ?? (flags.endpoint === undefined ? ".skerry/firmware.json" : ".skerry/aws.json");
  const said: string[] = [];
  refuseIdle(flags);
  // All of it is looked at before any of it is written.
  const cloud = flags.endpoint === undefined ? undefined : cloudOf(flags, flags.endpoint);
  const wifi = flags.ssid === undefined ? undefined : await wifiOf(flags, flags.ssid);
  const before = readBench(config);
  const board = boardOf(flags, before.board);
  const sntp = flags.timeServer;
  for (const name of sntp ?? []) checkHost("--time-server", name);
  if (cloud !== undefined) {
    writeSecret(config, `${JSON.stringify({ config: { sensorNode: cloud } }, null, 2)}\n`);
    said.push(`${config}: endpoint ${flags.endpoint}; build with --config ${config}`);
  }
  const isOfBench = [wifi, board, sntp, flags.window].some(value => value !== undefined);
  if (isOfBench) {
    writeBench(config, {
      ...before,
      ...(wifi && { wifi }),
      ...(board && { board }),
      ...(sntp && { sntp }),
      ...(flags.window === undefined ? {} : { windowSeconds: flags.window }),
    });
    const what = wifi === undefined ? "the board" : `Wi-Fi ${JSON.stringify(wifi.ssid)}`;
    said.push(`${benchPath(config)}: ${what}; for every configuration in that folder`);
  }
  if (said.length === 0) throw new Error("There is nothing to configure: see --help.");
  return said;
}

async function wifiOf(flags: ConfigureFlags, ssid: string): Promise<WiFi> {
  const bytes = Buffer.byteLength(ssid);
  if (bytes < 1 || bytes > 32)
    throw new Error(`--ssid: ${bytes} bytes; the name of a Wi-Fi has 1 to 32.`);
  if (flags.open) return { ssid };
  const password =
    flags.password ??
    (flags.passwordFile === undefined
      ? await askPassword(ssid)
      : readText("--password-file", flags.passwordFile).split(/\r?\n/, 1)[0]!);
  if (!/^[ -~]{8,63}$/.test(password) && !/^[0-9A-Fa-f]{64}$/.test(password))
    throw new Error(
      `The password has ${password.length} characters; WPA takes 8 to 63 of ASCII, or 64 hexadecimal digits. For a network without one: --open`,
    );
  return { ssid, password };
}

/** Typed unseen; or a line from whatever feeds the input. */
function askPassword(ssid: string): Promise<string> {
  const { stdin, stderr } = process;
  stderr.write(`Password of ${JSON.stringify(ssid)}: `);
  const output = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: stdin, output, terminal: stdin.isTTY === true });
  return new Promise((resolve, reject) => {
    lines.once("line", line => {
      stderr.write("\n");
      resolve(line);
      lines.close();
    });
    lines.once("close", () => reject(new Error("No password was given.")));
  });
}

function boardOf(
  { led, ledOn, button }: ConfigureFlags,
  before: BoardConfig | undefined,
): BoardConfig | undefined {
  if (led === undefined && button === undefined && ledOn === undefined) return undefined;
  return {
    ...before,
    ...(led === undefined ? {} : { ledPin: led }),
    ...(ledOn === undefined ? {} : { ledOn: ledOn === 0 ? 0 : 1 }),
    ...(button === undefined ? {} : { buttonPin: button }),
  };
}

function cloudOf(flags: ConfigureFlags, endpoint: string): object {
  checkEndpoint(endpoint);
  const { anchor = [], serial, signer } = flags;
  if (anchor.length === 0)
    throw new Error(
      "--anchor is missing: the certificate of the authority that the endpoint's chain leads to. AWS: https://www.amazontrust.com/repository/AmazonRootCA1.pem",
    );
  return {
    endpoint,
    port: flags.endpointPort ?? 8883,
    trustAnchors: anchor.map(anchorIn),
    ...identityOf(flags),
    ...(serial === undefined ? {} : { serialNumber: serial }),
    product: "sensor-node",
    hardware: "devkit",
    ...(signer === undefined
      ? {}
      : { signers: [{ name: "release", publicKey: publicKeyIn(signer) }], threshold: 1 }),
  };
}

/** What says nothing without another option is refused: it would be passed over without a word. */
function refuseIdle(flags: ConfigureFlags): void {
  const { ssid, endpoint } = flags;
  const ofWifi = { password: "password", passwordFile: "password-file", open: "open" } as const;
  const ofCloud = {
    endpointPort: "endpoint-port",
    anchor: "anchor",
    claim: "claim",
    claimKey: "claim-key",
    template: "template",
    thing: "thing",
    certificate: "certificate",
    key: "key",
    serial: "serial",
    signer: "signer",
  } as const;
  const refuse = (names: Partial<Record<keyof ConfigureFlags, string>>, wanted: string) => {
    for (const [flag, name] of Object.entries(names))
      if (flags[flag as keyof ConfigureFlags] !== undefined)
        throw new Error(`--${name} counts only with ${wanted}, which is missing.`);
  };
  if (ssid === undefined) refuse(ofWifi, "--ssid");
  if (endpoint === undefined) refuse(ofCloud, "--endpoint");
  if (flags.password !== undefined && flags.passwordFile !== undefined)
    throw new Error("Either --password or --password-file: both were given.");
}

function checkHost(flag: string, name: string): void {
  if (!/^[A-Za-z0-9.-]{1,253}$/.test(name))
    throw new Error(`${flag} ${name}: a host name is wanted, without scheme, port or path.`);
}

function checkEndpoint(endpoint: string): void {
  checkHost("--endpoint", endpoint);
  if (
    /^[a-z0-9]+\.iot\.[a-z0-9-]+\.amazonaws\.com$/.test(endpoint) &&
    !/^[a-z0-9]+-ats\./.test(endpoint)
  )
    throw new Error(
      `--endpoint ${endpoint}: AWS has retired the authority behind it. Take the one that "aws iot describe-endpoint --endpoint-type iot:Data-ATS" says.`,
    );
}

function identityOf(flags: ConfigureFlags): object {
  const { claim, claimKey, template, thing, certificate, key } = flags;
  const isClaimed = [claim, claimKey, template].some(flag => flag !== undefined);
  const isOwn = [thing, certificate, key].some(flag => flag !== undefined);
  if (isClaimed && isOwn)
    throw new Error("Either a claim or an identity of its own: options of both were given.");
  if (claim && claimKey && template) {
    if (!/^[A-Za-z0-9_-]{1,36}$/.test(template))
      throw new Error(`--template ${template}: it is not 1 to 36 of A-Z a-z 0-9 _ -.`);
    return { claim: pairIn(["--claim", claim], ["--claim-key", claimKey]), template };
  }
  if (thing && certificate && key) {
    if (!/^[A-Za-z0-9:_-]{1,128}$/.test(thing))
      throw new Error(`--thing ${thing}: it is not 1 to 128 of A-Z a-z 0-9 : _ -.`);
    return { thingName: thing, ...pairIn(["--certificate", certificate], ["--key", key]) };
  }
  throw new Error(
    "A device needs a claim (--claim, --claim-key and --template), or an identity of its own (--thing, --certificate and --key).",
  );
}

type File = readonly [flag: string, path: string];

/** The certificate and its key, which is made PKCS#8: AWS gives PKCS#1. */
function pairIn(certificateFile: File, keyFile: File): { certificate: string; key: string } {
  const certificate = certificateIn(certificateFile);
  let key: KeyObject;
  try {
    key = createPrivateKey(readText(...keyFile));
  } catch (cause) {
    throw new Error(`${keyFile.join(" ")}: no private key in PEM, or one with a passphrase.`, {
      cause,
    });
  }
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  const isTaken =
    namedCurve === "prime256v1" ||
    (key.asymmetricKeyType === "rsa" && modulusLength >= 2048 && modulusLength <= 4096);
  if (!isTaken)
    throw new Error(`${keyFile.join(" ")}: neither P-256 nor RSA of 2048 to 4096 bits.`);
  if (!certificate.checkPrivateKey(key))
    throw new Error(`${keyFile.join(" ")} does not belong to ${certificateFile[1]}.`);
  return {
    certificate: certificate.toString(),
    key: key.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

/** A private key has its public one in it, and OpenSSL would take it; in firmware it would be everybody's. */
function publicKeyIn(path: string): string {
  const text = readText("--signer", path);
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text))
    throw new Error(
      `--signer ${path} is a private key, which must not get into firmware. Its public one: openssl pkey -in ${path} -pubout`,
    );
  let key: KeyObject;
  try {
    if (!text.includes("-----BEGIN PUBLIC KEY-----")) throw new Error("no such block");
    key = createPublicKey(text);
  } catch (cause) {
    throw new Error(`--signer ${path}: no public key in PEM ("PUBLIC KEY").`, { cause });
  }
  const { namedCurve = "", modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  const isTaken =
    ["prime256v1", "secp384r1"].includes(namedCurve) ||
    (key.asymmetricKeyType === "rsa" && modulusLength >= 2048 && modulusLength <= 4096);
  if (!isTaken)
    throw new Error(`--signer ${path}: neither P-256, P-384 nor RSA of 2048 to 4096 bits.`);
  return key.export({ type: "spki", format: "pem" }).toString();
}

function anchorIn(path: string): string {
  const certificate = certificateIn(["--anchor", path]);
  if (!certificate.ca) throw new Error(`--anchor ${path} is no certificate of an authority.`);
  return certificate.toString();
}

function certificateIn([flag, path]: File): X509Certificate {
  const text = readText(flag, path);
  try {
    return new X509Certificate(text);
  } catch (cause) {
    throw new Error(`${flag} ${path}: no certificate in PEM.`, { cause });
  }
}

function readText(flag: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new Error(`${flag} ${path} cannot be read: ${(error as NodeJS.ErrnoException).code}.`);
  }
}
