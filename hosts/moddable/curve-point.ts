// Points of the SDK's curves, from their uncompressed encoding.
import type Curve from "curve";
import ECPoint from "ecp";
import { toBigInt } from "./p256.js";

/** Uncompressed, both coordinates in the field, on the curve. @param size octets of a coordinate */
export function isOnCurve({ a, b, m }: Curve["ec"], size: number, point: Uint8Array): boolean {
  if (point.length !== 1 + 2 * size || point[0] !== 4) return false;
  const { X: x, Y: y } = toPoint(point);
  if (x >= m || y >= m) return false;
  const rest = (x * x * x + a * x + b - y * y) % m;
  // A preloaded BigInt is never equal to one that was computed.
  return !(rest < 0n || rest > 0n);
}

export function toPoint(point: Uint8Array): ECPoint {
  const size = (point.length - 1) / 2;
  return new ECPoint(toBigInt(point.subarray(1, 1 + size)), toBigInt(point.subarray(1 + size)));
}
