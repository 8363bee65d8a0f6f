// A shadow in each way a client comes by one: bytes of MQTT or HTTP, classic or named. For the tests of its rules.

import { once } from "node:events";
import { request } from "node:http";
import test, { type ExecutionContext } from "ava";
import type { CloudOptions } from "../../../simulator/cloud/cloud.js";
import { claimPolicyName } from "../../../simulator/cloud/defaults.js";
import { openCloud, type TestClient, type TestCloud, type VirtualTime } from "./harness.js";
import { idOf } from "./provisioning-rig.js";

export type Operation = "get" | "update" | "delete";
export type Body = Readonly<Record<string, unknown>>;

export interface Sent {
  /** Without the shadow's prefix. */
  readonly topic: string;
  readonly body: Body;
}

export interface Asked {
  /** 200, or what the error says. */
  readonly code: number;
  readonly body: Body;
  /** What another client, which listens to all the shadow's topics, was told. */
  readonly heard: readonly Sent[];
  /** REST: AWS's name of an error. */
  readonly errorType?: string;
}

export interface Wire {
  readonly transport: "MQTT" | "REST";
  readonly thing: string;
  /** Undefined for the classic shadow. */
  readonly name: string | undefined;
  readonly prefix: string;
  readonly world: TestCloud;
  readonly time: VirtualTime;
  /** Epoch seconds. */
  readonly now: number;
  /** Text and bytes go as they are, anything else as JSON. */
  ask(operation: Operation, body?: unknown): Promise<Asked>;
  /** The same way to a shadow of another thing. */
  another(): Wire;
}

const ways = [
  { transport: "MQTT", name: undefined },
  { transport: "MQTT", name: "config" },
  { transport: "REST", name: undefined },
  { transport: "REST", name: "config" },
] as const;
type Way = (typeof ways)[number];

type Check = (t: ExecutionContext, wire: Wire) => Promise<void>;

/** One test, done in each way against one cloud on virtual time. */
export function inEveryWay(title: string, check: Check, options?: Partial<CloudOptions>): void {
  test(title, t => tryWays(t, ways, check, options));
}

/** For what only MQTT has. */
export function overMqtt(title: string, check: Check, options?: Partial<CloudOptions>): void {
  const mqtt = ways.filter(({ transport }) => transport === "MQTT");
  test(title, t => tryWays(t, mqtt, check, options));
}

/** For what only REST has. */
export function overRest(title: string, check: Check, options?: Partial<CloudOptions>): void {
  const rest = ways.filter(({ transport }) => transport === "REST");
  test(title, t => tryWays(t, rest, check, options));
}

async function tryWays(
  t: ExecutionContext,
  tried: readonly Way[],
  check: Check,
  options?: Partial<CloudOptions>,
): Promise<void> {
  const world = await openCloud({ rest: { host: "127.0.0.1", port: 0 }, ...options });
  t.teardown(() => world.cloud.close());
  const Statement = { Effect: "Allow", Action: "*", Resource: "*" };
  world.cloud.putPolicy(claimPolicyName, { Version: "2012-10-17", Statement });
  let things = 0;
  const open = (way: Way): Wire => wireTo(world, way, `thing-${++things}`, () => open(way));
  for (const way of tried) {
    try {
      await check(t, open(way));
    } catch (error) {
      t.log(`over ${way.transport}, ${way.name === undefined ? "classic" : "named"}`);
      throw error;
    }
  }
}

function wireTo(world: TestCloud, way: Way, thing: string, another: () => Wire): Wire {
  const { transport, name } = way;
  const prefix = `$aws/things/${thing}/shadow${name === undefined ? "" : `/name/${name}`}`;
  const path = `/things/${thing}/shadow${name === undefined ? "" : `?name=${name}`}`;
  const ask = async (operation: Operation, body: unknown = ""): Promise<Asked> => {
    const bytes = bytesOf(body);
    // New ones for each request, as time may go by between them.
    const listener = clientOf(world, `listener-of-${thing}`);
    listener.subscribe(`${prefix}/get/+`, `${prefix}/update/+`, `${prefix}/delete/+`);
    const heard = (): Sent[] =>
      listener.messages().map(({ topic, payload }) => ({
        topic: topic.slice(prefix.length + 1),
        body: JSON.parse(payload.toString()) as Body,
      }));
    if (transport === "REST") {
      const answer = await askRest(world, methods[operation], path, bytes);
      return { ...answer, heard: heard() };
    }
    const topic = `${prefix}/${operation}`;
    const client = clientOf(world, `client-of-${thing}`);
    client.send({ cmd: "publish", topic, payload: bytes, qos: 0, retain: false, dup: false });
    const outcomes = [`${operation}/accepted`, `${operation}/rejected`];
    const [answer, more] = heard().filter(each => outcomes.includes(each.topic));
    if (answer === undefined || more !== undefined) throw new Error(`not one answer to ${topic}`);
    const isAccepted = answer.topic === outcomes[0];
    const code = isAccepted ? 200 : Number(answer.body.code);
    return { code, body: answer.body, heard: heard() };
  };
  const { time } = world;
  return {
    ...{ transport, thing, name, prefix, world, time, ask, another },
    get now() {
      return Math.floor(time.now() / 1000);
    },
  };
}

const methods = { get: "GET", update: "POST", delete: "DELETE" } as const;

export function clientOf(world: TestCloud, clientId: string, version: 4 | 5 = 4): TestClient {
  return world.client(idOf(world.cloud.claim().certificate), version).connect(clientId);
}

function bytesOf(body: unknown): Buffer {
  if (body instanceof Uint8Array) return Buffer.from(body);
  return Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
}

/** @param path with its query */
export async function askRest(
  { cloud }: TestCloud,
  method: string,
  path: string,
  body: Uint8Array = new Uint8Array(),
): Promise<Pick<Asked, "code" | "body" | "errorType">> {
  const url = `http://127.0.0.1:${cloud.restPort}${path}`;
  const headers = { "content-length": body.length };
  const outgoing = request(url, { method, headers, agent: false }).end(body);
  const [response] = await once(outgoing, "response");
  let text = "";
  for await (const chunk of response) text += chunk;
  const errorType = response.headers["x-amzn-errortype"];
  return { code: response.statusCode, body: JSON.parse(text), errorType };
}
