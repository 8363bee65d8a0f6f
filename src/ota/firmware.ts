// What a product says of its firmware, and who may replace it.
import type { Host } from "../host.js";
import { refuse, wholeNumber } from "../util/checked.js";
import { checkSigners, type SignerOptions } from "./signers.js";
import { parseVersion, printAfrVersion, toAfrVersion } from "./version.js";

export interface FirmwareOptions {
  /** Of the product's firmware, 1 to 64 visible ASCII characters, as `1.4.0`; semantic where updates are to be compared with it. */
  readonly version: string;
  /** What a manifest has to name; 1 to 64 visible ASCII characters. */
  readonly product?: string;
  readonly hardware?: string;
  /** Who signs firmware. Without it no firmware is taken by way of jobs. */
  readonly signers?: readonly SignerOptions[];
  /** How many of the signers have to sign a manifest; default 1. */
  readonly threshold?: number;
  /** Nothing below is installed from the time on this firmware is confirmed. */
  readonly minimumVersion?: string;
  /** Takes versions that are not newer than the one that runs, down to the floor; default false. */
  readonly allowDowngrade?: boolean;
  /** Takes nothing without a signed manifest, such as AWS's own documents (`afr_ota`); default false. */
  readonly manifestOnly?: boolean;
  /** How long a new image has to connect and be well before the one before is gone back to, 60 to 86,400; default 600. */
  readonly trialSeconds?: number;
  /** How long it must have been well without a break, 0 to 3600; default 30. */
  readonly settleSeconds?: number;
}

/** What an updater needs of the options. */
export interface CheckedFirmware {
  readonly version: string;
  readonly product: string | undefined;
  readonly hardware: string | undefined;
  readonly signers: readonly SignerOptions[];
  readonly threshold: number;
  readonly minimumVersion: string | undefined;
  readonly allowDowngrade: boolean;
  readonly manifestOnly: boolean;
  readonly trialMs: number;
  readonly settleMs: number;
  /** PEM; of the servers that images are fetched from. */
  readonly trustAnchors: readonly string[];
}

/**
 * @returns undefined where no firmware is taken
 * @throws  AgentError "agent/options"
 */
export function checkFirmware(
  options: FirmwareOptions | undefined,
  trustAnchors: readonly string[],
  host: Pick<Host, "update" | "flash">,
): CheckedFirmware | undefined {
  if (options?.signers === undefined) return undefined;
  const { version, product, hardware, signers, threshold = 1, minimumVersion } = options;
  checkSigners({ signers, threshold }, "firmware");
  if (!host.update || !host.flash) refuse("firmware.signers: this host has no slots for firmware");
  if (parseVersion(version) === undefined)
    refuse(`firmware.version "${version}" is no semantic version: no update could be newer`);
  if (minimumVersion !== undefined && parseVersion(minimumVersion) === undefined)
    refuse(`firmware.minimumVersion "${minimumVersion}" is no semantic version`);
  checkName(product, "product");
  checkName(hardware, "hardware");
  return {
    version,
    product,
    hardware,
    signers,
    threshold,
    minimumVersion,
    allowDowngrade: options.allowDowngrade === true,
    manifestOnly: options.manifestOnly === true,
    trialMs: seconds(options.trialSeconds ?? 600, 60, 86_400, "trialSeconds"),
    settleMs: seconds(options.settleSeconds ?? 30, 0, 3600, "settleSeconds"),
    trustAnchors,
  };
}

function checkName(name: string | undefined, what: string): void {
  if (name !== undefined && !/^[!-~]{1,64}$/.test(name))
    refuse(`firmware.${what} "${name}" is not 1 to 64 visible ASCII characters`);
}

function seconds(value: number, least: number, most: number, what: string): number {
  return wholeNumber(value, least, most, `firmware.${what}`) * 1000;
}

/** What AWS's own library reports at the two sides of a restart (protocol of `afr_ota`, self test). */
export function selfTest(
  state: "ready" | "active",
  version: string,
): { readonly self_test: string; readonly updatedBy: string } {
  const number = toAfrVersion(version);
  return {
    self_test: state,
    updatedBy: number === undefined ? version : printAfrVersion(number),
  };
}
