// Bytes that no jobs service should send, documents that no device can keep, details that no service would take.
import test, { type ExecutionContext } from "ava";
import { Random } from "../../simulator/world/random.js";
import type { Job } from "../../src/index.js";
import { boundedDetails } from "../../src/jobs/details.js";
import type { Said } from "./service.js";
import { Machine } from "./world.js";

function device(work: (job: Job) => unknown = job => job.succeed()) {
  const machine = new Machine({ program: agent => agent.jobs.on("work", work) });
  return { machine, world: machine.world, service: machine.service };
}

const work = { operation: "work" };

type Device = ReturnType<typeof device>;

/** No fault of ours, no link lost, and jobs run. */
async function goesOn(t: ExecutionContext, { world, service }: Device): Promise<void> {
  service.answer = () => undefined;
  await world.run(700_000);
  service.create("last", work);
  await world.run(60_000);
  t.is(service.status("last"), "SUCCEEDED");
  t.deepEqual(world.seen("offline"), []);
  t.deepEqual(
    world.faults.filter(fault => fault.startsWith("agent/")),
    [],
  );
}

const execution = (more: object) => ({
  execution: {
    jobId: "a",
    executionNumber: 1,
    status: "QUEUED",
    versionNumber: 1,
    jobDocument: work,
    ...more,
  },
});

const hostile: readonly unknown[] = [
  "",
  "null",
  "[]",
  "0",
  '"x"',
  "{",
  '{"execution":',
  '{"execution":[]}',
  '{"execution":5}',
  '{"execution":{}}',
  '{"clientToken":5}',
  '{"executionState":{}}',
  '{"executionState":"x"}',
  '{"code":5}',
  "[".repeat(20_000),
  `{"x":${"[".repeat(40)}${"]".repeat(40)}}`,
  Buffer.from([0xff, 0xfe, 0, 1]),
  execution({ jobId: "" }),
  execution({ jobId: "../x" }),
  execution({ jobId: "x".repeat(65) }),
  execution({ jobId: "$next" }),
  execution({ jobId: 7 }),
  execution({ executionNumber: -1 }),
  execution({ executionNumber: "1" }),
  execution({ executionNumber: 1.5 }),
  execution({ executionNumber: undefined }),
  execution({ status: undefined }),
  execution({ status: 7 }),
  execution({ versionNumber: "1" }),
  execution({ versionNumber: -1 }),
  execution({ versionNumber: undefined }),
  execution({ statusDetails: "x" }),
  execution({ statusDetails: { x: 5 } }),
  execution({ statusDetails: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [i, "x"])) }),
  execution({ approximateSecondsBeforeTimedOut: "soon" }),
];

/** As it is, and with the token of the request. */
function withToken(body: unknown, clientToken: string | undefined): unknown {
  const isObject = typeof body === "object" && !Buffer.isBuffer(body);
  return isObject ? { ...body, clientToken } : body;
}

for (const suffix of ["get/accepted", "get/rejected", "update/accepted", "update/rejected"])
  test(`whatever stands in ${suffix}: asked again later, a few times a minute`, async t => {
    for (const body of hostile) {
      const all = device();
      const { world, service } = all;
      service.create("a", work);
      const [operation] = suffix.split("/");
      service.answer = request =>
        request.operation === operation
          ? [
              {
                suffix: `${request.jobId}/${suffix}`,
                body: withToken(body, request.body.clientToken),
              },
            ]
          : undefined;
      await world.run(600_000);
      t.true(service.requests.length < 60, `${service.requests.length} ${String(body)}`);
      await goesOn(t, all);
      t.is(service.status("a"), "SUCCEEDED", JSON.stringify(body));
    }
  });

test("whatever stands in notify-next: the queue is read", async t => {
  const all = device();
  const { world, service } = all;
  await world.run(5000);
  service.isSilent = true;
  for (const body of hostile) {
    service.say({ suffix: "notify-next", body });
    await world.run(1000);
  }
  service.create("a", work);
  service.say({ suffix: "notify-next", body: "{" });
  await world.run(5000);
  t.is(service.status("a"), "SUCCEEDED");
  await goesOn(t, { ...all, service: Object.assign(service, { isSilent: false }) });
});

test("any bytes on any topic of jobs, at any time", async t => {
  const random = new Random(8);
  const all = device(job => {
    if (job.id !== "a") job.succeed();
  });
  const { world, service } = all;
  service.create("a", work);
  await world.run(5000);
  const topics = ["notify-next", "notify", "$next/get/accepted", "$next/get/rejected"];
  for (const id of ["a", "b", "$next"])
    topics.push(`${id}/update/accepted`, `${id}/update/rejected`, `${id}/get/accepted`, `${id}/x`);
  for (let i = 0; i < 400; i++) {
    const suffix = topics[random.below(topics.length)]!;
    const body = hostile[random.below(hostile.length)];
    const said: Said = { suffix, body: withToken(body, "x") };
    service.say(said);
    await world.run(200);
  }
  t.is(service.status("a"), "IN_PROGRESS");
  service.cancel("a", true);
  await goesOn(t, all);
});

// -- documents --

test("a document that is too long to keep: read without it, REJECTED with its length, the next one runs", async t => {
  const all = device();
  const { world, service } = all;
  service.create("a", { ...work, filler: "x".repeat(30_000) });
  service.create("b", work);
  await world.run(10_000);
  t.is(service.status("a"), "REJECTED");
  t.regex(service.reason("a")!, /3\d{4} bytes, at most 24576 are taken/);
  t.is(service.of("a").starts, 0);
  t.is(service.status("b"), "SUCCEEDED");
  t.deepEqual(
    service.gets.map(({ body }) => body.includeJobDocument),
    [true, false, true, true],
  );
});

test("a document that nests too deep: the same", async t => {
  const { world, service } = device();
  service.create("a", `{"operation":"work","x":${"[".repeat(40)}${"]".repeat(40)}}`);
  service.create("b", work);
  await world.run(10_000);
  t.is(service.status("a"), "REJECTED");
  t.regex(service.reason("a")!, /nesting deeper than 32/);
  t.is(service.status("b"), "SUCCEEDED");
});

test("documents with names of built-in properties, escapes, and every kind of value", async t => {
  const texts = [
    '{"operation":"work","__proto__":{"operation":"fly"},"constructor":1,"toString":null}',
    '{"\\u006fperation":"wor\\u006b","x":1e400,"y":"\\ud800"}',
    '{"x":{"operation":"fly"},"operation":"work"}',
    '{"operation":"fly","operation":"work"}',
  ];
  for (const text of texts) {
    const { world, service } = device();
    service.create("a", text);
    await world.run(5000);
    t.is(service.status("a"), "SUCCEEDED", text);
  }
});

test("an operation by the name of an object's own property is nobody's", async t => {
  for (const operation of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
    const { world, service } = device();
    service.create("a", { operation });
    await world.run(5000);
    t.is(service.status("a"), "REJECTED");
  }
});

// -- status details --

test("status details are what the service takes, whatever a handler says", async t => {
  const long = "x".repeat(5000);
  const many = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`n${i}`, "1"]));
  const details: readonly { readonly [name: string]: string }[] = [
    { ...many },
    { a: long, b: long, c: long, d: long },
    { "": "x", "a b": "x", [`n${long}`]: "x", ö: "x", ok: "yes" },
    { a: "", b: "\u0000\u001f\u007f\u009f\n", c: "\ud800", d: "\u{1f600}".repeat(600) },
    { a: 5 as unknown as string, b: null as unknown as string, c: {} as unknown as string },
    { a: '"'.repeat(2000), b: "\\".repeat(2000), c: "é".repeat(2000) },
  ];
  for (const one of details) {
    const { world, service } = device(job => job.fail(`\u0007no ${long}`, one));
    service.create("a", work);
    await world.run(5000);
    t.is(service.status("a"), "FAILED");
    const told = service.of("a").statusDetails!;
    t.true(Object.keys(told).length >= 2 && Object.keys(told).length <= 10);
    t.true(told["reason"]!.startsWith(" no xxx"));
    t.true(service.asked("a").length === 2);
  }
});

test("details of any kind, at random, are within the bounds", t => {
  const random = new Random(3);
  const characters = ["a", "\u0000", '"', "\\", "é", "€", "\u{1f600}", "\ud800", "\udc00", " "];
  for (let i = 0; i < 300; i++) {
    const text = (most: number) =>
      Array.from({ length: random.below(most) }, () => characters[random.below(10)]).join("");
    const details: { [name: string]: string } = {};
    for (let n = random.below(14); n > 0; n--)
      details[random.below(2) ? `n${n}` : text(5)] = text(1500);
    const bounded = boundedDetails(details, text(1500));
    const bytes = Buffer.byteLength(JSON.stringify(Object.fromEntries(bounded)));
    t.true(bounded.size <= 10 && bytes <= 3100, `${bytes}`);
    for (const [name, value] of bounded) {
      t.regex(name, /^[a-zA-Z0-9:_-]{1,128}$/);
      t.regex(value, /^[^\p{Cc}\p{Cs}]{1,1024}$/u);
    }
  }
});
