// Signing profiles and jobs in place of AWS Signer: the owner's own PEM key signs, here and at once.

import { randomUUID } from "node:crypto";
import * as v from "valibot";
import { readSigningKey, signatureMember } from "../signing/signing-key.js";
import { CloudError, messageOf } from "./errors.js";
import { otaLimits } from "./limits.js";
import type { ObjectAddress, Objects } from "./objects.js";
import type { Store } from "./store.js";

const hashes = v.picklist(["SHA256", "SHA1"]);
const algorithms = v.picklist(["ECDSA", "RSA"]);

const profileSchema = v.object({
  /** Private key, PEM: EC P-256 or RSA. */
  key: v.string(),
  certificatePathOnDevice: v.string(),
  hashAlgorithm: hashes,
  signatureAlgorithm: algorithms,
});
const jobSchema = v.object({
  jobId: v.string(),
  profileName: v.string(),
  /** Of the object that was signed. */
  etag: v.string(),
  certificatePath: v.string(),
  /** Name of the signature's member in a job document. */
  member: v.string(),
  /** Base64. */
  signature: v.string(),
});

export const signingSchemas = { signingProfile: profileSchema, signingJob: jobSchema } as const;

export type SigningProfile = Readonly<v.InferOutput<typeof profileSchema>>;
export type SigningJob = Readonly<v.InferOutput<typeof jobSchema>>;

export class CodeSigning {
  readonly #store: Store;
  readonly #objects: Objects;
  readonly #profiles: Map<string, SigningProfile>;
  readonly #jobs: Map<string, SigningJob>;

  constructor(store: Store, objects: Objects) {
    this.#store = store;
    this.#objects = objects;
    this.#profiles = new Map(store.list("signingProfile", profileSchema));
    this.#jobs = new Map(store.list("signingJob", jobSchema));
  }

  /** Replaces a profile of that name. @throws CloudError "cloud/invalid-signing" */
  putProfile(name: string, profile: SigningProfile): void {
    if (!/^[a-zA-Z0-9_]{2,64}$/.test(name)) {
      throw invalid(`The profile name "${name}" is not 2 to 64 of A-Z a-z 0-9 _.`);
    }
    const { key, certificatePathOnDevice, hashAlgorithm, signatureAlgorithm } = profile;
    const { algorithm } = keyOf(key, name);
    if (algorithm !== signatureAlgorithm.toLowerCase()) {
      throw invalid(`Profile ${name} signs with ${signatureAlgorithm}, its key is ${algorithm}.`);
    }
    const kept = { key, certificatePathOnDevice, hashAlgorithm, signatureAlgorithm };
    this.#profiles.set(name, kept);
    this.#store.put("signingProfile", name, kept);
  }

  hasProfile(name: string): boolean {
    return this.#profiles.has(name);
  }

  job(jobId: string): SigningJob | undefined {
    return this.#jobs.get(jobId);
  }

  /** Signs the object as it is now. @throws CloudError "cloud/not-found" */
  async startJob(profileName: string, address: ObjectAddress): Promise<SigningJob> {
    const profile = this.#profiles.get(profileName);
    const info = this.#objects.find(address);
    if (profile === undefined) throw missing(`Signing profile ${profileName}`);
    if (info === undefined) throw missing(`The object ${address.bucket}/${address.key}`);
    const bytes = await this.#objects.read(info);
    const { algorithm, sign } = keyOf(profile.key, profileName);
    const hash = profile.hashAlgorithm === "SHA1" ? "sha1" : "sha256";
    const job: SigningJob = {
      jobId: randomUUID(),
      profileName,
      etag: info.etag,
      certificatePath: profile.certificatePathOnDevice,
      member: signatureMember(algorithm, hash),
      signature: Buffer.from(sign(bytes, hash)).toString("base64"),
    };
    this.#keep(job);
    return job;
  }

  #keep(job: SigningJob): void {
    const [oldest] = this.#jobs.keys();
    if (this.#jobs.size >= otaLimits.signingJobs && oldest !== undefined) {
      this.#jobs.delete(oldest);
      this.#store.remove("signingJob", oldest);
    }
    this.#jobs.set(job.jobId, job);
    this.#store.put("signingJob", job.jobId, job);
  }
}

function keyOf(pem: string, profile: string): ReturnType<typeof readSigningKey> {
  try {
    return readSigningKey(pem, `profile ${profile}`);
  } catch (cause) {
    throw new CloudError("cloud/invalid-signing", messageOf(cause), { cause });
  }
}

function missing(what: string): CloudError {
  return new CloudError("cloud/not-found", `${what} does not exist.`);
}

function invalid(message: string): CloudError {
  return new CloudError("cloud/invalid-signing", message);
}
