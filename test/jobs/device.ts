// What the tests of jobs begin with: a device with one handler, and a service that answers some requests in another way.
import type { ExecutionContext } from "ava";
import type { Job, JobHandler } from "../../src/index.js";
import type { JobRequest, Said } from "./service.js";
import { Machine, type MachineOptions } from "./world.js";

/** A device with one handler, for the operation `work`. */
export function device(
  work: JobHandler | ((job: Job) => unknown),
  options: Partial<MachineOptions> = {},
) {
  const machine = new Machine({ program: agent => agent.jobs.on("work", work), ...options });
  return { machine, world: machine.world, service: machine.service };
}

export const work = { operation: "work" };

export type Device = ReturnType<typeof device>;

/** Nothing that would be a fault of ours, or the end of a link, has happened. */
export function isWell(t: ExecutionContext, { world }: Device): void {
  t.deepEqual(world.seen("offline"), []);
  t.deepEqual(
    world.faults.filter(fault => fault.startsWith("agent/")),
    [],
  );
}

/** Answers the first `count` requests of a kind with what `say` makes of them. */
export function first(
  { service }: Device,
  isMeant: (request: JobRequest) => boolean,
  say: (request: JobRequest) => readonly Said[],
  count = 1,
): void {
  let left = count;
  service.answer = request => (isMeant(request) && left-- > 0 ? say(request) : undefined);
}

export const isStatus = (status: string) => (request: JobRequest) => request.body.status === status;
