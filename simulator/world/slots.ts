// A virtual machine's slots for firmware, over NOR flash that wears and tears. They stay from boot to boot.
import { type ImageParts, isWhole, makeImage, readImage } from "../../hosts/emulation/image.js";
import { EmulatedSlots } from "../../hosts/emulation/slots.js";
import { createCrypto } from "../../hosts/node/crypto.js";
import type { Crypto, FlashProvider } from "../../src/host.js";
import { NorFlash, type NorOptions, type Spender } from "./nor.js";
import type { Power } from "./power.js";

export type PartitionLabel = "ota_0" | "ota_1" | "otadata";

/** As `NorOptions`; `blocks` are those of one slot, 32 when absent. */
export interface SlotsOptions extends NorOptions {
  /** What stands in `ota_0` from the start on; without it the program there is nowhere to be found, and yet runs. */
  readonly image?: Uint8Array;
}

export interface BootOptions {
  readonly crypto: Crypto;
  readonly power: Power;
  restart(): void;
}

export class Slots {
  readonly partitions: Readonly<Record<PartitionLabel, NorFlash>>;
  readonly #isProgramElsewhere: boolean;

  constructor(options: SlotsOptions = {}, partitions?: Slots["partitions"]) {
    const { image, blocks = 32, seed = 1, ...shape } = options;
    this.#isProgramElsewhere = image === undefined;
    this.partitions = partitions ?? {
      ota_0: new NorFlash({ ...shape, blocks, seed }),
      ota_1: new NorFlash({ ...shape, blocks, seed: seed + 1 }),
      otadata: new NorFlash({ ...shape, blocks: 2, seed: seed + 2 }),
    };
    if (image !== undefined && partitions === undefined) this.partitions.ota_0.bytes.set(image);
  }

  /** Others with the same content and wear. */
  clone(): Slots {
    const { ota_0, ota_1, otadata } = this.partitions;
    const copies = { ota_0: ota_0.clone(), ota_1: ota_1.clone(), otadata: otadata.clone() };
    const image = this.#isProgramElsewhere ? {} : { image: new Uint8Array(0) };
    return new Slots(image, copies);
  }

  /** Starts the machine: what a bootloader does is done when it returns. @throws PowerCut */
  boot({ crypto, power, restart }: BootOptions): EmulatedSlots {
    const slots = new EmulatedSlots({
      flash: this.provider(power),
      crypto,
      restart,
      isProgramElsewhere: this.#isProgramElsewhere,
    });
    slots.boot();
    return slots;
  }

  /** The partitions under their own labels, as a bootloader opens them. */
  provider(power?: Spender): FlashProvider {
    return {
      open: ({ path, mode }) => {
        if (!Object.hasOwn(this.partitions, path)) throw new Error(`no partition ${path}`);
        return this.partitions[path as PartitionLabel].open(power, mode === "r");
      },
    };
  }

  /** What is in a slot, such as `update.running`. @returns undefined for no image, and for one that is not whole */
  image(label: string): ImageParts | undefined {
    const slot = this.provider().open({ path: label, mode: "r" });
    const layout = readImage(slot);
    if (layout === undefined || !isWhole(slot, createCrypto())) return undefined;
    const { description, payloadOffset, payloadLength } = layout;
    const payload = new Uint8Array(slot.read(payloadLength, payloadOffset));
    return { product: description.product ?? "", version: description.version ?? "", payload };
  }
}

/** An image that `Slots` takes. */
export function virtualImage(parts: ImageParts): Uint8Array {
  return makeImage(createCrypto(), parts);
}
