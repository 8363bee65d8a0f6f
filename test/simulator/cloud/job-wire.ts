// Devices, an operator and a listener around one cloud on virtual time, for the tests of the rules of jobs.

import type { ExecutionContext } from "ava";
import type { CloudOptions } from "../../../simulator/cloud/cloud.js";
import { claimPolicyName } from "../../../simulator/cloud/defaults.js";
import type { JobRequest } from "../../../simulator/cloud/jobs.js";
import { openCloud, type TestClient, type TestCloud } from "./harness.js";
import { idOf } from "./provisioning-rig.js";
import type { Body } from "./shadow-wire.js";

export const arn = "arn:aws:iot:eu-west-1:000000000000:";
export const minuteMs = 60_000;

export interface Said {
  /** Behind `$aws/things/{thing}/jobs/`. */
  readonly topic: string;
  readonly body: Body;
}

export interface Answered {
  readonly outcome: "accepted" | "rejected";
  readonly body: Body;
}

export interface Device {
  readonly thing: string;
  readonly client: TestClient;
  /** Text and bytes go as they are, anything else as JSON. @param operation behind the prefix */
  ask(operation: string, body?: unknown): Answered;
  /** What was published on `notify` and `notify-next` since the last call. */
  heard(): Said[];
}

export interface JobWorld extends TestCloud {
  /** Epoch seconds. */
  readonly now: number;
  /** Lets time go by, and nobody's connection with it. */
  pass(ms: number): void;
  /** @param isThing whether the cloud knows it as a thing */
  device(thing?: string, isThing?: boolean): Device;
  /** A job for these things. */
  job(jobId: string, things: readonly string[], more?: Partial<JobRequest>): void;
  /** Published under `$aws/events/` since the last call. */
  backEnd(): { readonly topic: string; readonly body: Body }[];
  /** Jobs and numbers that wait for a thing, in order. */
  pending(thing: string): string[];
}

/** Shorter than any keep-alive. */
const stepMs = 20 * minuteMs;

export const document = JSON.stringify({ operation: "blink", times: 3 });

export async function jobWorld(
  t: ExecutionContext,
  options: Partial<CloudOptions> = {},
): Promise<JobWorld> {
  const world = await openCloud(options);
  t.teardown(() => world.cloud.close());
  return jobWorldOf(world);
}

export function jobWorldOf(world: TestCloud): JobWorld {
  const { cloud, time } = world;
  const Statement = { Effect: "Allow", Action: "*", Resource: "*" };
  cloud.putPolicy(claimPolicyName, { Version: "2012-10-17", Statement });
  const clients = [connected(world, "back-end").subscribeAt(0, "$aws/events/#")] as const;
  const [backEnd] = clients;
  const all: TestClient[] = [...clients];
  let events = 0;
  return {
    ...world,
    get now() {
      return Math.floor(time.now() / 1000);
    },
    pass: ms => {
      for (let left = ms; left > 0; left -= stepMs) {
        for (const client of all) client.send({ cmd: "pingreq" });
        time.advance(Math.min(left, stepMs));
      }
    },
    device: (thing = "node-1", isThing = true) => {
      if (isThing) cloud.createThing(thing);
      const device = deviceOf(world, thing);
      all.push(device.client);
      return device;
    },
    job: (jobId, things, more = {}) => {
      const targets = things.map(thing => `${arn}thing/${thing}`);
      const source = "jobTemplateArn" in more || "documentSource" in more ? {} : { document };
      cloud.jobs.create({ jobId, targets, ...source, ...more });
    },
    backEnd: () => {
      if (backEnd.closed) throw new Error("the back end was disconnected");
      const told = backEnd.messages().filter(({ topic }) => topic.startsWith("$aws/events/job"));
      const from = events;
      events = told.length;
      return told.slice(from).map(({ topic, payload }) => ({
        topic: topic.slice("$aws/events/".length),
        body: JSON.parse(payload.toString()) as Body,
      }));
    },
    pending: thing => cloud.jobs.pending(thing).map(each => `${each.jobId} ${each.number}`),
  };
}

function connected(world: TestCloud, clientId: string): TestClient {
  const client = world.client(idOf(world.cloud.claim().certificate));
  return client.connect(clientId, { keepalive: 1200 });
}

function deviceOf(world: TestCloud, thing: string): Device {
  const prefix = `$aws/things/${thing}/jobs/`;
  // Answers need no subscription; notices do.
  const client = connected(world, thing).subscribeAt(0, `${prefix}notify`, `${prefix}notify-next`);
  let read = 0;
  return {
    thing,
    client,
    ask: (operation, body = {}) => {
      const topic = `${prefix}${operation}`;
      const payload = Buffer.from(
        typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body),
      );
      const before = client.messages().length;
      client.send({ cmd: "publish", topic, payload, qos: 0, retain: false, dup: false });
      const answers = client
        .messages()
        .slice(before)
        .filter(message => message.topic.startsWith(`${topic}/`));
      const [answer, more] = answers;
      if (answer === undefined || more !== undefined) throw new Error(`not one answer to ${topic}`);
      const outcome = answer.topic.slice(topic.length + 1) as Answered["outcome"];
      return { outcome, body: JSON.parse(answer.payload.toString()) as Body };
    },
    heard: () => {
      const all = client.messages().filter(({ topic }) => /\/jobs\/notify(-next)?$/.test(topic));
      const from = read;
      read = all.length;
      return all.slice(from).map(({ topic, payload }) => ({
        topic: topic.slice(prefix.length),
        body: JSON.parse(payload.toString()) as Body,
      }));
    },
  };
}
