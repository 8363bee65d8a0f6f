// CreateOTAUpdate and its kin: signs, makes the stream, and has the job made ("ota-cli-workflow").

import * as v from "valibot";
import type { CodeSigning } from "./code-signing.js";
import { type Clock, type PendingWork, type Random, randomHex } from "./environment.js";
import { CloudError, messageOf } from "./errors.js";
import type { JsonObject } from "./json.js";
import { otaLimits } from "./limits.js";
import type { Objects } from "./objects.js";
import { type OtaDocumentFile, type OtaSignature, otaDocument } from "./ota-document.js";
import {
  invalidUpdate,
  type OtaFile,
  type OtaRequest,
  otaRequestSchema,
  parseOtaRequest,
} from "./ota-request.js";
import { arnPrefix } from "./policy.js";
import type { Store } from "./store.js";
import type { Streams } from "./streams.js";

export type OtaStatus =
  | "CREATE_PENDING"
  | "CREATE_IN_PROGRESS"
  | "CREATE_COMPLETE"
  | "CREATE_FAILED"
  | "DELETE_IN_PROGRESS"
  | "DELETE_FAILED";

/** Assumed (5.1): an update that a restart of the cloud cut short has failed. */
const statuses = v.picklist([
  "CREATE_PENDING",
  "CREATE_IN_PROGRESS",
  "CREATE_COMPLETE",
  "CREATE_FAILED",
  "DELETE_IN_PROGRESS",
  "DELETE_FAILED",
]);
const updateSchema = v.object({
  otaUpdateId: v.string(),
  status: statuses,
  request: otaRequestSchema,
  createdAt: v.number(),
  lastModifiedAt: v.number(),
  /** Made for this update. */
  streamId: v.exactOptional(v.string()),
  errorInfo: v.exactOptional(v.object({ code: v.string(), message: v.string() })),
});

export const otaSchemas = { otaUpdate: updateSchema } as const;

/** Times are epoch milliseconds. */
export type OtaUpdate = Readonly<v.InferOutput<typeof updateSchema>>;

/** What CreateJob takes of an update. */
export interface OtaJobRequest {
  readonly jobId: string;
  readonly targets: readonly string[];
  readonly document: JsonObject | string;
  readonly description?: string;
  readonly targetSelection?: "SNAPSHOT" | "CONTINUOUS";
  readonly presignedUrlConfig?: { readonly roleArn?: string; readonly expiresInSec: number };
  readonly jobExecutionsRolloutConfig?: JsonObject;
  readonly abortConfig?: { readonly criteriaList: readonly JsonObject[] };
  readonly timeoutConfig?: JsonObject;
}

/** The jobs service. A throw becomes the update's error. */
export interface OtaJobs {
  createJob(request: OtaJobRequest): CreatedJob | Promise<CreatedJob>;
  /** Of an update that is deleted; a throw leaves it at DELETE_FAILED. */
  deleteJob?(jobId: string, options: { readonly force: boolean }): void | Promise<void>;
}

export interface CreatedJob {
  readonly jobArn: string;
  readonly jobId: string;
}

export interface OtaEvent {
  readonly type: "otaUpdateChanged";
  readonly otaUpdateId: string;
  readonly status: OtaStatus | "DELETED";
  /** Why it failed. */
  readonly errorMessage: string | undefined;
}

export interface DeleteOptions {
  readonly deleteStream?: boolean;
  readonly forceDeleteAWSJob?: boolean;
}

export interface OtaUpdatesOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly pending: PendingWork;
  readonly objects: Objects;
  readonly streams: Streams;
  readonly codeSigning: CodeSigning;
  readonly jobs: OtaJobs;
  onEvent(event: OtaEvent): void;
}

export const jobIdOf = (otaUpdateId: string): string => `AFR_OTA-${otaUpdateId}`;
export const otaUpdateArn = (id: string): string => `${arnPrefix}otaupdate/${id}`;
export const jobArn = (jobId: string): string => `${arnPrefix}job/${jobId}`;

export class OtaUpdates {
  readonly #options: OtaUpdatesOptions;
  readonly #updates: Map<string, OtaUpdate>;

  constructor(options: OtaUpdatesOptions) {
    this.#options = options;
    this.#updates = new Map(options.store.list("otaUpdate", updateSchema));
    for (const update of this.#updates.values()) this.#recover(update);
  }

  find(otaUpdateId: string): OtaUpdate | undefined {
    return this.#updates.get(otaUpdateId);
  }

  list(): readonly OtaUpdate[] {
    return [...this.#updates.values()];
  }

  /**
   * Takes the request and answers at once, CREATE_PENDING; what becomes of it shows in `find` and in events.
   *
   * @throws CloudError "cloud/invalid-update", "cloud/exists", "cloud/full"
   */
  create(otaUpdateId: string, value: OtaRequest): OtaUpdate {
    const request = parseOtaRequest(value);
    if (!new RegExp(`^[a-zA-Z0-9_-]{1,${otaLimits.idCharacters}}$`).test(otaUpdateId)) {
      const message = `The update's id "${otaUpdateId}" is not 1 to ${otaLimits.idCharacters} of A-Z a-z 0-9 _ -.`;
      throw invalidUpdate(message);
    }
    if (this.#updates.has(otaUpdateId)) {
      throw new CloudError("cloud/exists", `OTA update ${otaUpdateId} already exists.`);
    }
    if (this.#updates.size >= otaLimits.updates) {
      throw new CloudError("cloud/full", `There are ${this.#updates.size} updates: delete some.`);
    }
    const now = this.#options.clock.now();
    const times = { createdAt: now, lastModifiedAt: now };
    const update = this.#put({ otaUpdateId, status: "CREATE_PENDING", request, ...times });
    this.#options.pending.track(this.#make(update));
    return update;
  }

  /** @throws CloudError "cloud/not-found", "cloud/in-use" */
  async remove(otaUpdateId: string, options: DeleteOptions = {}): Promise<void> {
    const update = this.#updates.get(otaUpdateId);
    if (update === undefined) {
      throw new CloudError("cloud/not-found", `OTA update ${otaUpdateId} does not exist.`);
    }
    if (update.status === "CREATE_PENDING" || update.status === "CREATE_IN_PROGRESS") {
      throw new CloudError("cloud/in-use", `OTA update ${otaUpdateId} is being created.`);
    }
    await this.#options.pending.track(this.#unmake(update, options));
  }

  async #unmake(update: OtaUpdate, { deleteStream, forceDeleteAWSJob }: DeleteOptions) {
    const { jobs, streams, store, onEvent } = this.#options;
    const { otaUpdateId, streamId } = update;
    const force = forceDeleteAWSJob ?? false;
    this.#change(update, { status: "DELETE_IN_PROGRESS" });
    try {
      if (update.status !== "CREATE_FAILED")
        await jobs.deleteJob?.(jobIdOf(otaUpdateId), { force });
    } catch (error) {
      this.#change(update, { status: "DELETE_FAILED", errorInfo: errorInfoOf(error) });
      throw new CloudError("cloud/in-use", messageOf(error), { cause: error });
    }
    if (deleteStream && streamId !== undefined && streams.find(streamId)) streams.remove(streamId);
    this.#updates.delete(otaUpdateId);
    store.remove("otaUpdate", otaUpdateId);
    onEvent({ type: "otaUpdateChanged", otaUpdateId, status: "DELETED", errorMessage: undefined });
  }

  /** Never rejects: a failure is the update's state. */
  async #make(update: OtaUpdate): Promise<void> {
    await Promise.resolve(); // the caller hears CREATE_PENDING first
    let current = this.#change(update, { status: "CREATE_IN_PROGRESS" });
    try {
      const { protocols = ["MQTT"] } = update.request;
      const files: OtaDocumentFile[] = [];
      for (const [index, file] of update.request.files.entries()) {
        files.push(await this.#prepare(file, index));
      }
      let streamName = givenStream(update.request.files);
      if (streamName === undefined && protocols.includes("MQTT")) {
        streamName = this.#makeStream(update.request, files);
        current = this.#put({ ...current, streamId: streamName });
      }
      const shown = protocols.includes("MQTT") ? streamName : undefined;
      const document = otaDocument(protocols, shown, files);
      await this.#options.jobs.createJob(this.#jobOf(update, document));
      this.#change(current, { status: "CREATE_COMPLETE" });
    } catch (error) {
      this.#change(current, { status: "CREATE_FAILED", errorInfo: errorInfoOf(error) });
    }
  }

  async #prepare(file: OtaFile, index: number): Promise<OtaDocumentFile> {
    const { fileName: filePath, fileType, fileLocation } = file;
    const { fileId, location } = this.#locate(fileLocation, index);
    const info = this.#options.objects.find(location);
    if (info === undefined) {
      throw invalidUpdate(`There is no object ${location.bucket}/${location.key}.`);
    }
    const signature = await this.#sign(file, { location, etag: info.etag });
    return { filePath, fileType, fileId, location, info, signature };
  }

  #locate(
    { stream, s3Location }: OtaFile["fileLocation"],
    index: number,
  ): Pick<OtaDocumentFile, "fileId" | "location"> {
    if (s3Location !== undefined) return { fileId: index, location: s3Location };
    const { streamId = "", fileId = 0 } = stream ?? {};
    const files = this.#options.streams.find(streamId)?.files ?? [];
    const found = files.find(each => each.fileId === fileId);
    if (found === undefined)
      throw invalidUpdate(`There is no file ${fileId} in stream ${streamId}.`);
    return { fileId, location: found.s3Location };
  }

  async #sign(
    { codeSigning: signing }: OtaFile,
    { location, etag }: { location: OtaDocumentFile["location"]; etag: string },
  ): Promise<OtaSignature | undefined> {
    const {
      customCodeSigning: custom,
      startSigningJobParameter: start,
      awsSignerJobId,
    } = signing ?? {};
    if (custom !== undefined) {
      const { hashAlgorithm, signatureAlgorithm, signature, certificateChain } = custom;
      return {
        certificatePath: certificateChain?.certificateName,
        member: `sig-${hashAlgorithm}-${signatureAlgorithm}`.toLowerCase(),
        base64: signature.inlineDocument,
      };
    }
    const { codeSigning } = this.#options;
    const job =
      start === undefined
        ? codeSigning.job(awsSignerJobId ?? "")
        : await codeSigning.startJob(start.signingProfileName, location);
    if (job === undefined && awsSignerJobId === undefined) return undefined;
    if (job === undefined) throw invalidUpdate(`There is no signing job ${awsSignerJobId}.`);
    if (job.etag !== etag) {
      throw invalidUpdate(`Signing job ${job.jobId} signed another object than this update's.`);
    }
    return { certificatePath: job.certificatePath, member: job.member, base64: job.signature };
  }

  #makeStream({ roleArn, description }: OtaRequest, files: readonly OtaDocumentFile[]): string {
    const hex = randomHex(this.#options.random, 16);
    const uuid = [
      hex.slice(0, 8),
      hex.slice(8, 12),
      hex.slice(12, 16),
      hex.slice(16, 20),
      hex.slice(20),
    ];
    const streamId = `AFR_OTA-${uuid.join("-")}`;
    this.#options.streams.create(streamId, {
      ...(roleArn === undefined ? {} : { roleArn }),
      ...(description === undefined ? {} : { description }),
      files: files.map(({ fileId, location }) => ({ fileId, s3Location: location })),
    });
    return streamId;
  }

  #jobOf({ otaUpdateId, request }: OtaUpdate, document: JsonObject): OtaJobRequest {
    const { targets, protocols = [], description, targetSelection, roleArn } = request;
    const { expiresInSec = otaLimits.presignSeconds } = request.awsJobPresignedUrlConfig ?? {};
    const { awsJobExecutionsRolloutConfig: rollout, awsJobTimeoutConfig: timeout } = request;
    const criteriaList = request.awsJobAbortConfig?.abortCriteriaList;
    const role = roleArn === undefined ? {} : { roleArn };
    return {
      jobId: jobIdOf(otaUpdateId),
      targets,
      document,
      ...(description === undefined ? {} : { description }),
      ...(targetSelection === undefined ? {} : { targetSelection }),
      ...(protocols.includes("HTTP") ? { presignedUrlConfig: { ...role, expiresInSec } } : {}),
      ...(rollout === undefined ? {} : { jobExecutionsRolloutConfig: rollout }),
      ...(criteriaList === undefined ? {} : { abortConfig: { criteriaList } }),
      ...(timeout === undefined ? {} : { timeoutConfig: timeout }),
    };
  }

  #change(update: OtaUpdate, change: Pick<OtaUpdate, "status"> & Partial<OtaUpdate>): OtaUpdate {
    const lastModifiedAt = this.#options.clock.now();
    const changed = this.#put({ ...update, ...change, lastModifiedAt });
    const { otaUpdateId, status, errorInfo } = changed;
    const errorMessage = errorInfo?.message;
    this.#options.onEvent({ type: "otaUpdateChanged", otaUpdateId, status, errorMessage });
    return changed;
  }

  #put(update: OtaUpdate): OtaUpdate {
    this.#updates.set(update.otaUpdateId, update);
    this.#options.store.put("otaUpdate", update.otaUpdateId, update);
    return update;
  }

  #recover(update: OtaUpdate): void {
    const message = "The local cloud ended meanwhile";
    const errorInfo = { code: "InternalFailure", message };
    if (update.status === "CREATE_PENDING" || update.status === "CREATE_IN_PROGRESS") {
      this.#put({ ...update, status: "CREATE_FAILED", errorInfo });
    }
    if (update.status === "DELETE_IN_PROGRESS") {
      this.#put({ ...update, status: "DELETE_FAILED", errorInfo });
    }
  }
}

/** The stream that the files lie in already; undefined when they are S3's. */
function givenStream(files: readonly OtaFile[]): string | undefined {
  const names = new Set(files.map(({ fileLocation }) => fileLocation.stream?.streamId));
  if (names.size > 1)
    throw invalidUpdate("The files of an update lie in one stream, or all in S3.");
  return [...names][0];
}

/** Assumed (5.1): the codes; the API says only that they are texts. */
function errorInfoOf(error: unknown): { code: string; message: string } {
  const isOwn = error instanceof CloudError && error.code !== "cloud/write-failed";
  return { code: isOwn ? "InvalidRequest" : "InternalFailure", message: messageOf(error) };
}
