// Jobs over MQTT: topics and payloads of a device's requests, and answers that go straight back to it (reference 4.1).

import type { Client } from "./broker-types.js";
import type { JobData } from "./job-data.js";
import { invalidJob, JobFault } from "./job-fault.js";
import { isObject, type JsonObject, newObject, parseJson } from "./json.js";
import type { JobLimits } from "./limits.js";
import type { RequestRate } from "./request-rate.js";

const topicPattern = /^\$aws\/things\/([^/]+)\/jobs\/(.*)$/s;
const answerPattern = /\/(accepted|rejected)$/;
const jobPattern = /^([a-zA-Z0-9_-]{1,64}|\$next)\/(get|update)$/;

/** Whatever a device may publish under `jobs`; most of it is no operation, and is told so. */
export function isJobRequest(topic: string): boolean {
  return topicPattern.test(topic) && !answerPattern.test(topic);
}

export interface JobRequestsOptions {
  readonly data: JobData;
  readonly rate: RequestRate;
  readonly limits: JobLimits;
  now(): number;
}

type Kind = "read" | "write";

interface Operation {
  readonly kind: Kind;
  perform(data: JobData, body: JsonObject): JsonObject;
}

export class JobRequests {
  readonly #options: JobRequestsOptions;

  constructor(options: JobRequestsOptions) {
    this.#options = options;
  }

  /** Answers on `{topic}/accepted` or `{topic}/rejected`; never throws. */
  handle(topic: string, payload: Uint8Array, client: Pick<Client, "reply">): void {
    const { data, limits } = this.#options;
    const parsed = parseJson(payload, limits.jsonDepth);
    const body = parsed.ok && isObject(parsed.value) ? parsed.value : undefined;
    const token = body?.clientToken;
    const clientToken = typeof token === "string" ? token : undefined;
    let answer: JsonObject;
    let outcome = "accepted";
    try {
      answer = this.#perform(topic, body);
    } catch (error) {
      outcome = "rejected";
      answer = rejectionOf(error);
    }
    answer.timestamp = data.seconds();
    if (clientToken !== undefined) answer.clientToken = clientToken;
    client.reply(`${topic}/${outcome}`, Buffer.from(JSON.stringify(answer)));
  }

  #perform(topic: string, body: JsonObject | undefined): JsonObject {
    const operation = operationOf(topic);
    if (operation === undefined) throw new JobFault("InvalidTopic", `${topic} is no operation`);
    const { data, rate, now } = this.#options;
    if (!rate.admits(operation.kind, now())) {
      throw new JobFault("RequestThrottled", "Too many requests");
    }
    // Assumed: an empty payload is no JSON, and JSON that is no object, or too deep, counts as none either.
    if (body === undefined) throw new JobFault("InvalidJson", "The payload is no JSON object");
    const token = body.clientToken ?? "";
    if (typeof token !== "string") throw invalidJob("clientToken is no text");
    return operation.perform(data, body);
  }
}

function operationOf(topic: string): Operation | undefined {
  const [, thing = "", rest = ""] = topicPattern.exec(topic) ?? [];
  if (!/^[a-zA-Z0-9:_-]{1,128}$/.test(thing)) return undefined;
  if (rest === "get") return { kind: "read", perform: data => data.pending(thing) };
  if (rest === "start-next") {
    return { kind: "write", perform: (data, body) => data.startNext(thing, body, "object") };
  }
  const [, jobId, name] = jobPattern.exec(rest) ?? [];
  if (jobId === undefined) return undefined;
  if (name === "get") {
    return { kind: "read", perform: (data, body) => data.describe(thing, jobId, body, "object") };
  }
  if (jobId === "$next") return undefined;
  return { kind: "write", perform: (data, body) => data.update(thing, jobId, body, "object") };
}

function rejectionOf(error: unknown): JsonObject {
  const isFault = error instanceof JobFault;
  const answer = newObject();
  answer.code = isFault ? error.code : "InternalError";
  answer.message = isFault ? error.message : "Internal service failure";
  if (isFault && error.state !== undefined) answer.executionState = error.state;
  return answer;
}
