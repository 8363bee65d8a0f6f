// What every device does when a job asks for it: settings, another certificate, the steps of a managed template.
import test from "ava";
import type { Agent, Job, Settings } from "../../src/index.js";
import { withoutShadows } from "./service.js";
import { Machine, type MachineOptions } from "./world.js";

// -- settings --

const schema = {
  seconds: { type: "integer", min: 1, max: 60, default: 5 },
  label: { type: "string", maxLength: 8, default: "" },
  alarm: { type: "group", members: { high: { type: "number", max: 90, default: 50 } } },
} as const;

function withSettings() {
  const told: unknown[] = [];
  let outcome: unknown;
  let settings!: Settings<typeof schema>;
  const machine = new Machine({
    program: agent => {
      void agent.jobs;
      settings = agent.settings(schema);
      settings.onChange = changed => {
        told.push(changed);
        return outcome;
      };
      agent.settings("other", { volume: { type: "integer", default: 3 } });
    },
  });
  withoutShadows(machine.service);
  const { service, world } = machine;
  const run = async (document: object, id = "a") => {
    service.create(id, { operation: "settings", ...document });
    await world.run(10_000);
    return service.of(id);
  };
  return {
    machine,
    world,
    told,
    run,
    settings: () => settings,
    say: (what: unknown) => {
      outcome = what;
    },
  };
}

test("settings: in force, told to the product, saved and reported", async t => {
  const { machine, run, told, settings, world } = withSettings();
  const { status } = await run({ values: { seconds: 9, alarm: { high: 60 } } });
  t.is(status, "SUCCEEDED");
  t.deepEqual(told, [{ seconds: 9, alarm: { high: 60 } }]);
  t.deepEqual(settings().values, { seconds: 9, label: "", alarm: { high: 60 } });
  t.deepEqual(world.seen("reported").at(-1)?.values, { seconds: 9, alarm: { high: 60 } });
  machine.crash();
  await world.run(10_000);
  t.deepEqual(settings().values, { seconds: 9, label: "", alarm: { high: 60 } });
  t.deepEqual(
    machine.world.faults.filter(fault => !fault.startsWith("shadow/")),
    [],
  );
});

test("settings: of a named shadow", async t => {
  const { run, world } = withSettings();
  t.is((await run({ shadow: "other", values: { volume: 4 } })).status, "SUCCEEDED");
  t.deepEqual(world.seen("reported").at(-1)?.values, { volume: 4 });
});

const refused: readonly [title: string, document: object, reason: RegExp][] = [
  [
    "out of range",
    { values: { seconds: 99, label: "x" } },
    /^seconds: out of range: 99 is above 60/,
  ],
  ["of another type", { values: { seconds: "9" } }, /^seconds: wrong type/],
  ["unknown", { values: { colour: 1 } }, /^colour: unknown/],
  ["a group that is none", { values: { alarm: 5 } }, /^alarm: wrong type/],
  ["none", { values: {} }, /there are no values/],
  ["missing", {}, /there are no values/],
  ["no object", { values: 5 }, /values is not an object/],
  ["of a shadow that is not there", { shadow: "x", values: {} }, /no settings of this name/],
];
for (const [title, document, reason] of refused)
  test(`settings: values ${title}: REJECTED with the verdicts, all stays as it was`, async t => {
    const { run, told, settings } = withSettings();
    const { status, statusDetails } = await run(document);
    t.is(status, "REJECTED");
    t.regex(statusDetails!["reason"]!, reason);
    t.deepEqual(told, []);
    t.deepEqual(settings().values, { seconds: 5, label: "", alarm: { high: 50 } });
  });

test("settings: what the product would not take: FAILED with the verdict, the rest is in force", async t => {
  const { run, say, settings } = withSettings();
  say({ alarm: new Error("no horn") });
  const { status, statusDetails } = await run({ values: { seconds: 9, alarm: { high: 60 } } });
  t.is(status, "FAILED");
  t.deepEqual(statusDetails, {
    reason: "not all of it is in force",
    "alarm:high": "failed: no horn",
  });
  t.deepEqual(settings().values, { seconds: 9, label: "", alarm: { high: 50 } });
});

// -- another certificate --

const rotating: Partial<MachineOptions> = {
  program: agent => void agent.jobs,
  options: { rotation: { enrolling: { template: "t", parameters: {} } } },
};

/** Certifies and registers whoever asks. */
function provisioning(machine: Machine): { readonly count: number; isRefusing: boolean } {
  const state = { count: 0, isRefusing: false };
  machine.service.onOther = (topic, payload) => {
    if (state.isRefusing)
      return machine.service.publish(`${topic}/rejected`, { statusCode: 403, errorMessage: "no" });
    if (topic.startsWith("$aws/certificates/")) {
      const { certificateSigningRequest } = JSON.parse(payload);
      machine.service.publish(`${topic}/accepted`, {
        certificateId: `c${++state.count}`,
        // Whatever holds the key passes for a certificate of it.
        certificatePem: certificateSigningRequest.replaceAll("CERTIFICATE REQUEST", "CERTIFICATE"),
        certificateOwnershipToken: "token",
      });
    }
    if (topic.startsWith("$aws/provisioning-templates/"))
      machine.service.publish(`${topic}/accepted`, { thingName: "node-1" });
  };
  return state;
}

const rotate = { operation: "rotate-certificate" };

test("rotate-certificate: SUCCEEDED over the link of the new one, with its name", async t => {
  const machine = new Machine(rotating as MachineOptions);
  provisioning(machine);
  machine.service.create("a", rotate);
  await machine.world.run(30_000);
  t.is(machine.service.status("a"), "SUCCEEDED");
  t.deepEqual(machine.service.of("a").statusDetails, { certificateId: "c1" });
  t.is(machine.world.seen("rotated").length, 1);
});

test("rotate-certificate: FAILED with the cause", async t => {
  const machine = new Machine(rotating as MachineOptions);
  provisioning(machine).isRefusing = true;
  machine.service.create("a", rotate);
  await machine.world.run(3_600_000);
  t.is(machine.service.status("a"), "FAILED", machine.world.faults.join());
  t.truthy(machine.service.reason("a"));
  t.is(machine.world.seen("rotationFailed").length, 1);
});

test("rotate-certificate: REJECTED where nobody said how to ask", async t => {
  const machine = new Machine({ program: agent => void agent.jobs });
  machine.service.create("a", rotate);
  await machine.world.run(10_000);
  t.is(machine.service.status("a"), "REJECTED");
  t.regex(machine.service.reason("a")!, /cannot be asked for: no template/);
});

test("rotate-certificate: a power cut at every flash operation: one certificate more, at most two", async t => {
  const whole = new Machine(rotating as MachineOptions);
  provisioning(whole);
  whole.service.create("a", rotate);
  await whole.world.run(30_000);
  for (let operation = 0; operation < whole.power.operations; operation++)
    for (const when of ["before", "after"] as const) {
      const cuts = new Map([[1, { operation, when }]]);
      const machine = new Machine({ ...(rotating as MachineOptions), cuts });
      const state = provisioning(machine);
      machine.service.create("a", rotate);
      await machine.world.run(600_000);
      t.is(machine.service.status("a"), "SUCCEEDED", `${operation} ${when}`);
      t.true(state.count <= 2, `${operation} ${when}: ${state.count}`);
    }
});

// -- managed templates --

const action = (name: string, more: object = {}) => ({
  action: {
    name,
    type: "runHandler",
    input: { handler: "x.sh", args: [name] },
    runAsUser: "",
    ...more,
  },
});
const template = (steps: readonly unknown[], more: object = {}) => ({
  version: "1.0",
  steps,
  ...more,
});

/** Handlers that note what they are asked to do. */
function stepping(log: string[]) {
  return (agent: Agent) => {
    const noting = (job: Job) => {
      const { input } = job.read({ input: { args: "raw" } });
      log.push(`${job.operation} ${Buffer.from(input!.args!).toString()}`);
    };
    agent.jobs.on("Start-Application", job => {
      noting(job);
      job.succeed();
    });
    agent.jobs.on("Stop-Application", job => {
      noting(job);
      job.fail("is busy");
    });
  };
}

test("AWS-Reboot is honoured; another action is, when the product has a handler of its name", async t => {
  const log: string[] = [];
  const machine = new Machine({ program: stepping(log) });
  machine.service.create("a", template([action("Reboot")]));
  machine.service.create("b", template([action("Start-Application")]));
  machine.service.create("c", template([action("Download-File")]));
  await machine.world.run(60_000);
  t.is(machine.restarts, 1);
  t.is(machine.service.status("a"), "SUCCEEDED");
  t.is(machine.service.status("b"), "SUCCEEDED");
  t.deepEqual(log, ['Start-Application ["Start-Application"]']);
  t.is(machine.service.status("c"), "REJECTED");
  t.is(machine.service.reason("c"), "not honoured on this device: Download-File");
});

test("several steps in order, over a restart in the middle, and the final one", async t => {
  const log: string[] = [];
  const machine = new Machine({ program: stepping(log) });
  const steps = [
    action("Start-Application", { input: { args: [1] } }),
    action("Reboot"),
    action("Reboot"),
    action("Start-Application", { input: { args: [2] } }),
  ];
  const finalStep = action("Start-Application", { input: { args: [3] } });
  machine.service.create("a", template(steps, { finalStep }));
  await machine.world.run(120_000);
  t.is(machine.service.status("a"), "SUCCEEDED");
  t.is(machine.restarts, 2);
  t.deepEqual(
    log,
    [1, 2, 3].map(n => `Start-Application [${n}]`),
  );
});

test("a step that fails ends the job, unless its failure is to be ignored", async t => {
  for (const [ignoreStepFailure, status, count] of [
    [undefined, "FAILED", 1],
    ["false", "FAILED", 1],
    ["true", "SUCCEEDED", 2],
  ] as const) {
    const log: string[] = [];
    const machine = new Machine({ program: stepping(log) });
    const steps = [action("Stop-Application", { ignoreStepFailure }), action("Start-Application")];
    machine.service.create("a", template(steps));
    await machine.world.run(20_000);
    t.is(machine.service.status("a"), status);
    t.is(log.length, count);
    if (status === "FAILED") t.is(machine.service.reason("a"), "Stop-Application: is busy");
  }
});

const bad: readonly [title: string, document: object, reason: RegExp][] = [
  ["no version", { steps: [action("Reboot")] }, /steps and no version/],
  ["no steps", template([]), /no steps/],
  ["steps that are none", { version: "1.0", steps: 5 }, /not an array/],
  ["too many steps", template(Array.from({ length: 17 }, () => action("Reboot"))), /more than 16/],
  ["a step without action", template([{}]), /without action/],
  ["an action without name", template([{ action: { type: "runHandler" } }]), /without name/],
  ["an action of an unknown type", template([action("Reboot", { type: "x" })]), /of type x/],
  ["conditions", template([action("Reboot")], { conditions: [{ key: "a" }] }), /conditions/],
  [
    "one step of many that nobody does",
    template([action("Start-Application"), action("Run-Command", { type: "runCommand" })]),
    /not honoured on this device: Run-Command/,
  ],
];
for (const [title, document, reason] of bad)
  test(`a template with ${title}: REJECTED before any step`, async t => {
    const log: string[] = [];
    const machine = new Machine({ program: stepping(log) });
    machine.service.create("a", document);
    await machine.world.run(10_000);
    t.is(machine.service.status("a"), "REJECTED");
    t.regex(machine.service.reason("a")!, reason);
    t.deepEqual(log, []);
  });

test("steps: a power cut at every flash operation: each step is done once or, where it was cut, twice", async t => {
  const document = template([
    action("Start-Application", { input: { args: [1] } }),
    action("Reboot"),
    action("Start-Application", { input: { args: [2] } }),
  ]);
  const whole = new Machine({ program: stepping([]) });
  whole.service.create("a", document);
  await whole.world.run(60_000);
  for (const [boot, power] of whole.operations.entries())
    for (let operation = 0; operation < power.operations; operation++)
      for (const when of ["before", "after"] as const) {
        const log: string[] = [];
        const cuts = new Map([[boot + 1, { operation, when }]]);
        const machine = new Machine({ program: stepping(log), cuts });
        machine.service.create("a", document);
        await machine.world.run(600_000);
        const where = `boot ${boot + 1} operation ${operation} ${when}: ${log.join()}`;
        t.is(machine.service.status("a"), "SUCCEEDED", where);
        t.true(log.length <= 3, where);
        t.deepEqual([...log].sort(), log, where);
      }
});
