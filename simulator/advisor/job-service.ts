// The jobs of a device under examination: the local cloud's service, for any thing a device calls itself.
import { type JobExecution, Jobs } from "../cloud/jobs.js";
import { arnPrefix } from "../cloud/policy.js";
import type { Store } from "../cloud/store.js";

export interface JobServiceOptions {
  readonly store: Store;
  readonly clock: { now(): number };
  publish(topic: string, payload: Uint8Array): void;
}

/** Where documents of jobs lie, and the files that they name. */
const objects = "https://s3.eu-west-1.amazonaws.com/advisor";

export class JobService {
  readonly #jobs: Jobs;
  readonly #documents = new Map<string, Uint8Array>();

  constructor(options: JobServiceOptions) {
    this.#jobs = new Jobs({
      ...options,
      onEvent: () => undefined,
      // Nothing times out: a case has a limit of its own.
      timer: { set: () => ({}), clear: () => undefined },
      random: length => new Uint8Array(length),
      hasThing: () => true,
      objects: {
        presign: (_, key, seconds) => `${objects}/${key}?X-Amz-Expires=${seconds}`,
        readObject: (_, key) => this.#documents.get(key),
      },
    });
  }

  /** Takes what a device publishes, if it is about jobs. */
  handle(topic: string, payload: Uint8Array, reply: JobServiceOptions["publish"]): void {
    if (Jobs.isRequest(topic)) this.#jobs.handle(topic, payload, { reply });
  }

  /** Makes a job as its owner would: with its document, or with the address of one. */
  create(thing: string, jobId: string, document: object, by: "document" | "link"): void {
    const text = JSON.stringify(document);
    const key = `${jobId}.json`;
    if (by === "link") this.#documents.set(key, Buffer.from(text));
    this.#jobs.create({
      jobId,
      targets: [`${arnPrefix}thing/${thing}`],
      presignedUrlConfig: { expiresInSec: 3600 },
      ...(by === "link" ? { documentSource: `${objects}/${key}` } : { document: text }),
    });
  }

  /** What the device has made of a job; undefined when there is none. */
  find(thing: string, jobId: string): JobExecution | undefined {
    return this.#jobs.execution(thing, jobId);
  }

  cancel(thing: string, jobId: string): void {
    this.#jobs.cancelExecution(thing, jobId, { force: true });
  }
}
