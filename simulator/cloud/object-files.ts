// Where the bytes of objects lie: in memory, or each version in two files of a folder. Knows neither buckets nor bounds.

import { open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { CloudError, messageOf, systemCode } from "./errors.js";
import { damaged, makeDirectory, parseFile, readText, writeText } from "./files.js";

const infoSchema = v.object({
  format: v.literal(1),
  bucket: v.string(),
  key: v.string(),
  version: v.string(),
  /** Lower-case hex MD5, as S3 gives it to what was put in one piece; without its quotes. */
  etag: v.string(),
  size: v.number(),
  /** Epoch milliseconds. */
  modifiedAt: v.number(),
  /** Counts puts: later versions have higher numbers. */
  sequence: v.number(),
});

/** One version of an object, without its bytes. */
export type ObjectInfo = Readonly<Omit<v.InferOutput<typeof infoSchema>, "format">>;

export interface ObjectFiles {
  /** Durable when it resolves. */
  write(info: ObjectInfo, bytes: Uint8Array): Promise<void>;
  read(info: ObjectInfo, from: number, to: number): Promise<Uint8Array>;
  /** Harmless for what is not there. */
  remove(info: ObjectInfo): Promise<void>;
}

export class MemoryFiles implements ObjectFiles {
  readonly #files = new Map<string, Uint8Array>();

  async write({ version }: ObjectInfo, bytes: Uint8Array): Promise<void> {
    this.#files.set(version, bytes.slice());
  }

  async read({ version }: ObjectInfo, from: number, to: number): Promise<Uint8Array> {
    const bytes = this.#files.get(version);
    if (bytes === undefined) throw new CloudError("cloud/not-found", `Version ${version} is gone.`);
    return bytes.subarray(from, to);
  }

  async remove({ version }: ObjectInfo): Promise<void> {
    this.#files.delete(version);
  }
}

/** Bytes in `<version>.bin`, the rest in `<version>.json`, which is written last: without it there is no object. */
export class DiskFiles implements ObjectFiles {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** @throws CloudError "cloud/damaged-state", "cloud/unusable-directory" */
  static async open(directory: string): Promise<{ files: DiskFiles; infos: ObjectInfo[] }> {
    await makeDirectory(directory);
    const names = new Set(await readdir(directory));
    const infos: ObjectInfo[] = [];
    for (const name of names) {
      if (!name.endsWith(".json")) continue;
      const path = join(directory, name);
      const { format: _format, ...info } = parseFile(
        path,
        (await readText(path)) ?? "",
        infoSchema,
      );
      await checkSize(join(directory, `${info.version}.bin`), info.size);
      infos.push(info);
    }
    for (const name of names) {
      const version = name.replace(/\.(bin|bin\.new|json\.new)$/, "");
      const isLeftOver = name.endsWith(".new") || !names.has(`${version}.json`);
      if (version !== name && isLeftOver) await rm(join(directory, name), { force: true });
    }
    return { files: new DiskFiles(directory), infos };
  }

  async write(info: ObjectInfo, bytes: Uint8Array): Promise<void> {
    await writeText(this.#path(info, "bin"), bytes);
    await writeText(this.#path(info, "json"), `${JSON.stringify({ format: 1, ...info })}\n`);
  }

  async read(info: ObjectInfo, from: number, to: number): Promise<Uint8Array> {
    const file = await open(this.#path(info, "bin"), "r");
    try {
      const bytes = new Uint8Array(to - from);
      const { bytesRead } = await file.read(bytes, 0, bytes.length, from);
      if (bytesRead === bytes.length) return bytes;
      throw damaged(this.#path(info, "bin"), `it ends at byte ${from + bytesRead}`);
    } finally {
      await file.close();
    }
  }

  async remove(info: ObjectInfo): Promise<void> {
    await rm(this.#path(info, "json"), { force: true });
    await rm(this.#path(info, "bin"), { force: true });
  }

  #path({ version }: ObjectInfo, ending: "bin" | "json"): string {
    return join(this.#directory, `${version}.${ending}`);
  }
}

async function checkSize(path: string, size: number): Promise<void> {
  let found: number;
  try {
    found = (await stat(path)).size;
  } catch (cause) {
    throw damaged(path, systemCode(cause) ?? messageOf(cause), cause);
  }
  if (found !== size) throw damaged(path, `it has ${found} bytes, not ${size}`);
}
