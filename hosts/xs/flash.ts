// Raw flash in the guest: the owner's partitions, opened and used across the bridge.

import type { Flash, FlashProvider, FlashStatus } from "../../src/host.js";
import type { Bridge } from "./bridge.js";

/** @returns undefined when the owner's machine has none */
export function createFlash(bridge: Bridge): FlashProvider | undefined {
  if (bridge.request("flash.isThere").value !== true) return undefined;
  return {
    open: ({ path, mode = "r+" }) => {
      const id = bridge.id();
      bridge.request("flash.open", [id, path, mode]);
      return new GuestFlash(bridge, id);
    },
  };
}

class GuestFlash implements Flash {
  readonly #bridge: Bridge;
  readonly #id: number;

  constructor(bridge: Bridge, id: number) {
    this.#bridge = bridge;
    this.#id = id;
  }

  status(): FlashStatus {
    return this.#bridge.request("flash.status", [this.#id]).value as FlashStatus;
  }

  read(byteLength: number, byteOffset: number): ArrayBuffer;
  read(buffer: Uint8Array, byteOffset: number): number;
  read(target: number | Uint8Array, byteOffset: number): ArrayBuffer | number {
    const length = typeof target === "number" ? target : target.length;
    const { bytes } = this.#bridge.request("flash.read", [this.#id, length, byteOffset]);
    if (typeof target === "number") return bytes.buffer as ArrayBuffer;
    target.set(bytes);
    return length;
  }

  write(bytes: Uint8Array, byteOffset: number): void {
    this.#bridge.request("flash.write", [this.#id, byteOffset], bytes);
  }

  eraseBlock(first: number, end: number = first + 1): void {
    this.#bridge.request("flash.eraseBlock", [this.#id, first, end]);
  }

  close(): void {
    this.#bridge.request("flash.close", [this.#id]);
  }
}
