// What an update is judged by, before anything is fetched and once all of it is in the slot: documents, signatures, the floor.
import { AgentError } from "../errors.js";
import type { Host, ImageDescription } from "../host.js";
import { isEqual, toHex } from "../util/bytes.js";
import type { Door } from "../wiring.js";
import { type Device, judge, judgeDescription, judgeSize } from "./decide.js";
import type { CheckedFirmware } from "./firmware.js";
import { Floor } from "./floor.js";
import { isImageTrusted, type Manifest, readManifest, requireSigner } from "./manifest.js";
import type { Offer } from "./offer.js";
import { Staging } from "./staging.js";

/** What is judged of a document before anything is fetched. */
export interface Judged {
  readonly offer: Offer;
  readonly manifest: Manifest | undefined;
  /** Names the file, 32 bytes. */
  readonly identity: Uint8Array;
  readonly size: number;
  /** SHA-256 of what is in the slot, once that was judged. */
  digest?: Uint8Array;
}

export interface JudgeOwner extends Door {
  readonly host: Host;
  readonly now: number | undefined;
  readonly timeFloor: number | undefined;
  fault(code: "storage/damaged" | "storage/write", message: string, cause: unknown): void;
}

export class Judge {
  readonly #owner: JudgeOwner;
  readonly #options: CheckedFirmware;

  constructor(owner: JudgeOwner, options: CheckedFirmware) {
    this.#owner = owner;
    this.#options = options;
  }

  /** @throws AgentError for a document that is not for this device, now */
  judge(offer: Offer): Judged {
    const { crypto } = this.#owner.host;
    if (offer.kind === "manifest") {
      const manifest = readManifest(offer, this.#options, crypto);
      this.requireManifest(manifest);
      return { offer, manifest, identity: manifest.sha256, size: manifest.size };
    }
    if (this.#options.manifestOnly)
      throw new AgentError("ota/untrusted", "only images with a signed manifest are taken");
    if (offer.fileType !== 0)
      throw new AgentError("ota/incompatible", `file type ${offer.fileType} is no firmware`);
    requireSigner(offer, this.#options, crypto);
    const wrong = judgeSize(offer.size, this.capacity);
    if (wrong) throw wrong;
    // The signature names the file, and who signs another file of that signature has broken it.
    const identity = crypto.digest("SHA-256", offer.signature);
    return { offer, manifest: undefined, identity, size: offer.size };
  }

  /** @throws AgentError for one that is not for this device, now */
  requireManifest(manifest: Manifest): void {
    const wrong = judge(manifest, this.device);
    if (wrong) throw wrong;
  }

  /** Of what is signed, and was not judged yet: hexadecimal. */
  nameOf(offer: Offer): string {
    const signed = offer.kind === "manifest" ? offer.manifest : offer.signature;
    return toHex(this.#owner.host.crypto.digest("SHA-256", signed));
  }

  /** @param digest SHA-256 of what was read back from the slot */
  isImage({ offer, manifest }: Judged, digest: Uint8Array): boolean {
    return offer.kind === "manifest"
      ? isEqual(digest, manifest!.sha256)
      : isImageTrusted(offer, digest, this.#options, this.#owner.host.crypto);
  }

  /** What an image says of itself has to be what was signed, or it would not pass its trial. @throws AgentError */
  requireDescribed({ manifest }: Judged, described: ImageDescription): void {
    const wrong = manifest
      ? misdescribed(described, manifest)
      : judgeDescription(described, this.device);
    if (wrong) throw wrong;
  }

  /** To the firmware's own, and to that of an image that is confirmed. */
  raise(minimumVersion: string | undefined): void {
    try {
      this.floor.raise(this.#options.minimumVersion);
      this.floor.raise(minimumVersion || undefined);
    } catch (cause) {
      this.#owner.fault("storage/write", "ota: the floor is not saved", cause);
    }
  }

  private get device(): Device {
    const { product, hardware, version, allowDowngrade, minimumVersion } = this.#options;
    const { now, timeFloor } = this.#owner;
    return {
      product,
      hardware,
      version,
      floor: this.floorAbove(minimumVersion),
      now,
      timeFloor,
      capacity: this.capacity,
      allowDowngrade,
    };
  }

  private get capacity(): number {
    const flash = this.#owner.host.flash!.open({ path: "nextota", mode: "r" });
    const { capacity } = new Staging(this.#owner, flash);
    flash.close();
    return capacity;
  }

  /** Where it cannot be read, nothing older than what runs is taken: a device that takes nothing at all could never be mended. */
  private floorAbove(own: string | undefined): string | undefined {
    try {
      return this.floor.above(own);
    } catch (cause) {
      this.#owner.fault("storage/damaged", "ota: the floor cannot be read", cause);
      return this.#options.version;
    }
  }

  private get floor(): Floor {
    return new Floor(this.#owner.host.keyValue);
  }
}

function misdescribed({ product, version }: ImageDescription, manifest: Manifest) {
  const isOther =
    (version ?? manifest.version) !== manifest.version ||
    (product ?? manifest.product) !== manifest.product;
  if (!isOther) return undefined;
  const says = `image says ${product ?? "no product"} ${version ?? ""}`;
  const signed = `its manifest ${manifest.product} ${manifest.version}`;
  return new AgentError("ota/image", `${says}, ${signed}`);
}
