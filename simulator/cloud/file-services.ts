// Objects, their downloads, streams and OTA updates, put together: all that carries files to devices.

import { join } from "node:path";
import * as v from "valibot";
import type { PemIdentity } from "./authority.js";
import { CodeSigning, signingSchemas } from "./code-signing.js";
import type { ControlRoute } from "./control-routes.js";
import { Downloads } from "./downloads.js";
import type { Clock, PendingWork, Random, Timer } from "./environment.js";
import { CloudError } from "./errors.js";
import type { ObjectLimits } from "./limits.js";
import { Objects } from "./objects.js";
import { placeholderLocation } from "./ota-document.js";
import { otaRoutes } from "./ota-routes.js";
import { type OtaEvent, type OtaJobs, OtaUpdates, otaSchemas } from "./ota-updates.js";
import { Presigner } from "./presign.js";
import type { Store } from "./store.js";
import { streamSchemas } from "./stream-records.js";
import { streamRoutes } from "./stream-routes.js";
import { Streams } from "./streams.js";
import { Uploads } from "./uploads.js";

/** Kinds of record that these services keep in the store. */
export const fileSchemas = { ...streamSchemas, ...signingSchemas, ...otaSchemas } as const;

export interface ObjectStorageOptions {
  /** The S3 API over HTTP, for this machine only. Absent: none. */
  readonly uploads?: Listen & { readonly host: "127.0.0.1" | "::1" };
  /** Presigned downloads over HTTPS, by that name (default localhost). Absent: only `acceptDownload`. */
  readonly downloads?: Listen & { readonly name?: string };
  /** What presigned URLs begin with, where that is not the download listener by its name. */
  readonly endpoint?: string;
  readonly limits?: Partial<ObjectLimits>;
}

export interface Listen {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Whether any free port will do when that one is in use. */
  readonly orAny?: boolean;
}

export type FileEvent =
  | OtaEvent
  | { readonly type: "uploadsListening"; readonly host: string; readonly port: number }
  | { readonly type: "downloadsListening"; readonly host: string; readonly port: number };

/** What is there before the cloud is: read from disk, or made. */
export interface FileStorage {
  readonly objects: Objects;
  readonly presigner: Presigner;
}

interface StorageOptions {
  readonly store: Store;
  readonly directory: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: Partial<ObjectLimits> | undefined;
}

const secretDocument = "presign.json";
const secretSchema = v.object({ format: v.literal(1), secret: v.string() });

/** @throws CloudError "cloud/damaged-state", "cloud/unusable-directory", "cloud/write-failed" */
export async function openFileStorage(options: StorageOptions): Promise<FileStorage> {
  const { store, directory, clock, random, limits } = options;
  const objects = await Objects.open({
    clock,
    random,
    ...(directory === undefined ? {} : { directory: join(directory, "objects") }),
    ...(limits === undefined ? {} : { limits }),
  });
  let kept = await store.read(secretDocument, secretSchema);
  if (kept === undefined) {
    kept = { format: 1, secret: Buffer.from(random(30)).toString("base64") };
    await store.write(secretDocument, kept);
  }
  return { objects, presigner: new Presigner(kept.secret, random) };
}

export interface FileServicesOptions extends FileStorage {
  readonly storage: ObjectStorageOptions;
  readonly store: Store;
  readonly clock: Clock;
  readonly timer: Timer;
  readonly random: Random;
  readonly pending: PendingWork;
  /** Of the download listener. */
  readonly server: PemIdentity;
  /** Who makes the jobs of updates. */
  readonly jobs: OtaJobs;
  onEvent(event: FileEvent): void;
}

export class FileServices {
  readonly objects: Objects;
  readonly downloads: Downloads;
  readonly streams: Streams;
  readonly codeSigning: CodeSigning;
  readonly otaUpdates: OtaUpdates;
  readonly #options: FileServicesOptions;
  #uploads: Uploads | undefined;

  constructor(options: FileServicesOptions) {
    const { objects, store, clock, pending, random, storage, jobs, onEvent } = options;
    const { endpoint, downloads: { name } = {} } = storage;
    this.#options = options;
    this.objects = objects;
    this.downloads = new Downloads({
      ...options,
      ...(name === undefined ? {} : { name }),
      ...(endpoint === undefined ? {} : { endpoint }),
    });
    this.streams = new Streams({ store, objects, clock, pending });
    this.codeSigning = new CodeSigning(store, objects);
    const { streams, codeSigning } = this;
    const shared = { store, clock, random, pending, objects, streams, codeSigning };
    this.otaUpdates = new OtaUpdates({ ...shared, jobs, onEvent });
  }

  /** Undefined without a listener. */
  get uploadsPort(): number | undefined {
    return this.#uploads?.port;
  }

  /** The control plane's paths. */
  routes(): readonly ControlRoute[] {
    return [...streamRoutes(this.streams), ...otaRoutes(this.otaUpdates)];
  }

  /**
   * A presigned URL for the address in a job document's `${aws:iot:s3-presigned-url:…}`.
   *
   * @throws CloudError "cloud/not-found" for an address that names no object here
   */
  presignAddress(address: string, expiresInSeconds: number): string {
    const location = placeholderLocation(address);
    if (location !== undefined) return this.downloads.presign(location, expiresInSeconds);
    throw new CloudError("cloud/not-found", `${address} names no object of this cloud.`);
  }

  /** @throws CloudError "cloud/port-in-use", "cloud/cannot-listen" */
  async listen(): Promise<void> {
    const { storage, onEvent } = this.#options;
    const { uploads, downloads } = storage;
    if (uploads !== undefined) {
      const { host } = uploads;
      const listen = (port: number): Promise<Uploads> => Uploads.listen(this.objects, host, port);
      this.#uploads = await onPort(uploads, listen);
      onEvent({ type: "uploadsListening", host, port: this.#uploads.port });
    }
    if (downloads !== undefined) {
      const { host } = downloads;
      await onPort(downloads, port => this.downloads.listen(host, port));
      onEvent({ type: "downloadsListening", host, port: this.downloads.port ?? 0 });
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#uploads?.close(), this.downloads.close()]);
  }
}

async function onPort<T>(
  { port, orAny }: Listen,
  listen: (port: number) => Promise<T>,
): Promise<T> {
  try {
    return await listen(port);
  } catch (error) {
    const isInUse = error instanceof CloudError && error.code === "cloud/port-in-use";
    if (!isInUse || !orAny) throw error;
    return listen(0);
  }
}
