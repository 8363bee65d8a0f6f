// Object storage as far as updates need it: buckets come with their first object, every put makes a version.

import { createHash } from "node:crypto";
import { type Clock, type Random, randomHex } from "./environment.js";
import { CloudError } from "./errors.js";
import { type ObjectLimits, objectLimits } from "./limits.js";
import { DiskFiles, MemoryFiles, type ObjectFiles, type ObjectInfo } from "./object-files.js";

export type { ObjectInfo } from "./object-files.js";

export interface ObjectAddress {
  readonly bucket: string;
  readonly key: string;
  /** Absent: the newest. */
  readonly version?: string;
}

export interface ObjectsOptions {
  /** A folder of its own; absent: in memory. */
  readonly directory?: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits?: Partial<ObjectLimits>;
}

const bucketPattern = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

export function isBucketName(text: string): boolean {
  return bucketPattern.test(text);
}

export class Objects {
  readonly limits: ObjectLimits;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #files: ObjectFiles;
  /** Versions of each object, oldest first. */
  readonly #versions = new Map<string, ObjectInfo[]>();
  #count = 0;
  #bytes = 0;
  #sequence = 0;

  private constructor(options: ObjectsOptions, files: ObjectFiles, infos: readonly ObjectInfo[]) {
    this.limits = { ...objectLimits, ...options.limits };
    this.#clock = options.clock;
    this.#random = options.random;
    this.#files = files;
    for (const info of infos) {
      this.#reserve(info);
      this.#show(info);
    }
  }

  /** @throws CloudError "cloud/damaged-state", "cloud/unusable-directory" */
  static async open(options: ObjectsOptions): Promise<Objects> {
    if (options.directory === undefined) return new Objects(options, new MemoryFiles(), []);
    const { files, infos } = await DiskFiles.open(options.directory);
    return new Objects(options, files, infos);
  }

  /**
   * Stores a new version; durable when it resolves.
   *
   * @throws CloudError "cloud/invalid-object", "cloud/too-large", "cloud/full", "cloud/write-failed"
   */
  async put(bucket: string, key: string, bytes: Uint8Array): Promise<ObjectInfo> {
    this.#check(bucket, key, bytes.length);
    let oldest = this.#inTheWay(bytes.length);
    for (; oldest !== undefined; oldest = this.#inTheWay(bytes.length)) await this.#remove(oldest);
    const info: ObjectInfo = {
      bucket,
      key,
      version: randomHex(this.#random, 16),
      etag: createHash("md5").update(bytes).digest("hex"),
      size: bytes.length,
      modifiedAt: this.#clock.now(),
      sequence: this.#sequence + 1,
    };
    this.#reserve(info);
    try {
      await this.#files.write(info, bytes);
    } catch (error) {
      this.#release(info);
      throw error;
    }
    this.#show(info);
    return info;
  }

  find({ bucket, key, version }: ObjectAddress): ObjectInfo | undefined {
    const versions = this.#versions.get(nameOf(bucket, key)) ?? [];
    if (version === undefined) return versions.at(-1);
    return versions.find(info => info.version === version);
  }

  /** Bytes `from` to before `to`. @throws CloudError "cloud/not-found" when it was removed meanwhile */
  read(info: ObjectInfo, from = 0, to = info.size): Promise<Uint8Array> {
    return this.#files.read(info, from, Math.min(to, info.size));
  }

  /** Without a version all of them go: there are no delete markers. @returns false when there was nothing */
  async remove(address: ObjectAddress): Promise<boolean> {
    const versions = this.#versions.get(nameOf(address.bucket, address.key)) ?? [];
    const doomed = versions.filter(({ version }) =>
      address.version === undefined ? true : version === address.version,
    );
    for (const info of doomed) await this.#remove(info);
    return doomed.length > 0;
  }

  #check(bucket: string, key: string, byteLength: number): void {
    const { objectBytes, keyBytes } = this.limits;
    const keyLength = Buffer.byteLength(key);
    if (!isBucketName(bucket)) {
      const message = `The bucket name "${bucket}" is not 3 to 63 of a-z 0-9 . -, with a letter or digit at both ends.`;
      throw new CloudError("cloud/invalid-object", message);
    }
    if (keyLength < 1 || keyLength > keyBytes) {
      const message = `The key of an object in ${bucket} has ${keyLength} bytes, it needs 1 to ${keyBytes}.`;
      throw new CloudError("cloud/invalid-object", message);
    }
    if (byteLength > objectBytes) {
      const message = `The object ${bucket}/${key} has ${byteLength} bytes, at most ${objectBytes} are taken.`;
      throw new CloudError("cloud/too-large", message);
    }
  }

  /** Versions that were replaced go, oldest first; what is newest of its name stays. */
  #inTheWay(byteLength: number): ObjectInfo | undefined {
    const { totalBytes, objects } = this.limits;
    if (this.#bytes + byteLength <= totalBytes && this.#count < objects) return undefined;
    const [oldest] = [...this.#versions.values()]
      .flatMap(versions => versions.slice(0, -1))
      .sort((a, b) => a.sequence - b.sequence);
    if (oldest !== undefined) return oldest;
    const message = `There is no room for ${byteLength} bytes: ${this.#count} objects with ${this.#bytes} bytes are stored, at most ${objects} with ${totalBytes} may be.`;
    throw new CloudError("cloud/full", message);
  }

  /** Its room is taken from now on; it is found when it is durable. */
  #reserve({ size, sequence }: ObjectInfo): void {
    this.#count++;
    this.#bytes += size;
    this.#sequence = Math.max(this.#sequence, sequence);
  }

  #release({ size }: ObjectInfo): void {
    this.#count--;
    this.#bytes -= size;
  }

  #show(info: ObjectInfo): void {
    const name = nameOf(info.bucket, info.key);
    const versions = [...(this.#versions.get(name) ?? []), info];
    this.#versions.set(
      name,
      versions.sort((a, b) => a.sequence - b.sequence),
    );
  }

  async #remove(info: ObjectInfo): Promise<void> {
    const name = nameOf(info.bucket, info.key);
    const versions = this.#versions.get(name) ?? [];
    const left = versions.filter(each => each !== info);
    if (left.length === versions.length) return;
    if (left.length > 0) this.#versions.set(name, left);
    else this.#versions.delete(name);
    this.#release(info);
    await this.#files.remove(info);
  }
}

/** A bucket's name has no slash. */
function nameOf(bucket: string, key: string): string {
  return `${bucket}/${key}`;
}
