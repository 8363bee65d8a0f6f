// A world of one device and two jobs in the queue, and everything that may happen to them, as values: every state can be copied,
// named and gone on from. The device is the real `step`; around it stands what Jobs does, without a clock or a wire.
import { AgentError } from "../../src/errors.js";
import type { Journal } from "../../src/jobs/journal.js";
import type { Execution as Told } from "../../src/jobs/messages.js";
import { startingFrom, step } from "../../src/jobs/queue.js";
import type { JobEffect, JobEvent, JobsRecord, Request } from "../../src/jobs/record.js";

/** What must never be. */
export class Broken extends Error {
  override readonly name = "Broken";
}

export type Id = "a" | "b";
const ids: readonly Id[] = ["a", "b"];
const terminal: readonly string[] = ["SUCCEEDED", "FAILED", "REJECTED", "CANCELED"];

interface Execution {
  readonly status: string;
  readonly version: number;
}

interface Asked {
  readonly token: number;
  readonly request: Request;
  readonly id: Id | undefined;
  readonly status: string;
  readonly version: number;
}

interface Reply {
  readonly token: number;
  readonly event: JobEvent;
}

export interface World {
  readonly record: JobsRecord;
  /** On flash. */
  readonly saved: Journal | undefined;
  readonly isTimed: boolean;
  readonly isPacing: boolean;
  /** Of the request that is waited for. */
  readonly token: number | undefined;
  readonly tokens: number;
  readonly toCloud: readonly Asked[];
  readonly toDevice: readonly Reply[];
  readonly hints: number;
  readonly cloud: Readonly<Record<Id, Execution>>;
  /** Whose handler was called and has not ended. */
  readonly running: Id | undefined;
  readonly runs: Readonly<Record<Id, number>>;
  /** Outcomes that are, or were, on flash. */
  readonly said: Readonly<Record<Id, string>>;
  readonly isGateClosed: boolean;
}

export const atFirst: World = {
  record: startingFrom(undefined),
  saved: undefined,
  isTimed: false,
  isPacing: false,
  token: undefined,
  tokens: 0,
  toCloud: [],
  toDevice: [],
  hints: 0,
  cloud: { a: { status: "QUEUED", version: 1 }, b: { status: "QUEUED", version: 1 } },
  running: undefined,
  runs: { a: 0, b: 0 },
  said: { a: "", b: "" },
  isGateClosed: false,
};

const error = new AgentError("job/timeout", "no answer");

/** Where the power goes: before what is decided is saved, or right after. */
export type Cut = "before" | "after" | undefined;

export function happen(world: World, event: JobEvent, cut?: Cut): World {
  const { record, effects } = step(world.record, event);
  const isNews = record.journal !== world.record.journal;
  if (cut === "before") return crash(world);
  let next = { ...world, record };
  if (isNews) next = save(next);
  if (cut === "after") return crash(next);
  for (const effect of effects) next = perform(next, effect);
  return next;
}

function save(world: World): World {
  const { journal } = world.record;
  const said = { ...world.said };
  if (journal?.outcome) said[journal.jobId as Id] = journal.outcome.status;
  return { ...world, saved: journal, said };
}

export function crash(world: World): World {
  return {
    ...world,
    record: startingFrom(world.saved),
    isTimed: false,
    isPacing: false,
    token: undefined,
    toCloud: [],
    toDevice: [],
    hints: 0,
    running: undefined,
  };
}

function perform(world: World, effect: JobEffect): World {
  const id = world.record.journal?.jobId as Id | undefined;
  switch (effect.type) {
    case "get":
      return send(world, effect.which, effect.which === "own" ? id : undefined, "", 0);
    case "update":
      return send(world, world.record.request!, id, effect.status, effect.version);
    case "pace":
      return { ...world, isPacing: true };
    case "judge": {
      const { execution } = effect;
      if (world.isGateClosed) return happen(world, { type: "defer", execution, seconds: 60 });
      return happen(world, { type: "start", execution, operation: "work" });
    }
    case "run":
      return run(world, id!);
    case "cancel": {
      const over = effect.journal.jobId as Id;
      if (!terminal.includes(world.cloud[over].status)) throw new Broken(`${over} is not over`);
      return { ...world, running: undefined };
    }
    case "ended":
      return { ...world, running: undefined };
    case "defer":
    case "wait":
      return { ...world, isTimed: true };
    case "restart":
      return crash(world);
    default:
      return world;
  }
}

function run(world: World, id: Id): World {
  const { running, said, cloud, runs } = world;
  if (running) throw new Broken(`${id} runs while ${running} does`);
  if (said[id]) throw new Broken(`${id} runs after it was ${said[id]}`);
  if (cloud[id].status === "QUEUED") throw new Broken(`${id} runs, and nobody was told`);
  const { attempts, restarts = 0 } = world.record.journal!;
  if (attempts > 3 || restarts > 5) throw new Broken(`${id} runs once more`);
  if (runs[id] >= attempts + restarts) throw new Broken(`${id} runs without being counted`);
  return { ...world, running: id, runs: { ...runs, [id]: runs[id] + 1 } };
}

function send(
  world: World,
  request: Request,
  id: Id | undefined,
  status: string,
  version: number,
): World {
  if (!world.record.isOnline) throw new Broken(`${request} without a link`);
  if (world.token !== undefined) throw new Broken(`${request} while another one is waited for`);
  const token = world.tokens + 1;
  const asked = { token, request, id, status, version };
  return { ...world, token, tokens: token, toCloud: [...world.toCloud, asked] };
}

// -- the cloud --

function headOf({ cloud }: World): Id | undefined {
  return (
    ids.find(id => cloud[id].status === "IN_PROGRESS") ??
    ids.find(id => cloud[id].status === "QUEUED")
  );
}

function told({ cloud }: World, id: Id): Told {
  return {
    jobId: id,
    executionNumber: 1,
    ...cloud[id],
    statusDetails: new Map(),
    secondsLeft: undefined,
    document: undefined,
  };
}

function changed(world: World, id: Id, status: string): World {
  const before = headOf(world);
  const cloud = { ...world.cloud, [id]: { status, version: world.cloud[id].version + 1 } };
  const after = { ...world, cloud };
  return { ...after, hints: Math.min(2, world.hints + (headOf(after) === before ? 0 : 1)) };
}

/** @param isHeard whether the answer gets on its way */
export function serve(world: World, index: number, isHeard = true): World {
  const asked = world.toCloud[index]!;
  const rest = { ...world, toCloud: world.toCloud.filter((_, i) => i !== index) };
  const [after, event] = answer(rest, asked);
  if (!isHeard) return after;
  return { ...after, toDevice: [...after.toDevice, { token: asked.token, event }] };
}

function answer(world: World, { request, id, status, version }: Asked): [World, JobEvent] {
  if (request === "next") {
    const head = headOf(world);
    return [world, { type: "next", execution: head && told(world, head) }];
  }
  const execution = world.cloud[id!];
  if (request === "own") {
    if (terminal.includes(execution.status)) return [world, { type: "gone" }];
    return [world, { type: "own", execution: told(world, id!) }];
  }
  if (terminal.includes(execution.status))
    return [world, { type: "illegal", state: execution, error }];
  if (execution.version !== version) return [world, { type: "mismatch", state: execution }];
  if (terminal.includes(status) && world.said[id!] !== status)
    throw new Broken(`${id} is told ${status}, and flash says ${world.said[id!]}`);
  const after = changed(world, id!, status);
  return [after, { type: "accepted", state: after.cloud[id!] }];
}

/** An operator's. */
export function cancel(world: World, id: Id): World {
  return changed(world, id, "CANCELED");
}

export const isOver = (world: World, id: Id) => terminal.includes(world.cloud[id].status);

// -- what the device hears --

export function deliver(world: World, index: number, cut?: Cut): World {
  const { token, event } = world.toDevice[index]!;
  const rest = { ...world, toDevice: world.toDevice.filter((_, i) => i !== index) };
  if (token !== world.token) return rest;
  return happen({ ...rest, token: undefined }, event, cut);
}

export function hint(world: World): World {
  const head = headOf(world);
  const event = { type: "hint", jobId: head, executionNumber: head && 1 } as const;
  return happen({ ...world, hints: world.hints - 1 }, event);
}

export function silence(world: World): World {
  return happen({ ...world, token: undefined }, { type: "busy", error });
}

export function lose(world: World): World {
  const gone = { ...world, token: undefined, isTimed: false, toCloud: [], toDevice: [], hints: 0 };
  return happen(gone, { type: "lost" });
}

/** Tokens by their order only: another count is no other world. */
export function nameOf(world: World): string {
  const all = [
    ...world.toCloud.map(({ token }) => token),
    ...world.toDevice.map(({ token }) => token),
    world.token ?? 0,
  ];
  const order = [...new Set(all)].sort((one, other) => one - other);
  const plain = (_: string, value: unknown) => {
    if (value instanceof Map) return [...value];
    return value instanceof Error ? value.message : value;
  };
  const named = {
    ...world,
    tokens: 0,
    token: order.indexOf(world.token ?? 0),
    toCloud: world.toCloud.map(asked => ({ ...asked, token: order.indexOf(asked.token) })),
    toDevice: world.toDevice.map(reply => ({ ...reply, token: order.indexOf(reply.token) })),
    record: { ...world.record, failures: Math.min(world.record.failures, 4) },
  };
  return JSON.stringify(named, plain);
}
