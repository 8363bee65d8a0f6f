// Power that goes at any flash operation of a job, restarts in every state, links that are lost in every state: in the end the
// service and the device say the same.
import test, { type ExecutionContext } from "ava";
import type { Cut } from "../../simulator/world/power.js";
import { Random } from "../../simulator/world/random.js";
import type { Agent, Job } from "../../src/index.js";
import type { Jobs } from "../../src/jobs/jobs.js";
import { fromUtf8, toUtf8 } from "../../src/util/bytes.js";
import { Machine } from "./world.js";

/** What a job has done to the device, on flash: by its id, the number of the last part that is done. */
function done(machine: Machine): { readonly [id: string]: number } {
  const store = machine.host.keyValue.open({ path: "product" });
  const stored = store.read("done");
  return stored ? JSON.parse(fromUtf8(new Uint8Array(stored))) : {};
}

function doIt(machine: Machine, id: string, part: number): void {
  const store = machine.host.keyValue.open({ path: "product" });
  store.write("done", toUtf8(JSON.stringify({ ...done(machine), [id]: part })));
}

/** How often a handler was called, over all boots. */
type Runs = Map<string, number>;

/** Three parts, a restart after the second; told and kept in between. */
function inParts(machine: Machine, runs: Runs) {
  return (job: Job) => {
    runs.set(job.id, (runs.get(job.id) ?? 0) + 1);
    const part = job.kept?.[0] ?? 0;
    if (part < 1) {
      doIt(machine, job.id, 1);
      job.keep(Uint8Array.of(1));
    }
    if (part < 2) {
      job.report({ part: "2" }, () => {
        doIt(machine, job.id, 2);
        job.keep(Uint8Array.of(2));
        job.restart();
      });
      return;
    }
    if (!job.isRestarted) return job.restart();
    doIt(machine, job.id, 3);
    job.succeed({ parts: "3" });
  };
}

const runsOf = new WeakMap<Machine, Runs>();

function machineWith(cuts?: ReadonlyMap<number, Cut>): Machine {
  const runs: Runs = new Map();
  const machine = new Machine({
    ...(cuts && { cuts }),
    program: (agent: Agent, self: Machine) => {
      agent.jobs.on("parts", inParts(self, runs));
      agent.jobs.on("fail", job => job.fail("never works"));
    },
  });
  runsOf.set(machine, runs);
  machine.service.create("a", { operation: "parts" });
  machine.service.create("b", { operation: "reboot" });
  machine.service.create("c", { operation: "fly" });
  machine.service.create("d", { operation: "fail" });
  machine.service.create("e", { operation: "parts" });
  return machine;
}

function agree(t: ExecutionContext, machine: Machine, where: string): void {
  const { service } = machine;
  const statuses = ["a", "b", "c", "d", "e"].map(id => service.status(id));
  t.deepEqual(
    statuses,
    ["SUCCEEDED", "SUCCEEDED", "REJECTED", "FAILED", "SUCCEEDED"],
    `${where}: ${machine.world.faults.join("; ")}`,
  );
  t.is(service.reason("d"), "never works", where);
  t.deepEqual(done(machine), { a: 3, e: 3 }, where);
  for (const [id, count] of runsOf.get(machine)!) t.true(count <= 4, `${where}: ${id} ${count}`);
  for (const id of ["a", "b", "c", "d", "e"]) t.true(service.of(id).starts <= 1, where);
}

const tears: readonly Cut["when"][] = [
  "before",
  "after",
  { part: 0, isMixed: false },
  { part: 0.4, isMixed: false },
  { part: 0.4, isMixed: true },
  { part: 1, isMixed: false },
];

test("five jobs without a cut", async t => {
  const machine = machineWith();
  await machine.world.run(300_000);
  agree(t, machine, "no cut");
  t.is(machine.restarts, 3);
  t.is(machine.service.asked("a").join(), "IN_PROGRESS,IN_PROGRESS,SUCCEEDED");
});

for (const [index, when] of tears.entries())
  test(`the power goes at every flash operation, ${JSON.stringify(when)}`, async t => {
    const whole = machineWith();
    await whole.world.run(300_000);
    let cuts = 0;
    for (const [boot, power] of whole.operations.entries())
      for (let operation = 0; operation < power.operations; operation++) {
        // The product's own flash keeps its promise: a torn value is not what is tried here.
        const isJob = power.names[operation]!.startsWith("write job");
        if (typeof when === "object" && !isJob) continue;
        const machine = machineWith(new Map([[boot + 1, { operation, when }]]));
        await machine.world.run(900_000);
        agree(t, machine, `boot ${boot + 1}, ${power.names[operation]} ${operation}, ${index}`);
        cuts++;
      }
    t.true(cuts >= 20, `${cuts}`);
  });

test("the power goes twice, anywhere", async t => {
  const random = new Random(5);
  for (let i = 0; i < 120; i++) {
    const anywhere = (): Cut => ({
      operation: random.below(12),
      when: random.below(2) ? "before" : "after",
    });
    const first = 1 + random.below(4);
    const cuts = new Map([
      [first, anywhere()],
      [first + 1 + random.below(2), anywhere()],
    ]);
    const machine = machineWith(cuts);
    await machine.world.run(900_000);
    agree(t, machine, JSON.stringify([...cuts]));
  }
});

/** @param takes whether flash takes the write, counted over those of jobs */
function worn(takes: (write: number) => boolean, run: (job: Job) => void): Machine {
  let writes = 0;
  return new Machine({
    program: (agent, self) => {
      const { open } = self.host.keyValue;
      Object.assign(self.host.keyValue, {
        open: (options: { path: string }) => {
          const store = open(options);
          const write = (key: string, value: Uint8Array) => {
            if (key.startsWith("job.") && !takes(++writes)) throw new Error("worn");
            store.write(key, value);
          };
          return { ...store, write };
        },
      });
      agent.jobs.on("work", run);
    },
  });
}

test("a flash that takes nothing: what cannot be counted is not started, and FAILED", async t => {
  const machine = worn(
    () => false,
    () => t.fail(),
  );
  machine.service.create("a", { operation: "work" });
  machine.service.create("b", { operation: "fly" });
  await machine.world.run(60_000);
  t.is(machine.service.status("a"), "FAILED");
  t.regex(machine.service.reason("a")!, /nothing can be saved/);
  t.is(machine.service.status("b"), "REJECTED");
});

test("a flash that takes no more after the start: what is to be kept throws, the outcome is told all the same", async t => {
  const machine = worn(
    write => write === 1,
    job => {
      t.throws(() => job.keep(Uint8Array.of(1)), { code: "storage/write" });
      t.is(job.kept, undefined);
      job.succeed();
    },
  );
  machine.service.create("a", { operation: "work" });
  await machine.world.run(60_000);
  t.is(machine.service.status("a"), "SUCCEEDED");
});

test("a flash that does not take the restart: none, and FAILED", async t => {
  const machine = worn(
    write => write === 1,
    job => job.restart(),
  );
  machine.service.create("a", { operation: "work" });
  await machine.world.run(60_000);
  t.is(machine.restarts, 0);
  t.regex(machine.service.reason("a")!, /nothing can be saved/);
});

test("a flash that does not take the attempt after a crash: it is not made, and FAILED", async t => {
  let runs = 0;
  const machine = worn(
    write => write === 1,
    () => void runs++,
  );
  machine.service.create("a", { operation: "work" });
  await machine.world.run(10_000);
  machine.crash();
  await machine.world.run(60_000);
  t.is(runs, 1);
  t.regex(machine.service.reason("a")!, /nothing can be saved/);
});

test("what is begun is known from the start on, without a link", async t => {
  const machine = new Machine({ program: agent => agent.jobs.on("work", () => undefined) });
  machine.service.create("a", { operation: "work" });
  await machine.world.run(10_000);
  machine.world.unplug();
  machine.crash();
  await machine.world.run(10_000);
  const { begun } = machine.agent.jobs as Jobs;
  t.is(begun?.jobId, "a");
  t.is(begun?.operation, "work");
});

test("what is stored about the job is garbage: the service's word counts", async t => {
  for (const bytes of ["", "x", '{"job":1}', "{}", "[".repeat(100)]) {
    const machine = new Machine({ program: agent => agent.jobs.on("work", job => job.succeed()) });
    machine.off();
    const { writePair } = await import("../../src/util/sealed.js");
    const { Power } = await import("../../simulator/world/power.js");
    const store = machine.flash.provider(new Power()).open({ path: "skerry" });
    writePair(store, "job", toUtf8(bytes));
    machine.service.create("a", { operation: "work" }).status = "IN_PROGRESS";
    machine.boot();
    await machine.world.run(10_000);
    t.is(machine.service.status("a"), "SUCCEEDED", bytes);
  }
});

// -- at any moment --

/** Moments at which something happens in a run without trouble, in ms. */
async function moments(): Promise<readonly number[]> {
  const machine = machineWith();
  machine.service.delayMs = 30;
  await machine.world.run(100_000);
  const all = [
    ...machine.service.requests.map(({ at }) => at),
    ...machine.world.statuses.map(({ at }) => at),
  ];
  return [...new Set(all)].sort((one, other) => one - other);
}

const troubles: readonly [title: string, trouble: (machine: Machine) => void][] = [
  ["the machine starts anew", machine => machine.crash()],
  ["the link is cut", machine => machine.service.cutLink()],
  [
    "the network is away for a minute",
    machine => {
      machine.world.unplug();
      machine.clock.set(() => machine.world.plug(), 60_000);
    },
  ],
  [
    "the service is deaf for two minutes",
    machine => {
      machine.service.isDeaf = true;
      machine.clock.set(() => {
        machine.service.isDeaf = false;
      }, 120_000);
    },
  ],
];
for (const [title, trouble] of troubles)
  test(`${title}, right before and after everything that happens`, async t => {
    for (const at of await moments())
      for (const offset of [-1, 0, 1, 15]) {
        if (at + offset <= 0) continue;
        const machine = machineWith();
        machine.service.delayMs = 30;
        machine.clock.set(() => trouble(machine), at + offset);
        await machine.world.run(1_200_000);
        agree(t, machine, `${title} at ${at + offset}`);
      }
  });
