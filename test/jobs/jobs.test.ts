// Jobs as the device has to run them, against the service of the reference (section 4).
import test from "ava";
import type { Job } from "../../src/index.js";
import { Machine } from "./world.js";

test("a job is found when the device connects, told IN_PROGRESS, run and told SUCCEEDED with details", async t => {
  const jobs: Job[] = [];
  const machine = new Machine({
    program: agent =>
      agent.jobs.on("blink", job => {
        jobs.push(job);
        job.succeed({ blinks: "3" });
      }),
  });
  machine.service.create("a", { operation: "blink", times: 3 });
  await machine.world.run(5000);
  t.is(machine.service.status("a"), "SUCCEEDED");
  t.deepEqual(machine.service.of("a").statusDetails, { blinks: "3" });
  t.deepEqual(machine.service.asked("a"), ["IN_PROGRESS", "SUCCEEDED"]);
  t.is(jobs.length, 1);
  t.deepEqual(machine.world.story, ["queued a blink", "started a 1", "ended a SUCCEEDED"]);
  t.deepEqual(machine.world.faults, []);
});

test("a job that comes later is heard of by notify-next", async t => {
  const machine = new Machine({ program: agent => agent.jobs.on("blink", job => job.succeed()) });
  await machine.world.run(5000);
  machine.service.create("a", { operation: "blink" });
  machine.service.create("b", { operation: "blink" });
  await machine.world.run(5000);
  t.is(machine.service.status("a"), "SUCCEEDED");
  t.is(machine.service.status("b"), "SUCCEEDED");
});

test("reboot: SUCCEEDED after the machine is back, told once", async t => {
  const machine = new Machine({ program: agent => void agent.jobs });
  machine.service.create("a", { operation: "reboot" });
  await machine.world.run(60_000);
  t.is(machine.restarts, 1);
  t.is(machine.boots, 2);
  t.deepEqual(machine.service.asked("a"), ["IN_PROGRESS", "SUCCEEDED"]);
  t.is(machine.service.status("a"), "SUCCEEDED");
});
