// The job case of Device Advisor, and two of ours. @see AWS IoT developer guide, "device-advisor-tests-job-execution"
import type { JobExecution } from "../cloud/jobs.js";
import type { Case } from "./case.js";
import type { Examiner } from "./examiner.js";
import { fail, pass, seconds, type Verdict, warn } from "./verdict.js";

const minute = 60_000;
/** A device may be at something, and a backoff away. */
const limitMs = 2 * minute;

/** What the sensor node can do. */
const blink = Object.freeze({ operation: "blink", times: 2 });
const presigned = `\${aws:iot:s3-presigned-url:https://s3.eu-west-1.amazonaws.com/advisor/file.bin}`;
const impossible = Object.freeze({ operation: "advisor-asks-for-the-impossible" });

/** What the device calls itself where it speaks of jobs. */
function nameOf(x: Examiner): string | undefined {
  const topics = x.conversations.flatMap(each => [
    ...each.all("subscribe").flatMap(({ packet }) => packet.subscriptions),
    ...each.all("publish").map(({ packet }) => packet),
  ]);
  return topics
    .map(({ topic }) => /^\$aws\/things\/([^/+#]+)\/jobs\//.exec(topic)?.[1])
    .find(name => name !== undefined);
}

/** As `nameOf`, once the device has said so and is subscribed. */
async function thingOf(x: Examiner): Promise<string | undefined> {
  await x.time.until(() => nameOf(x) !== undefined, limitMs);
  const thing = nameOf(x);
  if (thing !== undefined) await x.time.until(() => false, 1000);
  return thing;
}

const noJobs = fail("asked for no jobs: no topic of theirs was subscribed to, or published");

const isOver = (execution: JobExecution | undefined) =>
  execution !== undefined && !["QUEUED", "IN_PROGRESS"].includes(execution.status);

/** `FAILED: no room` */
function described(execution: JobExecution | undefined): string {
  const { status = "not there", statusDetails } = execution ?? {};
  const reason = statusDetails?.["reason"];
  return reason === undefined ? status : `${status}: ${reason}`;
}

/** Waits for its end. @returns undefined when it succeeded, else what became of it */
async function trouble(x: Examiner, thing: string, jobId: string): Promise<string | undefined> {
  const find = () => x.jobs.find(thing, jobId);
  await x.time.until(() => isOver(find()), limitMs);
  const found = find();
  if (found?.status === "SUCCEEDED") return undefined;
  return isOver(found) ? described(found) : `still ${described(found)} after ${seconds(limitMs)}`;
}

/** The three ways to make a job: with a document, with the link of one, and before the device asks. */
async function executes(x: Examiner): Promise<Verdict> {
  const thing = await thingOf(x);
  if (thing === undefined) return noJobs;
  const seen: string[] = [];
  const succeeds = async (name: string, jobId: string) => {
    const since = x.time.ticks();
    const wrong = await trouble(x, thing, jobId);
    seen.push(`${name} in ${seconds(x.time.ticks() - since)}`);
    return wrong === undefined ? undefined : fail(`${name}: ${wrong}`);
  };
  const document = x.job ?? blink;
  x.jobs.create(thing, "advisor-document", document, "document");
  const first = await succeeds("from a document", "advisor-document");
  if (first) return first;
  x.jobs.create(thing, "advisor-link", x.job ?? { ...blink, link: presigned }, "link");
  const second = await succeeds("from a link", "advisor-link");
  if (second) return second;
  if (x.online) x.disconnect(x.online);
  x.jobs.create(thing, "advisor-existing", document, "document");
  return (await succeeds("made while it was away", "advisor-existing")) ?? pass(seen.join(", "));
}

async function rejects(x: Examiner): Promise<Verdict> {
  const thing = await thingOf(x);
  if (thing === undefined) return noJobs;
  x.jobs.create(thing, "advisor-impossible", impossible, "document");
  x.jobs.create(thing, "advisor-next", x.job ?? blink, "document");
  const wrong = await trouble(x, thing, "advisor-impossible");
  if (wrong === undefined) return fail("SUCCEEDED at an operation that does not exist");
  if (wrong.startsWith("still")) return fail(wrong);
  const next = await trouble(x, thing, "advisor-next");
  if (next !== undefined) return fail(`the job behind it: ${next}`);
  if (wrong.startsWith("REJECTED")) return pass(`${wrong}; the job behind it succeeded`);
  return warn(`${wrong}: only REJECTED says that it is not to be tried again`);
}

async function stops(x: Examiner): Promise<Verdict> {
  const thing = await thingOf(x);
  if (thing === undefined) return noJobs;
  const document = x.job ?? blink;
  const find = () => x.jobs.find(thing, "advisor-cancelled");
  x.jobs.create(thing, "advisor-cancelled", document, "document");
  await x.time.until(() => find()?.status !== "QUEUED", limitMs);
  const found = find();
  if (found?.status === "QUEUED") return fail(`still QUEUED after ${seconds(limitMs)}`);
  if (found?.status !== "IN_PROGRESS")
    return warn(`${described(found)} before it could be cancelled: --job names a longer one`);
  x.jobs.cancel(thing, "advisor-cancelled");
  const since = x.time.ticks();
  x.jobs.create(thing, "advisor-next", document, "document");
  const next = await trouble(x, thing, "advisor-next");
  if (next !== undefined) return fail(`cancelled while running, then the next job: ${next}`);
  return pass(`cancelled while running, the next done in ${seconds(x.time.ticks() - since)}`);
}

const common = { isQualification: false, limitMs: 3 * limitMs };

/** Device Advisor's one first. */
export const jobCases: readonly Case[] = Object.freeze([
  { name: "Job_Execution", ...common, examine: executes },
  { name: "Job_Rejection", ...common, examine: rejects },
  { name: "Job_Cancellation", ...common, examine: stops },
]);
