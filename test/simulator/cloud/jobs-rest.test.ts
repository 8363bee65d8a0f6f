// Jobs over HTTP: the data plane of chapter 4.8, the control plane of 12.4 and its errors (12.1), and AWS's command line.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import test, { type ExecutionContext } from "ava";
import type { CloudOptions } from "../../../simulator/cloud/cloud.js";
import { arn, document, type JobWorld, jobWorld, minuteMs } from "./job-wire.js";

type Body = Record<string, unknown>;

interface Answer {
  readonly status: number;
  readonly type: string | undefined;
  readonly body: Body;
}

interface RestWorld extends JobWorld {
  readonly url: string;
  /** Signed for this service; not at all without one. */
  ask(service: string | undefined, line: string, body?: unknown): Promise<Answer>;
  control(line: string, body?: unknown): Promise<Answer>;
  data(line: string, body?: unknown): Promise<Answer>;
}

async function restWorld(
  t: ExecutionContext,
  options: Partial<CloudOptions> = {},
): Promise<RestWorld> {
  const world = await jobWorld(t, { rest: { host: "127.0.0.1", port: 0 }, ...options });
  const url = `http://127.0.0.1:${world.cloud.restPort}`;
  const ask: RestWorld["ask"] = async (service, line, body) => {
    const [method, path] = line.split(" ");
    const credential = `AKID/20260101/eu-west-1/${service}/aws4_request`;
    const authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=host, Signature=0`;
    const headers = service === undefined ? {} : { authorization };
    const outgoing = request(url + path, { method, headers, agent: false });
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
    const [response] = await once(outgoing, "response");
    let text = "";
    for await (const chunk of response) text += chunk;
    const type = response.headers["x-amzn-errortype"];
    return { status: response.statusCode, type, body: JSON.parse(text) };
  };
  return {
    ...world,
    url,
    get now() {
      return world.now;
    },
    ask,
    control: (line, body) => ask("iot", line, body),
    data: (line, body) => ask("iot-jobs-data", line, body),
  };
}

test("4.8 a job's way over HTTPS: pending, start next, describe, update", async t => {
  const world = await restWorld(t);
  const { data, now } = world;
  const { heard } = world.device();
  world.job("first", ["node-1"]);
  heard();
  const summary = { jobId: "first", queuedAt: now, lastUpdatedAt: now, executionNumber: 1 };
  t.deepEqual((await data("GET /things/node-1/jobs")).body, {
    inProgressJobs: [],
    queuedJobs: [{ ...summary, versionNumber: 1 }],
  });
  const statusDetails = { step: "1" };
  const body = { statusDetails, stepTimeoutInMinutes: 2 };
  const execution = {
    ...summary,
    thingName: "node-1",
    status: "IN_PROGRESS",
    statusDetails,
    startedAt: now,
    versionNumber: 2,
    approximateSecondsBeforeTimedOut: 120,
    jobDocument: document,
  };
  t.deepEqual((await data("PUT /things/node-1/jobs/$next", body)).body, { execution });
  t.deepEqual((await data("GET /things/node-1/jobs/%24next")).body, { execution });
  const { jobDocument, ...without } = execution;
  const described = await data("GET /things/node-1/jobs/first?includeJobDocument=false");
  t.deepEqual(described.body, { execution: without });
  const update = { status: "SUCCEEDED", includeJobExecutionState: true, includeJobDocument: true };
  t.deepEqual((await data("POST /things/node-1/jobs/first", update)).body, {
    executionState: { status: "SUCCEEDED", statusDetails, versionNumber: 3 },
    jobDocument,
  });
  t.deepEqual(
    heard().map(({ topic }) => topic),
    ["notify", "notify-next"],
  );
  t.deepEqual((await data("GET /things/node-1/jobs/$next")).body, {});
  t.deepEqual((await data("PUT /things/node-1/jobs/$next")).body, {});
});

test("4.8 errors of the data plane have its names", async t => {
  const world = await restWorld(t, { jobLimits: { requestsPerSecond: 5 } });
  const { data } = world;
  world.device();
  world.job("first", ["node-1"]);
  const post = (body: Body) => data("POST /things/node-1/jobs/first", body);
  t.like(await post({ status: "QUEUED" }), { status: 400, type: "InvalidRequestException" });
  const mismatch = await post({ status: "FAILED", expectedVersion: 7 });
  t.like(mismatch, { status: 409, type: "InvalidStateTransitionException" });
  t.regex(String(mismatch.body.message), /version/);
  await post({ status: "FAILED" });
  const over = await post({ status: "FAILED" });
  t.like(over, { status: 409, type: "InvalidStateTransitionException" });
  const described = await data("GET /things/node-1/jobs/first");
  t.like(described, { status: 410, type: "TerminalStateException" });
  const missing = await data("GET /things/node-1/jobs/second");
  t.like(missing, { status: 404, type: "ResourceNotFoundException" });
  t.is((await data("POST /things/node-1/jobs/first", { status: 1 })).status, 400);
  t.like(await post({ status: "FAILED" }), { status: 429, type: "ThrottlingException" });
});

test("12.1 the same path is the one plane's or the other's, by the service it is signed for", async t => {
  const world = await restWorld(t);
  world.device();
  world.job("first", ["node-1"]);
  for (const service of ["iot", "execute-api"]) {
    const list = await world.ask(service, "GET /things/node-1/jobs");
    t.true("executionSummaries" in list.body);
    const one = await world.ask(service, "GET /things/node-1/jobs/first");
    t.like(one.body, { execution: { thingArn: `${arn}thing/node-1` } });
  }
  for (const service of ["iot-jobs-data", undefined]) {
    const list = await world.ask(service, "GET /things/node-1/jobs");
    t.true("queuedJobs" in list.body);
    const one = await world.ask(service, "GET /things/node-1/jobs/first");
    t.like(one.body, { execution: { thingName: "node-1" } });
  }
});

test("12.4 a job's way through the control plane", async t => {
  const world = await restWorld(t);
  const { control, now } = world;
  t.is((await control("POST /things/node-1", {})).status, 200);
  const { ask } = world.device();
  const targets = [`${arn}thing/node-1`];
  const made = await control("PUT /jobs/first", { targets, document, description: "blinks" });
  const receipt = { jobArn: `${arn}job/first`, jobId: "first", description: "blinks" };
  t.deepEqual(made.body, receipt);
  const counts = {
    processingTargets: [],
    numberOfCanceledThings: 0,
    numberOfSucceededThings: 0,
    numberOfFailedThings: 0,
    numberOfRejectedThings: 0,
    numberOfQueuedThings: 1,
    numberOfInProgressThings: 0,
    numberOfRemovedThings: 0,
    numberOfTimedOutThings: 0,
  };
  t.deepEqual((await control("GET /jobs/first")).body, {
    job: {
      ...receipt,
      targetSelection: "SNAPSHOT",
      status: "IN_PROGRESS",
      targets,
      createdAt: now,
      lastUpdatedAt: now,
      isConcurrent: false,
      jobProcessDetails: counts,
    },
  });
  t.deepEqual((await control("GET /jobs/first/job-document")).body, { document });
  ask("start-next", { statusDetails: { a: "b" }, stepTimeoutInMinutes: 1 });
  t.deepEqual((await control("GET /things/node-1/jobs/first?executionNumber=1")).body, {
    execution: {
      jobId: "first",
      status: "IN_PROGRESS",
      statusDetails: { detailsMap: { a: "b" } },
      thingArn: targets[0],
      queuedAt: now,
      startedAt: now,
      lastUpdatedAt: now,
      executionNumber: 1,
      versionNumber: 2,
      approximateSecondsBeforeTimedOut: 60,
    },
  });
  const jobExecutionSummary = {
    status: "IN_PROGRESS",
    queuedAt: now,
    startedAt: now,
    lastUpdatedAt: now,
    executionNumber: 1,
    retryAttempt: 0,
  };
  t.deepEqual((await control("GET /jobs/first/things")).body, {
    executionSummaries: [{ thingArn: targets[0], jobExecutionSummary }],
  });
  t.deepEqual((await control("GET /things/node-1/jobs?status=IN_PROGRESS")).body, {
    executionSummaries: [{ jobId: "first", jobExecutionSummary }],
  });
  t.deepEqual((await control("GET /jobs/first/things?status=QUEUED")).body, {
    executionSummaries: [],
  });
  const canceled = await control("PUT /jobs/first/cancel?force=true", { reasonCode: "NO_MORE" });
  t.deepEqual(canceled.body, receipt);
  const job = { status: "CANCELED", forceCanceled: true, reasonCode: "NO_MORE" };
  t.like((await control("GET /jobs/first")).body, { job });
  t.like((await control("GET /things/node-1/jobs/first")).body, {
    execution: { status: "CANCELED", forceCanceled: true },
  });
  t.deepEqual((await control("DELETE /jobs/first")).body, {});
  t.is((await control("GET /jobs/first")).status, 404);
});

test("12.4 errors of the control plane", async t => {
  const world = await restWorld(t);
  const { control } = world;
  world.device();
  const targets = [`${arn}thing/node-1`];
  const refused = async (status: number, type: string, line: string, body?: unknown) =>
    t.like(await control(line, body), { status, type }, line);
  const bad = (line: string, body?: unknown) => refused(400, "InvalidRequestException", line, body);
  await bad("PUT /jobs/first", { document });
  await bad("PUT /jobs/first", { targets, document: "no json" });
  await bad("PUT /jobs/first", { targets: ["node-1"], document });
  await bad("PUT /jobs/a%20b", { targets, document });
  await bad("PUT /jobs/%ff", { targets, document });
  await bad("GET /jobs?maxResults=251");
  await bad("GET /jobs?status=DONE");
  const nobody = [`${arn}thing/nobody`];
  const notFound = "ResourceNotFoundException";
  await refused(404, notFound, "PUT /jobs/first", { targets: nobody, document });
  await control("PUT /jobs/first", { targets, document });
  const again = await control("PUT /jobs/first", { targets, document });
  t.like(again, {
    status: 409,
    type: "ResourceAlreadyExistsException",
    body: { resourceId: "first", resourceArn: `${arn}job/first` },
  });
  const transition = "InvalidStateTransitionException";
  await refused(409, transition, "DELETE /jobs/first");
  await refused(409, "VersionConflictException", "PUT /things/node-1/jobs/first/cancel", {
    expectedVersion: 9,
  });
  world.cloud.jobs.data.startNext("node-1", {}, "object");
  await refused(409, transition, "PUT /things/node-1/jobs/first/cancel");
  await refused(409, transition, "DELETE /things/node-1/jobs/first/executionNumber/1");
  t.is((await control("PUT /things/node-1/jobs/first/cancel?force=true")).status, 200);
  await refused(409, transition, "PUT /things/node-1/jobs/first/cancel?force=true");
  t.is((await control("DELETE /things/node-1/jobs/first/executionNumber/1")).status, 200);
  for (const line of [
    "GET /jobs/x",
    "PUT /jobs/x/cancel",
    "DELETE /jobs/x",
    "GET /jobs/x/things",
  ]) {
    await refused(404, notFound, line);
  }
  await refused(404, notFound, "GET /things/nobody/jobs");
  await refused(405, "MethodNotAllowedException", "PATCH /jobs/first");
});

test("12.1 lists come in pages that lose nothing", async t => {
  const world = await restWorld(t);
  const { control } = world;
  world.device();
  for (const id of ["a", "b", "c", "d"]) world.job(id, ["node-1"]);
  const idsOf = ({ body }: Answer) => (body.jobs as { jobId: string }[]).map(({ jobId }) => jobId);
  const first = await control("GET /jobs?maxResults=2");
  t.deepEqual(idsOf(first), ["a", "b"]);
  world.cloud.jobs.delete("b", { force: true });
  const second = await control(`GET /jobs?maxResults=2&nextToken=${first.body.nextToken}`);
  t.deepEqual(idsOf(second), ["c", "d"]);
  t.is(second.body.nextToken, undefined);
});

test("12.2 things, groups and the endpoint, as far as jobs need them", async t => {
  const world = await restWorld(t);
  const { control } = world;
  const attributePayload = { attributes: { room: "attic" } };
  const made = await control("POST /things/node-1", { attributePayload });
  t.like(made.body, { thingName: "node-1", thingArn: `${arn}thing/node-1` });
  t.regex(String(made.body.thingId), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  t.deepEqual((await control("POST /things/node-1", { attributePayload })).body, made.body);
  t.like(await control("POST /things/node-1", {}), {
    status: 409,
    type: "ResourceAlreadyExistsException",
    body: { resourceId: "node-1" },
  });
  t.like((await control("GET /things/node-1")).body, { attributes: { room: "attic" }, version: 1 });
  t.like((await control("GET /things")).body, { things: [{ thingName: "node-1" }] });
  const group = await control("POST /thing-groups/attic", {});
  t.like(group.body, { thingGroupName: "attic", thingGroupArn: `${arn}thinggroup/attic` });
  const member = { thingGroupName: "attic", thingArn: `${arn}thing/node-1` };
  t.is((await control("PUT /thing-groups/addThingToThingGroup", member)).status, 200);
  t.deepEqual((await control("GET /thing-groups/attic/things")).body, { things: ["node-1"] });
  t.deepEqual((await control("GET /things/node-1/thing-groups")).body, {
    thingGroups: [{ groupName: "attic", groupArn: `${arn}thinggroup/attic` }],
  });
  t.is((await control("PUT /thing-groups/removeThingFromThingGroup", member)).status, 200);
  t.deepEqual((await control("GET /thing-groups/attic/things")).body, { things: [] });
  t.deepEqual((await control("GET /endpoint?endpointType=iot:Data-ATS")).body, {
    endpointAddress: "localhost",
  });
  t.is((await control("PUT /thing-groups/addThingToThingGroup", {})).status, 400);
  t.is((await control("GET /thing-groups/cellar")).status, 404);
});

test("4.7 managed templates are listed, described and filled in", async t => {
  const world = await restWorld(t);
  const { control } = world;
  world.device();
  const list = await control("GET /managed-job-templates");
  const templates = list.body.managedJobTemplates as { templateName: string }[];
  t.deepEqual(
    templates.map(({ templateName }) => templateName),
    [
      "AWS-Download-File",
      "AWS-Install-Application",
      "AWS-Reboot",
      "AWS-Remove-Application",
      "AWS-Restart-Application",
      "AWS-Run-Command",
      "AWS-Start-Application",
      "AWS-Stop-Application",
    ],
  );
  const described = await control("GET /managed-job-templates/AWS-Download-File");
  const { templateArn, documentParameters } = described.body;
  t.like(documentParameters, [{ key: "downloadUrl", optional: false }]);
  const targets = [`${arn}thing/node-1`];
  const filled = { targets, jobTemplateArn: templateArn };
  const parameters = { downloadUrl: 'https://example.com/"x"', filePath: "/tmp/x" };
  t.is((await control("PUT /jobs/first", filled)).status, 400);
  t.is(
    (await control("PUT /jobs/first", { ...filled, documentParameters: parameters })).status,
    200,
  );
  const after = JSON.parse(String((await control("GET /jobs/first/job-document")).body.document));
  t.like(after, {
    version: "1.0",
    steps: [
      {
        action: {
          name: "Download-File",
          type: "runHandler",
          input: {
            handler: "download-file.sh",
            args: ['https://example.com/"x"', "/tmp/x"],
            path: "",
          },
          runAsUser: "",
        },
      },
    ],
  });
  const before = await control("GET /jobs/first/job-document?beforeSubstitution=true");
  t.regex(String(before.body.document), /\$\{aws:iot:parameter:downloadUrl\}/);
  const command = {
    targets,
    jobTemplateArn: "arn:aws:iot:eu-west-1::jobtemplate/AWS-Run-Command:1.0",
  };
  const run = { ...command, documentParameters: { command: "ls,-l" } };
  t.is((await control("PUT /jobs/second", run)).status, 200);
  t.is(
    (await control("PUT /jobs/third", { ...command, documentParameters: { nothing: "x" } })).status,
    400,
  );
  const unknown = { targets, jobTemplateArn: `${arn}jobtemplate/mine` };
  t.is((await control("PUT /jobs/third", unknown)).status, 404);
});

test("4.6 job events are off until UpdateEventConfigurations enables them", async t => {
  const world = await restWorld(t);
  const { ask } = world.device();
  world.job("first", ["node-1"]);
  ask("first/update", { status: "SUCCEEDED" });
  t.deepEqual(world.backEnd(), []);
  const eventConfigurations = { JOB: { Enabled: true }, JOB_EXECUTION: { Enabled: true } };
  await world.control("PATCH /event-configurations", { eventConfigurations });
  t.deepEqual((await world.control("GET /event-configurations")).body, { eventConfigurations });
  world.job("second", ["node-1"]);
  world.time.advance(minuteMs);
  ask("second/update", { status: "SUCCEEDED", statusDetails: { a: "b" } });
  const [execution, job, ...more] = world.backEnd();
  t.deepEqual(more, []);
  const { eventId, ...body } = execution!.body;
  t.regex(String(eventId), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
  t.is(execution!.topic, "jobExecution/second/succeeded");
  t.deepEqual(body, {
    eventType: "JOB_EXECUTION",
    timestamp: world.now,
    operation: "succeeded",
    jobId: "second",
    thingArn: `${arn}thing/node-1`,
    status: "SUCCEEDED",
    statusDetails: { a: "b" },
  });
  t.like(job, {
    topic: "job/second/completed",
    body: {
      eventType: "JOB",
      operation: "completed",
      status: "COMPLETED",
      createdAt: world.time.now() - minuteMs,
      completedAt: world.time.now(),
      jobProcessDetails: { numberOfSucceededThings: 1 },
    },
  });
  const other = { eventConfigurations: { THING: { Enabled: true } } };
  t.is((await world.control("PATCH /event-configurations", other)).status, 400);
});

/** Whether a program is there; its output, and its exit code. */
async function run(program: string, args: string[], env: Record<string, string> = {}) {
  const child = spawn(program, args, { env: { ...process.env, ...env } });
  let out = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", text => (out += text));
  const outcome = await Promise.race([once(child, "close"), once(child, "error")]);
  return typeof outcome[0] === "number" ? { code: outcome[0], out } : undefined;
}

test("AWS's command line makes, watches and cancels a job, and starts one as a device", async t => {
  if ((await run("aws", ["--version"])) === undefined) return t.pass("aws is not installed");
  const world = await restWorld(t);
  const aws = async (...args: string[]) => {
    const where = ["--endpoint-url", world.url, "--region", "eu-west-1", "--output", "json"];
    const result = await run("aws", [...args, ...where], {
      AWS_ACCESS_KEY_ID: "any",
      AWS_SECRET_ACCESS_KEY: "any",
      AWS_EC2_METADATA_DISABLED: "true",
      NO_PROXY: "127.0.0.1",
    });
    return result?.code === 0 ? JSON.parse(result.out || "{}") : { error: result?.out };
  };
  const job = ["--job-id", "first"];
  const thing = ["--thing-name", "node-1"];
  await aws("iot", "create-thing", ...thing);
  const targets = ["--targets", `${arn}thing/node-1`];
  const made = await aws("iot", "create-job", ...job, ...targets, "--document", document);
  t.like(made, { jobArn: `${arn}job/first`, jobId: "first" });
  t.like(await aws("iot", "describe-job", ...job), { job: { status: "IN_PROGRESS" } });
  const started = await aws("iot-jobs-data", "start-next-pending-job-execution", ...thing);
  t.like(started, { execution: { jobId: "first", jobDocument: document } });
  const pending = await aws("iot-jobs-data", "get-pending-job-executions", ...thing);
  t.like(pending, { queuedJobs: [], inProgressJobs: [{ versionNumber: 2 }] });
  const execution = await aws("iot", "describe-job-execution", ...job, ...thing);
  t.like(execution, { execution: { status: "IN_PROGRESS", thingArn: `${arn}thing/node-1` } });
  const list = await aws("iot", "list-job-executions-for-job", ...job);
  t.like(list, { executionSummaries: [{ thingArn: `${arn}thing/node-1` }] });
  t.like(await aws("iot", "cancel-job", ...job, "--force"), { jobId: "first" });
  t.like(await aws("iot", "describe-job", ...job), { job: { status: "CANCELED" } });
  const missing = await aws("iot", "describe-job", "--job-id", "nothing");
  t.regex(missing.error, /ResourceNotFoundException.*Job nothing does not exist/);
});
