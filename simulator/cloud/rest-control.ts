// The control plane over REST, and the data plane of jobs, whose paths are partly the same (reference 12.1).
// What both have in common: which is meant, bodies, pages, errors.

import type { ControlRequest, ControlRoute, ControlServices, Plane } from "./control-request.js";
import { jobControlRoutes } from "./job-control.js";
import { invalidJob, JobFault, restNameOf } from "./job-fault.js";
import { jobDataRoutes } from "./job-rest.js";
import { isObject, type JsonObject, parseJson } from "./json.js";
import { jobLimits } from "./limits.js";
import { arnPrefix } from "./policy.js";
import type { RestAnswer, RestRequest } from "./rest-answers.js";
import { thingControlRoutes } from "./thing-control.js";

const routes: readonly (ControlRoute & { readonly plane: Plane })[] = [
  ...jobDataRoutes.map(route => ({ ...route, plane: "data" as const })),
  ...jobControlRoutes.map(route => ({ ...route, plane: "control" as const })),
  ...thingControlRoutes.map(route => ({ ...route, plane: "control" as const })),
];

/** @returns undefined when the path is none of these, or is another's with this method */
export function answerControl(
  request: RestRequest,
  services: ControlServices,
): RestAnswer | undefined {
  const found = routes.filter(
    ({ path, method }) => method === request.method && path.test(request.path),
  );
  const asked = planeOf(request);
  const route = found.find(({ plane }) => plane === asked) ?? found[0];
  if (route === undefined) return undefined;
  try {
    const body = route.perform(readRequest(route, request), services);
    return { status: 200, headers: {}, body, isBare: true };
  } catch (error) {
    if (error instanceof JobFault) return faultOf(error, route.plane);
    throw error;
  }
}

/** Whether another method would be served at this path. */
export function controlMethods(path: string): readonly string[] {
  return routes.filter(route => route.path.test(path)).map(({ method }) => method);
}

const scope = /Credential=[^,\s]*\/([^/,\s]+)\/aws4_request/;

/**
 * By the service that the request is signed for; the signature itself is not checked. Without one it is a device's:
 * those come with a certificate on AWS.
 */
function planeOf({ headers, query }: RestRequest): Plane {
  const credential = query.get("X-Amz-Credential") ?? "";
  const signed = headers.authorization ?? `Credential=${credential}`;
  const service = scope.exec(signed)?.[1];
  return service === undefined || service === "iot-jobs-data" ? "data" : "control";
}

function readRequest(route: ControlRoute, { path, query, body }: RestRequest): ControlRequest {
  const names = (route.path.exec(path) ?? []).slice(1);
  return { names: names.map(decoded), query, body: bodyOf(body) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalidJob("The path is not percent-encoded UTF-8");
  }
}

function bodyOf(bytes: Uint8Array): JsonObject {
  if (bytes.length === 0) return {};
  const parsed = parseJson(bytes, jobLimits.jsonDepth);
  if (parsed.ok && isObject(parsed.value)) return parsed.value;
  throw invalidJob("The body is no JSON object");
}

function faultOf({ code, message, resource }: JobFault, plane: Plane): RestAnswer {
  const { status, type } = restNameOf(code, plane);
  const more: JsonObject =
    resource === undefined
      ? {}
      : {
          resourceId: resource.slice(resource.indexOf("/") + 1),
          resourceArn: `${arnPrefix}${resource}`,
        };
  return {
    status,
    headers: { "x-amzn-errortype": type },
    body: { message, ...more },
    isBare: true,
  };
}
