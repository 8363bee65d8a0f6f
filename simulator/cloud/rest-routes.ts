// The paths of the REST data plane: shadows and publishing (botocore model "iot-data"). Pure but for what it calls.
// Those of jobs and of the control plane are in rest-control.

import type { ControlServices } from "./control-request.js";
import type { Clock } from "./environment.js";
import type { JsonObject } from "./json.js";
import { type BrokerLimits, restLimits } from "./limits.js";
import { MalformedPacket } from "./reasons.js";
import { failure, invalid, type RestAnswer, type RestRequest, success } from "./rest-answers.js";
import { answerControl, controlMethods } from "./rest-control.js";
import { publishOf } from "./rest-publish.js";
import type { Message } from "./session.js";
import { isShadowName, isThingName, type ShadowOperation, type Shadows } from "./shadows.js";

export interface RestServices {
  readonly shadows: Pick<Shadows, "request" | "names">;
  readonly clock: Clock;
  readonly limits: BrokerLimits;
  /** Absent: neither jobs nor a control plane. */
  readonly control?: ControlServices;
  /** `reserved`: a topic under `$` that nothing here serves; `throttled`: nothing more is retained. */
  publish(message: Message): "accepted" | "reserved" | "throttled";
}

type Handler = (resource: string, request: RestRequest, services: RestServices) => RestAnswer;

interface Route {
  /** The first group is the resource, still encoded; a topic may hold slashes as they are. */
  readonly path: RegExp;
  readonly methods: Readonly<Record<string, Handler>>;
}

const routes: readonly Route[] = [
  {
    path: /^\/things\/([^/]+)\/shadow$/,
    methods: { GET: shadow("get"), POST: shadow("update"), DELETE: shadow("delete") },
  },
  {
    path: /^\/api\/things\/shadow\/ListNamedShadowsForThing\/([^/]+)$/,
    methods: { GET: listNamedShadows },
  },
  { path: /^\/topics\/(.+)$/, methods: { POST: publish } },
];

export function answerRest(request: RestRequest, services: RestServices): RestAnswer {
  for (const { path, methods } of routes) {
    const encoded = path.exec(request.path)?.[1];
    if (encoded === undefined) continue;
    const resource = decoded(encoded);
    if (resource === undefined) return invalid("The path is not percent-encoded UTF-8");
    const handler = Object.hasOwn(methods, request.method) ? methods[request.method] : undefined;
    if (handler !== undefined) return handler(resource, request, services);
    return notAllowed(request, Object.keys(methods));
  }
  if (services.control === undefined) return nothing(request);
  const answer = answerControl(request, services.control);
  if (answer !== undefined) return answer;
  const allowed = controlMethods(request.path);
  return allowed.length === 0 ? nothing(request) : notAllowed(request, allowed);
}

function nothing(request: RestRequest): RestAnswer {
  return failure(404, { message: `Nothing is served at ${request.path}` });
}

function notAllowed({ method }: RestRequest, allowed: readonly string[]): RestAnswer {
  const message = `${method} is not allowed here`;
  return failure(405, { message }, { allow: [...new Set(allowed)].join(", ") });
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function shadow(operation: ShadowOperation): Handler {
  return (thing, { query, body }, { shadows }) => {
    const name = query.get("name") ?? undefined;
    if (!isThingName(thing)) return invalid("Invalid thing name");
    if (name !== undefined && !isShadowName(name)) return invalid("Invalid shadow name");
    const payload = operation === "update" ? body : new Uint8Array();
    const answer = shadows.request(operation, thing, name, payload);
    if (answer.ok) return success(answer.document);
    const { code, message } = answer.error;
    return failure(code, { ...answer.document, message });
  };
}

/** The token is the last name given: what is deleted meanwhile loses nothing. */
function listNamedShadows(
  thing: string,
  { query }: RestRequest,
  { shadows, clock }: RestServices,
): RestAnswer {
  if (!isThingName(thing)) return invalid("Invalid thing name");
  const pageSize = wholeNumber(query.get("pageSize") ?? `${restLimits.pageSize}`);
  if (pageSize === undefined || pageSize < 1 || pageSize > restLimits.pageSizeMax) {
    return invalid(`pageSize is not 1 to ${restLimits.pageSizeMax}`);
  }
  const after = nameOf(query.get("nextToken"));
  if (after === undefined) return invalid("Invalid nextToken");
  const names = shadows.names(thing).filter(name => name > after);
  const results = names.slice(0, pageSize);
  const list: JsonObject = { results, timestamp: Math.floor(clock.now() / 1000) };
  const last = results.at(-1);
  if (names.length > results.length && last !== undefined) {
    list.nextToken = Buffer.from(last).toString("base64url");
  }
  return success(list);
}

/** What a page's token says; the empty text, which comes before every name, for none. */
function nameOf(nextToken: string | null): string | undefined {
  if (nextToken === null) return "";
  const name = Buffer.from(nextToken, "base64url").toString();
  return isShadowName(name) ? name : undefined;
}

function publish(topic: string, request: RestRequest, services: RestServices): RestAnswer {
  let message: Message;
  try {
    message = publishOf(topic, request, services.limits, services.clock.now());
  } catch (error) {
    if (error instanceof MalformedPacket) return invalid(error.message);
    throw error;
  }
  const verdict = services.publish(message);
  if (verdict === "reserved") return failure(403, { message: "Forbidden" });
  if (verdict === "throttled") return failure(429, { message: "Too many retained messages" });
  return success({ message: "OK" });
}

function wholeNumber(text: string): number | undefined {
  return /^\d{1,6}$/.test(text) ? Number(text) : undefined;
}
