// The data plane of jobs over HTTPS (reference 4.8; botocore model "iot-jobs-data"): documents are texts here.

import {
  type ControlRequest,
  type ControlRoute,
  type ControlServices,
  flagOf,
  numberOf,
} from "./control-request.js";
import { invalidJob, JobFault } from "./job-fault.js";
import type { JsonObject } from "./json.js";

const thingJobs = /^\/things\/([^/]+)\/jobs$/;
const thingJob = /^\/things\/([^/]+)\/jobs\/([^/]+)$/;

export const jobDataRoutes: readonly ControlRoute[] = [
  {
    method: "GET",
    path: thingJobs,
    perform: (request, services) => {
      const { thing } = admitted(request, services, "read");
      return services.jobs.request(data => data.pending(thing));
    },
  },
  {
    method: "PUT",
    path: /^\/things\/([^/]+)\/jobs\/(?:\$|%24)next$/i,
    perform: (request, services) => {
      const { thing } = admitted(request, services, "write");
      return services.jobs.request(data => data.startNext(thing, request.body, "text"));
    },
  },
  {
    method: "GET",
    path: thingJob,
    perform: (request, services) => {
      const { thing, jobId } = admitted(request, services, "read");
      if (jobId !== "$next") checkJobId(jobId);
      const executionNumber = numberOf(request.query, "executionNumber");
      const includeJobDocument = flagOf(request.query, "includeJobDocument");
      const body: JsonObject = {
        ...(executionNumber === undefined ? {} : { executionNumber }),
        ...(includeJobDocument === undefined ? {} : { includeJobDocument }),
      };
      return services.jobs.request(data => data.describe(thing, jobId, body, "text"));
    },
  },
  {
    method: "POST",
    path: thingJob,
    perform: (request, services) => {
      const { thing, jobId } = admitted(request, services, "write");
      checkJobId(jobId);
      return services.jobs.request(data => data.update(thing, jobId, request.body, "text"));
    },
  },
];

/** Requests of all devices count together, whatever carries them. */
function admitted(
  { names }: ControlRequest,
  { jobs, now }: ControlServices,
  kind: "read" | "write",
): { readonly thing: string; readonly jobId: string } {
  if (!jobs.rate.admits(kind, now())) throw new JobFault("RequestThrottled", "Too many requests");
  const [thing = "", jobId = ""] = names;
  if (!/^[a-zA-Z0-9:_-]{1,128}$/.test(thing)) throw invalidJob("Invalid thing name");
  return { thing, jobId };
}

function checkJobId(jobId: string): void {
  if (!/^[a-zA-Z0-9_-]{1,64}$/.test(jobId)) throw invalidJob("Invalid job id");
}
