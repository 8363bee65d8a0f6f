// Images of a virtual device's firmware. The program is the sensor node of this process, whatever is in a slot: an image brings its
// version, and says what it does.
import { isWhole, makeImage, readImage } from "../../hosts/emulation/image.js";
import { createCrypto } from "../../hosts/node/crypto.js";
import { createFlash } from "../../hosts/node/flash.js";
import { type Behaviour, type Firmware, product } from "./updatable.js";

export const behaviours: readonly Behaviour[] = ["good", "crashes", "offline", "unhealthy"];

/** Of each of the two slots, 4096 bytes each. */
export const slotBlocks = 512;
/** So that a download comes in some blocks. */
const payloadBytes = 65_536;

export function packBehaviour({ version, behaviour }: Firmware): Uint8Array {
  const payload = Buffer.from(JSON.stringify({ behaviour }).padEnd(payloadBytes));
  return makeImage(createCrypto(), { product, version, payload });
}

/**
 * What is in a slot of the device in a directory.
 *
 * @returns undefined where there is no whole image
 * @throws  Error for an image of something else than a virtual sensor node
 */
export function firmwareIn(directory: string, slot: string): Firmware | undefined {
  const flash = createFlash(directory, { [slot]: { blocks: slotBlocks } });
  const partition = flash.open({ path: slot, mode: "r" });
  try {
    const image = readImage(partition);
    if (image === undefined || !isWhole(partition, createCrypto())) return undefined;
    const { description, payloadOffset, payloadLength } = image;
    const text = Buffer.from(partition.read(payloadLength, payloadOffset)).toString();
    return { version: description.version ?? "", behaviour: behaviourOf(text) };
  } finally {
    partition.close();
  }
}

function behaviourOf(payload: string): Behaviour {
  const found = parsed(payload);
  const behaviour = behaviours.find(each => each === found?.behaviour);
  if (behaviour === undefined) throw new Error("this image holds no program for a virtual device");
  return behaviour;
}

function parsed(text: string): { readonly behaviour?: unknown } | undefined {
  try {
    return JSON.parse(text) ?? undefined;
  } catch {
    return undefined;
  }
}
