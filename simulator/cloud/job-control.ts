// What an owner does with jobs over REST (reference 12.4; botocore model "iot").

import * as v from "valibot";
import { type ControlRoute, choiceOf, flagOf, numberOf, pageOf } from "./control-request.js";
import { checked } from "./job-data.js";
import { invalidJob, JobFault } from "./job-fault.js";
import {
  executionDetails,
  executionSummary,
  jobDetails,
  jobReceipt,
  jobSummary,
} from "./job-shapes.js";
import { type ManagedTemplate, managedTemplate, managedTemplates } from "./job-templates.js";
import { executionStatuses, jobStatuses, statusDetailsSchema } from "./job-types.js";
import type { JobDescription, JobRequest, Jobs } from "./jobs.js";
import type { Json, JsonObject } from "./json.js";
import { arnPrefix } from "./policy.js";

const cancelRequest = v.object({
  reasonCode: v.exactOptional(v.pipe(v.string(), v.regex(/^[\p{Lu}\p{Nd}_]{0,128}$/u))),
  comment: v.exactOptional(v.pipe(v.string(), v.maxLength(2028), v.regex(/^\P{C}*$/u))),
});
const cancelExecutionRequest = v.object({
  expectedVersion: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(0))),
  statusDetails: v.exactOptional(statusDetailsSchema),
});

const job = /^\/jobs\/([^/]+)$/;
const jobsOfThing = /^\/things\/([^/]+)\/jobs$/;
const jobOfThing = /^\/things\/([^/]+)\/jobs\/([^/]+)$/;

export const jobControlRoutes: readonly ControlRoute[] = [
  {
    method: "PUT",
    path: job,
    perform: ({ names: [jobId = ""], body }, { jobs }) => {
      // Its shape is checked where the job is made.
      const request = { ...body, jobId } as unknown as JobRequest;
      return jobReceipt(jobs.create(request));
    },
  },
  {
    method: "GET",
    path: job,
    perform: ({ names: [jobId = ""] }, { jobs }) => {
      const found = known(jobs, jobId);
      const { documentSource } = found;
      return {
        ...(documentSource === undefined ? {} : { documentSource }),
        job: jobDetails(found),
      };
    },
  },
  {
    method: "DELETE",
    path: job,
    perform: ({ names: [jobId = ""], query }, { jobs }) => {
      jobs.delete(jobId, { force: flagOf(query, "force") ?? false });
      return {};
    },
  },
  {
    method: "GET",
    path: /^\/jobs\/([^/]+)\/job-document$/,
    perform: ({ names: [jobId = ""], query }, { jobs }) => {
      const { document, documentBefore } = known(jobs, jobId);
      return { document: flagOf(query, "beforeSubstitution") ? documentBefore : document };
    },
  },
  {
    method: "PUT",
    path: /^\/jobs\/([^/]+)\/cancel$/,
    perform: ({ names: [jobId = ""], query, body }, { jobs }) => {
      const force = flagOf(query, "force") ?? false;
      return jobReceipt(jobs.cancel(jobId, { force, ...checked(cancelRequest, body) }));
    },
  },
  {
    method: "GET",
    path: /^\/jobs\/([^/]+)\/things$/,
    perform: ({ names: [jobId = ""], query }, { jobs }) => {
      known(jobs, jobId);
      const status = choiceOf(query, "status", executionStatuses);
      return pageOf(
        "executionSummaries",
        jobs.executions(jobId).filter(each => status === undefined || each.status === status),
        each => `${each.thing}/${padded(each.number)}`,
        each => ({
          thingArn: `${arnPrefix}thing/${each.thing}`,
          jobExecutionSummary: executionSummary(each),
        }),
        query,
      );
    },
  },
  {
    method: "GET",
    path: /^\/jobs$/,
    perform: ({ query }, { jobs }) => listJobs(query, jobs),
  },
  {
    method: "PUT",
    path: /^\/things\/([^/]+)\/jobs\/([^/]+)\/cancel$/,
    perform: ({ names: [thing = "", jobId = ""], query, body }, { jobs }) => {
      const force = flagOf(query, "force") ?? false;
      jobs.cancelExecution(thing, jobId, { force, ...checked(cancelExecutionRequest, body) });
      return {};
    },
  },
  {
    method: "DELETE",
    path: /^\/things\/([^/]+)\/jobs\/([^/]+)\/executionNumber\/(\d{1,15})$/,
    perform: ({ names: [thing = "", jobId = "", number = ""], query }, { jobs }) => {
      const force = flagOf(query, "force") ?? false;
      jobs.deleteExecution(thing, jobId, Number(number), { force });
      return {};
    },
  },
  {
    method: "GET",
    path: jobOfThing,
    perform: ({ names: [thing = "", jobId = ""], query }, { jobs, now }) => {
      const execution = jobs.execution(thing, jobId, numberOf(query, "executionNumber"));
      if (execution !== undefined) return { execution: executionDetails(execution, now()) };
      throw new JobFault("ResourceNotFound", `There is no execution of ${jobId} on ${thing}`);
    },
  },
  {
    method: "GET",
    path: jobsOfThing,
    perform: ({ names: [thing = ""], query }, { jobs, things }) => {
      if (!things().some(({ name }) => name === thing)) {
        throw new JobFault("ResourceNotFound", `Thing ${thing} does not exist`);
      }
      const status = choiceOf(query, "status", executionStatuses);
      const jobId = query.get("jobId");
      return pageOf(
        "executionSummaries",
        jobs
          .executionsOf(thing)
          .filter(each => status === undefined || each.status === status)
          .filter(each => jobId === null || each.jobId === jobId),
        each => `${each.jobId}/${padded(each.number)}`,
        each => ({ jobId: each.jobId, jobExecutionSummary: executionSummary(each) }),
        query,
      );
    },
  },
  {
    method: "GET",
    path: /^\/managed-job-templates$/,
    perform: ({ query }) => {
      const name = query.get("templateName");
      return pageOf(
        "managedJobTemplates",
        managedTemplates.filter(({ templateName }) => name === null || name === templateName),
        ({ templateName }) => templateName,
        templateSummary,
        query,
      );
    },
  },
  {
    method: "GET",
    path: /^\/managed-job-templates\/([^/]+)$/,
    perform: ({ names: [name = ""], query }) => {
      const template = managedTemplate(name);
      const version = query.get("templateVersion") ?? template?.templateVersion;
      if (template === undefined || version !== template.templateVersion) {
        throw new JobFault("ResourceNotFound", `Job template ${name} does not exist`);
      }
      const { document, documentParameters } = template;
      const parameters = documentParameters.map((each): Json => ({ ...each }));
      return { ...templateSummary(template), documentParameters: parameters, document };
    },
  },
];

function listJobs(query: URLSearchParams, jobs: Jobs): JsonObject {
  const status = choiceOf(query, "status", jobStatuses);
  const selection = choiceOf(query, "targetSelection", ["SNAPSHOT", "CONTINUOUS"]);
  const group = query.get("thingGroupName");
  if (group !== null && jobs.groups.group(group) === undefined) {
    throw new JobFault("ResourceNotFound", `Thing group ${group} does not exist`);
  }
  const found = jobs
    .list()
    .filter(each => status === undefined || each.status === status)
    .filter(each => selection === undefined || each.targetSelection === selection)
    .filter(each => group === null || each.targets.includes(`${arnPrefix}thinggroup/${group}`));
  return pageOf("jobs", found, ({ jobId }) => jobId, jobSummary, query);
}

function templateSummary(template: ManagedTemplate): JsonObject {
  const { templateName, templateArn, templateVersion, description, environments } = template;
  return {
    templateArn,
    templateName,
    description,
    environments: [...environments],
    templateVersion,
  };
}

function known(jobs: Jobs, jobId: string): JobDescription {
  if (!/^[a-zA-Z0-9_-]{1,64}$/.test(jobId)) throw invalidJob("Invalid job id");
  const found = jobs.describe(jobId);
  if (found !== undefined) return found;
  throw new JobFault("ResourceNotFound", `Job ${jobId} does not exist`);
}

const padded = (number: number): string => String(number).padStart(15, "0");
