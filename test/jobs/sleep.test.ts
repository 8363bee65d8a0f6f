// Jobs of a device that sleeps between its samples: looked for with each link, and run while it lasts.
import test from "ava";
import type { Job } from "../../src/index.js";
import { Machine } from "./world.js";

const policy = {
  sampleSeconds: 600,
  connectEverySeconds: 600,
  maxWaitingRecords: 100,
  maxWaitingBytes: 50_000,
  budgetConnectsPerDay: 500,
  linkSeconds: 60,
};
const work = { operation: "work" };

function sleeper(run: (job: Job, machine: Machine) => unknown) {
  const machine = new Machine({
    sleeps: true,
    options: { outbox: {} },
    program: (agent, self) => {
      agent.jobs.on("work", job => run(job, self));
      agent.cycle(policy).sleep();
    },
  });
  return { machine, world: machine.world, service: machine.service };
}

test("a link is held until the queue was read and no job runs", async t => {
  const { world, service, machine } = sleeper((job, { clock }) => {
    clock.set(() => job.succeed(), 20_000);
  });
  service.delayMs = 500;
  await world.run(700_000);
  const asleep = world.seen("sleeping").length;
  t.true(asleep >= 1 && machine.boots >= 2);
  service.create("a", work);
  await world.run(1_300_000);
  t.is(service.status("a"), "SUCCEEDED");
  t.deepEqual(service.asked("a"), ["IN_PROGRESS", "SUCCEEDED"]);
  t.true(service.gets.length >= machine.boots - 1);
  t.deepEqual(world.faults, []);
});

test("a job that takes longer than a link goes on with the next, as often as it needs: sleep is no crash", async t => {
  const parts: number[] = [];
  const { world, service } = sleeper((job, { clock, power }) => {
    const part = (job.kept?.[0] ?? 0) + 1;
    parts.push(part);
    t.is(job.attempt, 1);
    if (part > 5) return job.succeed();
    clock.set(() => {
      if (power.isOn) job.keep(Uint8Array.of(part));
    }, 30_000);
  });
  service.create("a", work);
  await world.run(12 * 700_000);
  t.deepEqual(parts, [1, 2, 3, 4, 5, 6]);
  t.is(service.status("a"), "SUCCEEDED");
});

test("a job that waits for a gate does not keep the device awake", async t => {
  const machine = new Machine({
    sleeps: true,
    options: { outbox: {} },
    program: agent => {
      agent.jobs.on("work", job => job.succeed());
      agent.jobs.gate(() => 3600);
      agent.cycle(policy).sleep();
    },
  });
  machine.service.create("a", work);
  await machine.world.run(3_000_000);
  t.true(machine.boots >= 5, `${machine.boots}`);
  t.is(machine.service.status("a"), "QUEUED");
});
