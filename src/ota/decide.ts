// Whether an image that is trusted is also one for this device, now. Pure.
import { AgentError, type ErrorCode } from "../errors.js";
import type { ImageDescription } from "../host.js";
import type { Manifest } from "./manifest.js";
import { told } from "./reading.js";
import { compareVersions } from "./version.js";

export interface Device {
  /** Undefined: the product has not said. */
  readonly product: string | undefined;
  readonly hardware: string | undefined;
  /** Of the firmware that runs. */
  readonly version: string;
  /** Semantic version below which nothing is installed; undefined: none has been set. */
  readonly floor: string | undefined;
  /** Epoch ms; undefined: the clock is not set. */
  readonly now: number | undefined;
  /** Epoch ms that have passed for certain, when the firmware was built for example. */
  readonly timeFloor?: number | undefined;
  /** Bytes an image may have here. */
  readonly capacity: number;
  /** Takes older versions, down to the floor. */
  readonly allowDowngrade?: boolean | undefined;
}

/**
 * Of a manifest that `readManifest` has taken, before anything is downloaded.
 *
 * @returns why it is not for this device: AgentError "ota/expired", "ota/incompatible" or "ota/version", in this order
 */
export function judge(manifest: Manifest, device: Device): AgentError | undefined {
  const { type, expires, product, hardware, version, size } = manifest;
  return (
    judgeTime(expires, device) ??
    (type === "firmware" ? undefined : no("ota/incompatible", `a ${type}, not firmware`)) ??
    judgeName("product", [product], device.product) ??
    (hardware.length === 0 ? undefined : judgeName("hardware", hardware, device.hardware)) ??
    judgeVersion(version, device) ??
    judgeSize(size, device.capacity)
  );
}

/**
 * Of a trusted image without a manifest, by what it says of itself: what it does not say is not compared, but for the floor.
 *
 * @returns as `judge`
 */
export function judgeDescription(
  { product, version }: ImageDescription,
  device: Device,
): AgentError | undefined {
  const isOther = product !== undefined && device.product !== undefined;
  const other = isOther ? judgeName("product", [product], device.product) : undefined;
  if (other !== undefined) return other;
  if (version !== undefined) return judgeVersion(version, device);
  return device.floor === undefined
    ? undefined
    : no("ota/version", `image says no version, and none below ${device.floor} is taken`);
}

/** @returns AgentError "ota/incompatible" when the image does not fit */
export function judgeSize(size: number, capacity: number): AgentError | undefined {
  return size > capacity
    ? no("ota/incompatible", `image of ${size} bytes: there is room for ${capacity}`)
    : undefined;
}

function no(code: ErrorCode, reason: string): AgentError {
  return new AgentError(code, reason);
}

function judgeTime(
  expires: number | undefined,
  { now, timeFloor }: Device,
): AgentError | undefined {
  if (expires === undefined) return undefined;
  if (now === undefined && timeFloor === undefined)
    return no("ota/expired", `manifest expires at ${expires} s, and no time is known`);
  const time = Math.max(now ?? 0, timeFloor ?? 0);
  if (time < expires * 1000) return undefined;
  const known = now === undefined ? "at least (the clock is not set) " : "";
  return no(
    "ota/expired",
    `manifest has expired at ${expires} s, it is ${known}${Math.floor(time / 1000)} s`,
  );
}

function judgeName(
  what: "product" | "hardware",
  names: readonly string[],
  own: string | undefined,
): AgentError | undefined {
  if (own !== undefined && names.includes(own)) return undefined;
  const here = own === undefined ? "which the firmware does not tell" : `not ${told(own)}`;
  return no("ota/incompatible", `image is for ${what} ${told(names.join())}, ${here}`);
}

function judgeVersion(
  version: string,
  { version: running, floor, allowDowngrade }: Device,
): AgentError | undefined {
  const text = `image has version ${told(version)}`;
  const order = version === running ? 0 : compareVersions(version, running);
  if (order === 0) return no("ota/version", `${text}, ${told(running)} is running already`);
  if (allowDowngrade !== true && !isNewer(order))
    return no("ota/version", `${text}, not newer than ${told(running)}${unclear(order)}`);
  if (floor === undefined) return undefined;
  const height = compareVersions(version, floor);
  return height !== undefined && height >= 0
    ? undefined
    : no("ota/version", `${text}, none below ${told(floor)} is taken${unclear(height)}`);
}

function isNewer(order: number | undefined): boolean {
  return order !== undefined && order > 0;
}

function unclear(order: number | undefined): string {
  return order === undefined ? ": one of them is no semantic version" : "";
}

/** The floor once an image is confirmed: it never sinks. */
export function raiseFloor(
  floor: string | undefined,
  minimumVersion: string | undefined,
): string | undefined {
  if (floor === undefined || minimumVersion === undefined) return floor ?? minimumVersion;
  return isNewer(compareVersions(minimumVersion, floor)) ? minimumVersion : floor;
}
