// The agent's host interface over the virtual world. One for each boot: the flash stays, all else starts anew.
import { createECDH } from "node:crypto";
import { createCrypto } from "../../hosts/node/crypto.js";
import type { Crypto, Host, System } from "../../src/host.js";
import type { VirtualClock } from "./clock.js";
import type { Flash } from "./flash.js";
import type { Network } from "./network.js";
import type { NorFlash } from "./nor.js";
import { Power, poweredTimer } from "./power.js";
import type { Random } from "./random.js";
import type { Sleep } from "./sleep.js";
import type { Slots } from "./slots.js";

export interface VirtualHostOptions {
  readonly id: string;
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly network: Network;
  readonly flash: Flash;
  /** The partition `outbox` of raw flash; a machine without has none. */
  readonly nor?: NorFlash;
  /** Slots for firmware: they are booted here, which `power` may cut. A machine without has no `update`. */
  readonly slots?: Slots;
  readonly power?: Power;
  /** Why the machine started; default: it does not tell. */
  readonly resetReason?: System["resetReason"];
  /** A machine without cannot sleep. */
  readonly sleep?: Sleep;
  readonly onRestart?: () => void;
}

/** @throws PowerCut when the power goes while the slots are booted */
export function virtualHost(options: VirtualHostOptions): Host {
  const { id, clock, random, network, flash, nor, onRestart, resetReason, sleep, slots } = options;
  const power = options.power ?? new Power();
  const restart = () => onRestart?.();
  const crypto = seededCrypto(random);
  const update = slots?.boot({ crypto, power, restart });
  const outbox = nor?.provider("outbox", power);
  const raw = update?.provider(outbox) ?? outbox;
  const nap = sleep && { sleep: (ms: number) => sleep.begin(power, ms), retained: sleep };
  const { socket, resolver } = network.classes(power);
  return {
    clock,
    timer: poweredTimer(clock, power),
    crypto,
    system: { id, resetReason, restart, freeHeapBytes: () => undefined, ...nap },
    dns: { io: resolver },
    tls: { io: socket },
    keyValue: flash.provider(power),
    ...(raw && { flash: raw }),
    ...(update && { update }),
  };
}

/** ECPrivateKey in PKCS#8 for P-256, up to the 32 bytes of the scalar, and between those and the public point. */
const pkcs8Head = Buffer.from(
  "308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420",
  "hex",
);
const pkcs8Middle = Buffer.from("a144034200", "hex");

function seededCrypto(random: Random): Crypto {
  return {
    ...createCrypto(),
    random: byteLength => random.bytes(byteLength),
    generateKeyPair: () => {
      const ecdh = createECDH("prime256v1");
      const scalar = random.bytes(32);
      // Below the order of the curve, whose first byte is 0xff, and not zero.
      scalar[0] = (scalar[0]! & 0x7f) | 1;
      ecdh.setPrivateKey(scalar);
      const publicKey = new Uint8Array(ecdh.getPublicKey());
      const privateKey = new Uint8Array(Buffer.concat([pkcs8Head, scalar, pkcs8Middle, publicKey]));
      return { privateKey, publicKey };
    },
  };
}
