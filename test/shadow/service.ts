// The shadow service as ../shared/reference/aws-iot-protocol.md section 3 describes it, written from that text alone: it shares
// nothing with simulator/cloud, so that a misreading there cannot hide the same one in the device.
import { obliging, type Packet, type ScriptedLink } from "../../simulator/world/scripted-broker.js";

export type Members = { [name: string]: unknown };

/** A message of the service: what follows the shadow's own part of the topic, and JSON, or a text that is sent as it is. */
export interface Said {
  readonly suffix: string;
  readonly body: unknown;
}

export interface ShadowRequest {
  readonly at: number;
  readonly link: number;
  /** Empty for the classic shadow. */
  readonly shadow: string;
  readonly operation: "get" | "update" | "delete";
  readonly body: {
    readonly state?: { readonly desired?: Members | null; readonly reported?: Members | null };
    readonly version?: number;
    readonly clientToken?: string;
  };
}

interface Stored {
  desired: Members;
  reported: Members;
  version: number;
  exists: boolean;
}

const prefix = "$aws/things/node-1/shadow/";

export const errors = {
  400: [
    "Invalid JSON",
    "Missing required node: state",
    "State node must be an object",
    "Desired node must be an object",
    "Reported node must be an object",
    "Invalid clientToken",
    "JSON contains too many levels of nesting; maximum is 6",
    "State contains an invalid node",
  ],
  401: ["Unauthorized"],
  403: ["Forbidden"],
  404: ["Thing not found", "No shadow exists with name: node-1"],
  409: ["Version conflict"],
  413: ["The payload exceeds the maximum size allowed"],
  415: ["Unsupported documented encoding; supported encoding is UTF-8"],
  429: ["Too many requests"],
  500: ["Internal service failure"],
} as const;

export class ShadowService {
  readonly requests: ShadowRequest[] = [];
  /** What a request is answered with instead; undefined: as the reference says. */
  answer: (request: ShadowRequest) => readonly Said[] | undefined = () => undefined;
  /** Which filters are granted. */
  grants: (filter: string) => boolean = () => true;
  /** The broker keeps the session, with what it could not deliver. */
  keepsSession = false;
  /** Messages wait in `held` instead of being delivered. */
  isHolding = false;
  held: { readonly shadow: string; readonly said: Said }[] = [];
  /** The versions of a shadow that was deleted begin again: it was longer ago than 48 hours. */
  forgetsVersions = false;
  /** Most requests without an answer at one time. */
  mostInFlight = 0;
  /** Each answer takes so long, beside the way. */
  delayMs = 0;
  readonly #shadows = new Map<string, Stored>();
  readonly #filters = new Set<string>();
  readonly #clock: { ticks(): number; set(callback: () => void, delayMs: number): unknown };
  #link: ScriptedLink | undefined;
  #waiting: { readonly shadow: string; readonly said: Said }[] = [];
  #inFlight = 0;
  #messageId = 100;
  #sessions = 0;

  constructor(clock: { ticks(): number; set(callback: () => void, delayMs: number): unknown }) {
    this.#clock = clock;
  }

  // -- for a test to act and to look --

  /** Somebody else's update, over MQTT. */
  update(shadow: string, state: unknown, clientToken = "console"): void {
    this.say(shadow, ...this.#update(shadow, { state, clientToken } as ShadowRequest["body"]));
  }

  desire(desired: Members | null, shadow = ""): void {
    this.update(shadow, { desired });
  }

  delete(shadow = ""): void {
    this.say(shadow, ...this.#delete(shadow, "console"));
  }

  /** Puts a shadow there without a word. */
  put(shadow: string, desired: Members, reported: Members, version: number): void {
    this.#shadows.set(shadow, { desired, reported, version, exists: true });
  }

  desired(shadow = ""): Members {
    return plain(this.#shadows.get(shadow)?.desired ?? {});
  }

  reported(shadow = ""): Members {
    return plain(this.#shadows.get(shadow)?.reported ?? {});
  }

  version(shadow = ""): number {
    return this.#shadows.get(shadow)?.version ?? 0;
  }

  of(operation: ShadowRequest["operation"], shadow = ""): ShadowRequest[] {
    return this.requests.filter(
      request => request.operation === operation && request.shadow === shadow,
    );
  }

  get filters(): ReadonlySet<string> {
    return this.#filters;
  }

  /** To everybody who subscribed. */
  say(shadow: string, ...messages: readonly Said[]): void {
    for (const said of messages) {
      if (this.isHolding) this.held.push({ shadow, said });
      else if (this.#link) this.deliver(shadow, said);
      else if (this.keepsSession) this.#waiting.push({ shadow, said });
    }
  }

  deliver(shadow: string, { suffix, body }: Said): void {
    const topic = prefix + (shadow === "" ? "" : `name/${shadow}/`) + suffix;
    const isSubscribed = [...this.#filters].some(filter => covers(filter, topic));
    if (!isSubscribed || !this.#link) return;
    const payload = typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    const messageId = this.#messageId++;
    this.#link.reply({
      cmd: "publish",
      topic,
      payload,
      qos: 1,
      messageId,
      dup: false,
      retain: false,
    });
  }

  /** The link has gone. */
  lost(): void {
    this.#link = undefined;
    this.#inFlight = 0;
  }

  // -- the broker --

  readonly script = (packet: Packet, link: ScriptedLink): void => {
    if (packet.cmd === "connect") {
      this.#link = link;
      this.#inFlight = 0;
      const sessionPresent = this.keepsSession && this.#sessions++ > 0;
      if (!sessionPresent) this.#filters.clear();
      link.reply({ cmd: "connack", returnCode: 0, sessionPresent });
      if (sessionPresent) this.deliverAll(this.#waiting.splice(0));
      return;
    }
    if (packet.cmd === "subscribe") {
      const granted = packet.subscriptions.map(({ topic }) => (this.grants(topic) ? 1 : 0x80));
      for (const { topic } of packet.subscriptions)
        if (this.grants(topic)) this.#filters.add(topic);
      link.reply({ cmd: "suback", messageId: packet.messageId!, granted });
      return;
    }
    obliging(packet, link);
    if (packet.cmd === "disconnect") this.lost();
    if (packet.cmd === "publish" && packet.topic.startsWith(prefix))
      this.#onRequest(packet.topic.slice(prefix.length), String(packet.payload), link);
  };

  deliverAll(messages: readonly { readonly shadow: string; readonly said: Said }[]): void {
    for (const { shadow, said } of messages) this.deliver(shadow, said);
  }

  #onRequest(rest: string, payload: string, link: ScriptedLink): void {
    const parts = rest.split("/");
    const shadow = parts[0] === "name" ? parts[1]! : "";
    const operation = parts.at(-1) as ShadowRequest["operation"];
    const body = JSON.parse(payload) as ShadowRequest["body"];
    const at = this.#clock.ticks();
    const request: ShadowRequest = { at, link: link.index, shadow, operation, body };
    this.requests.push(request);
    this.#inFlight++;
    this.mostInFlight = Math.max(this.mostInFlight, this.#inFlight);
    const reply = () => {
      this.#inFlight--;
      this.say(shadow, ...(this.answer(request) ?? this.respond(request)));
    };
    if (this.delayMs === 0) reply();
    else this.#clock.set(() => this.#link === link && reply(), this.delayMs);
  }

  // -- the document, 3.3 to 3.7 --

  /** Does what is asked. @returns what is said of it */
  respond({ operation, shadow, body }: ShadowRequest): readonly Said[] {
    const token = body.clientToken;
    if (operation === "update") return this.#update(shadow, body);
    if (operation === "delete") return this.#delete(shadow, token);
    const stored = this.#shadows.get(shadow);
    if (!stored?.exists)
      return [rejected("get", 404, `No shadow exists with name: 'node-1~${shadow}'`, token)];
    const { desired, reported, version } = stored;
    const delta = differing(desired, reported);
    const state = { ...some({ desired }), ...some({ reported }), ...some({ delta }) };
    return [{ suffix: "get/accepted", body: this.#stamped({ state, version }, token) }];
  }

  #delete(shadow: string, token: string | undefined): readonly Said[] {
    const stored = this.#shadows.get(shadow);
    if (!stored?.exists) return [rejected("delete", 404, errors[404][1], token)];
    const version = stored.version + 1;
    this.#shadows.set(shadow, {
      desired: {},
      reported: {},
      version: this.forgetsVersions ? 0 : version,
      exists: false,
    });
    return [{ suffix: "delete/accepted", body: this.#stamped({ version }, token) }];
  }

  #update(shadow: string, body: ShadowRequest["body"]): readonly Said[] {
    const { state, clientToken, version } = body;
    const stored = this.#shadows.get(shadow) ?? {
      desired: {},
      reported: {},
      version: 0,
      exists: false,
    };
    const no = (code: keyof typeof errors, message: string) => [
      rejected("update", code, message, clientToken),
    ];
    if (clientToken !== undefined && Buffer.byteLength(clientToken) > 64)
      return no(400, "Invalid clientToken");
    if (state === undefined) return no(400, "Missing required node: state");
    for (const name of Object.keys(state ?? {}))
      if (name !== "desired" && name !== "reported")
        return no(400, "State contains an invalid node");
    // `desired` and `reported` are level 1.
    if (depthOf(state) - 1 > 6) return no(400, errors[400][6]);
    if (JSON.stringify(state).match(/\[[^\]]*null/)) return no(400, errors[400][7]);
    if (version !== undefined && !stored.exists && version !== 1) return no(400, "Invalid version");
    if (version !== undefined && stored.exists && version !== stored.version)
      return no(409, "Version conflict");
    const desired = sectionOf(stored.desired, state, state?.desired);
    const reported = sectionOf(stored.reported, state, state?.reported);
    if (sizeOf(desired) + sizeOf(reported) > 8192) return no(413, errors[413][0]);
    const next = { desired, reported, version: stored.version + 1, exists: true };
    this.#shadows.set(shadow, next);
    const accepted = this.#stamped({ state, version: next.version }, clientToken);
    const delta = differing(desired, reported);
    const said: Said[] = [{ suffix: "update/accepted", body: accepted }];
    // gg-shadow publishes the delta first; the cloud promises no order.
    if (Object.keys(delta).length > 0)
      said.unshift({
        suffix: "update/delta",
        body: this.#stamped({ state: delta, version: next.version }, clientToken),
      });
    return said;
  }

  #stamped(document: Members, clientToken: string | undefined): Members {
    const timestamp = 1_767_225_600 + Math.floor(this.#clock.ticks() / 1000);
    const metadata = "state" in document ? stamps(document["state"], timestamp) : undefined;
    return {
      ...document,
      ...(metadata ? { metadata } : {}),
      timestamp,
      ...(clientToken === undefined ? {} : { clientToken }),
    };
  }
}

export function rejected(
  operation: "get" | "update" | "delete",
  code: number,
  message: string,
  clientToken: string | undefined,
): Said {
  const body = { code, message, timestamp: 1_767_225_600, ...(clientToken ? { clientToken } : {}) };
  return { suffix: `${operation}/rejected`, body };
}

function covers(filter: string, topic: string): boolean {
  const levels = topic.split("/");
  const parts = filter.split("/");
  return (
    parts.length === levels.length && parts.every((part, i) => part === "+" || part === levels[i])
  );
}

function isObject(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function plain(value: Members): Members {
  return JSON.parse(JSON.stringify(value)) as Members;
}

function some(section: Members): Members {
  return Object.values(section).some(value => Object.keys(value as Members).length > 0)
    ? section
    : {};
}

function sizeOf(section: Members): number {
  return Buffer.byteLength(JSON.stringify(section));
}

/** Objects and arrays in one another; values are none. */
function depthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

function stamps(value: unknown, timestamp: number): unknown {
  if (Array.isArray(value)) return value.map(item => stamps(item, timestamp));
  if (!isObject(value)) return { timestamp };
  return Object.fromEntries(Object.keys(value).map(name => [name, stamps(value[name], timestamp)]));
}

/** 3.4, rules 1 to 4. */
function sectionOf(before: Members, state: unknown, section: Members | null | undefined): Members {
  if (state === null || section === null) return {};
  return section === undefined ? before : (merged(before, section) as Members);
}

/** 3.4, rules 5 to 12. */
function merged(before: unknown, value: unknown): unknown {
  if (!isObject(value)) return value;
  const result = Object.assign(Object.create(null), isObject(before) ? before : {}) as Members;
  for (const name of Object.keys(value)) {
    const member = value[name];
    if (member === null) {
      delete result[name];
      continue;
    }
    const next = merged(result[name], member);
    const isStripped =
      isObject(member) &&
      Object.keys(member).length > 0 &&
      Object.keys(next as Members).length === 0;
    if (isStripped && !isObject(result[name])) delete result[name];
    else result[name] = next;
  }
  return result;
}

/** 3.5. */
function differing(desired: Members, reported: Members): Members {
  const delta = Object.create(null) as Members;
  for (const name of Object.keys(desired)) {
    const wanted = desired[name];
    const told = Object.hasOwn(reported, name) ? reported[name] : undefined;
    if (isObject(wanted) && isObject(told)) {
      const inner = differing(wanted, told);
      if (Object.keys(inner).length > 0) delta[name] = inner;
    } else if (told === undefined || JSON.stringify(wanted) !== JSON.stringify(told))
      delta[name] = wanted;
  }
  return delta;
}
