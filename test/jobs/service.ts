// The jobs service as ../shared/reference/aws-iot-protocol.md section 4 describes it, written from that text alone: it shares
// nothing with src/jobs, so that a misreading there cannot hide the same one in the device.
import { obliging, type Packet, type ScriptedLink } from "../../simulator/world/scripted-broker.js";

export type Members = { [name: string]: unknown };

/** 4.4 */
export type Status =
  | "QUEUED"
  | "IN_PROGRESS"
  | "SUCCEEDED"
  | "FAILED"
  | "TIMED_OUT"
  | "REJECTED"
  | "REMOVED"
  | "CANCELED";

export interface Execution {
  readonly jobId: string;
  readonly executionNumber: number;
  /** An object, or JSON that is sent as it is. */
  document: unknown;
  status: Status;
  statusDetails: { readonly [name: string]: string } | undefined;
  version: number;
  /** The order in which they were queued, and when. */
  readonly queuedAt: number;
  readonly queuedSeconds: number;
  startedAt: number | undefined;
  /** Ticks at which the timers are over; the in-progress timer's cannot be moved. */
  stepDueAt: number | undefined;
  dueAt: number | undefined;
  readonly inProgressMinutes: number | undefined;
  /** Times it went to IN_PROGRESS from QUEUED. */
  starts: number;
}

export interface JobRequest {
  readonly at: number;
  readonly link: number;
  /** `$next` stands for itself. */
  readonly jobId: string;
  readonly operation: "get" | "update";
  readonly body: {
    readonly clientToken?: string;
    readonly executionNumber?: number;
    readonly includeJobDocument?: boolean;
    readonly status?: string;
    readonly statusDetails?: { readonly [name: string]: string };
    readonly expectedVersion?: number | string;
    readonly includeJobExecutionState?: boolean;
    readonly stepTimeoutInMinutes?: number;
  };
}

/** What follows the request's topic, and JSON or a text that is sent as it is; or what follows `jobs/`. */
export interface Said {
  readonly suffix: string;
  readonly body: unknown;
}

interface Clock {
  ticks(): number;
  now(): number;
  set(callback: () => void, delayMs: number): unknown;
}

const prefix = "$aws/things/node-1/jobs/";
const terminal: readonly Status[] = [
  "SUCCEEDED",
  "FAILED",
  "TIMED_OUT",
  "REJECTED",
  "REMOVED",
  "CANCELED",
];

export class JobsService {
  readonly requests: JobRequest[] = [];
  readonly executions: Execution[] = [];
  /** What a request is answered with instead, topics after `jobs/`; undefined: as the reference says. */
  answer: (request: JobRequest) => readonly Said[] | undefined = () => undefined;
  /** A request that does not even arrive. */
  isDeaf = false;
  /** An update of an execution in progress to REJECTED is refused (4.4: uncertain). */
  refusesLateRejection = false;
  /** Notifications are not sent. */
  isSilent = false;
  grants: (filter: string) => boolean = () => true;
  /** The broker keeps the session, with what it could not deliver. */
  keepsSession = false;
  delayMs = 0;
  /** What is published that is nothing of jobs. */
  onOther: (topic: string, payload: string) => void = () => undefined;
  readonly #filters = new Set<string>();
  readonly #clock: Clock;
  #link: ScriptedLink | undefined;
  #waiting: Said[] = [];
  #messageId = 100;
  #sessions = 0;
  #created = 0;
  #head: Execution | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  // -- for a test to act and to look --

  create(jobId: string, document: unknown, inProgressMinutes?: number): Execution {
    const before = this.executions.filter(execution => execution.jobId === jobId);
    const execution: Execution = {
      jobId,
      executionNumber: before.length + 1,
      document,
      status: "QUEUED",
      statusDetails: undefined,
      version: 1,
      queuedAt: this.#created++,
      queuedSeconds: this.#seconds,
      startedAt: undefined,
      stepDueAt: undefined,
      dueAt: undefined,
      inProgressMinutes,
      starts: 0,
    };
    this.executions.push(execution);
    this.#notify();
    return execution;
  }

  /** The latest execution of a job. */
  of(jobId: string): Execution {
    return this.executions.filter(execution => execution.jobId === jobId).at(-1)!;
  }

  status(jobId: string): Status {
    return this.of(jobId).status;
  }

  reason(jobId: string): string | undefined {
    return this.of(jobId).statusDetails?.["reason"];
  }

  /** CancelJobExecution. @returns whether it was */
  cancel(jobId: string, isForced = false, status: Status = "CANCELED"): boolean {
    const execution = this.of(jobId);
    if (terminal.includes(execution.status)) return false;
    if (execution.status === "IN_PROGRESS" && !isForced) return false;
    this.#end(execution, status);
    return true;
  }

  updates(jobId: string): JobRequest[] {
    return this.requests.filter(
      request => request.jobId === jobId && request.operation === "update",
    );
  }

  /** Statuses that a job's updates asked for, in order. */
  asked(jobId: string): (string | undefined)[] {
    return this.updates(jobId).map(({ body }) => body.status);
  }

  get gets(): JobRequest[] {
    return this.requests.filter(({ operation }) => operation === "get");
  }

  get filters(): ReadonlySet<string> {
    return this.#filters;
  }

  /** Says something on a topic after `jobs/`, subscribed or not. */
  say({ suffix, body }: Said): void {
    this.publish(prefix + suffix, body);
  }

  publish(topic: string, body: unknown): void {
    if (!this.#link) return;
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

  lost(): void {
    this.#link = undefined;
  }

  cutLink(): void {
    this.#link?.close();
    this.lost();
  }

  // -- the broker --

  readonly script = (packet: Packet, link: ScriptedLink): void => {
    if (packet.cmd === "connect") {
      this.#link = link;
      const sessionPresent = this.keepsSession && this.#sessions++ > 0;
      if (!sessionPresent) this.#filters.clear();
      link.reply({ cmd: "connack", returnCode: 0, sessionPresent });
      if (sessionPresent) for (const said of this.#waiting.splice(0)) this.say(said);
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
    if (packet.cmd !== "publish") return;
    if (packet.topic.startsWith(prefix))
      this.#onRequest(packet.topic.slice(prefix.length), String(packet.payload), link);
    else this.onOther(packet.topic, String(packet.payload));
  };

  #onRequest(rest: string, payload: string, link: ScriptedLink): void {
    const [jobId, operation] = rest.split("/") as [string, "get" | "update"];
    const body = JSON.parse(payload) as JobRequest["body"];
    const request = { at: this.#clock.ticks(), link: link.index, jobId, operation, body };
    this.requests.push(request);
    if (this.isDeaf) return;
    const reply = () => {
      for (const said of this.answer(request) ?? this.respond(request)) this.say(said);
      // A notification is a broker's message, and its own.
      this.#notify();
    };
    if (this.delayMs === 0) reply();
    else this.#clock.set(() => this.#link === link && reply(), this.delayMs);
  }

  // -- 4.2 to 4.6 --

  /** Does what is asked. @returns what is said of it */
  respond({ jobId, operation, body }: JobRequest): readonly Said[] {
    this.#passTime();
    if (operation === "get") return [this.#get(jobId, body)];
    return [this.#update(jobId, body)];
  }

  #get(jobId: string, body: JobRequest["body"]): Said {
    const execution =
      jobId === "$next" ? this.#pending[0] : this.#find(jobId, body.executionNumber);
    const topic = `${jobId}/get`;
    const { clientToken, includeJobDocument = true } = body;
    if (!execution && jobId !== "$next")
      return this.rejected(topic, "ResourceNotFound", clientToken);
    if (execution && terminal.includes(execution.status))
      return this.rejected(topic, "TerminalStateReached", clientToken);
    const told = execution && this.#told(execution, includeJobDocument);
    return this.#accepted(topic, { execution: told }, clientToken);
  }

  #update(jobId: string, body: JobRequest["body"]): Said {
    const { clientToken, status, expectedVersion, statusDetails } = body;
    const topic = `${jobId}/update`;
    const execution = this.#find(jobId, body.executionNumber);
    if (!execution) return this.rejected(topic, "ResourceNotFound", clientToken);
    if (!this.#isValid(body)) return this.rejected(topic, "InvalidRequest", clientToken);
    if (terminal.includes(execution.status) || this.#isLate(execution, status))
      return this.rejected(topic, "InvalidStateTransition", clientToken, execution);
    if (expectedVersion !== undefined && Number(expectedVersion) !== execution.version)
      return this.rejected(topic, "VersionMismatch", clientToken, execution);
    execution.version++;
    if (statusDetails) execution.statusDetails = statusDetails;
    if (status === "IN_PROGRESS") this.#start(execution, body.stepTimeoutInMinutes);
    else execution.status = status as Status;
    const executionState = body.includeJobExecutionState
      ? {
          status: execution.status,
          statusDetails: execution.statusDetails ?? {},
          versionNumber: execution.version,
        }
      : undefined;
    return this.#accepted(topic, { executionState }, clientToken);
  }

  #isLate(execution: Execution, status: string | undefined): boolean {
    return this.refusesLateRejection && status === "REJECTED" && execution.status === "IN_PROGRESS";
  }

  #isValid({ status, statusDetails = {}, stepTimeoutInMinutes: step = 1 }: JobRequest["body"]) {
    const isStatus = ["IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED"].includes(status ?? "");
    const pairs = Object.entries(statusDetails);
    const areDetails = pairs.every(
      ([name, value]) => /^[a-zA-Z0-9:_-]{1,128}$/.test(name) && /^[^\p{C}]{1,1024}$/u.test(value),
    );
    const isStep = step === -1 || (step >= 1 && step <= 10_080);
    return isStatus && areDetails && pairs.length <= 10 && isStep;
  }

  #start(execution: Execution, stepMinutes: number | undefined): void {
    const now = this.#clock.ticks();
    if (execution.status === "QUEUED") {
      execution.starts++;
      execution.startedAt = now;
      if (execution.inProgressMinutes !== undefined)
        this.#dueIn(execution, "dueAt", execution.inProgressMinutes);
    }
    execution.status = "IN_PROGRESS";
    if (stepMinutes !== undefined) this.#dueIn(execution, "stepDueAt", stepMinutes);
  }

  #dueIn(execution: Execution, timer: "dueAt" | "stepDueAt", minutes: number): void {
    execution[timer] = minutes < 0 ? undefined : this.#clock.ticks() + minutes * 60_000;
    if (minutes > 0) this.#clock.set(() => this.#passTime(), minutes * 60_000);
  }

  #passTime(): void {
    const now = this.#clock.ticks();
    for (const execution of this.executions) {
      const { dueAt = Number.POSITIVE_INFINITY, stepDueAt = Number.POSITIVE_INFINITY } = execution;
      if (execution.status === "IN_PROGRESS" && Math.min(dueAt, stepDueAt) <= now)
        this.#end(execution, "TIMED_OUT");
    }
  }

  #end(execution: Execution, status: Status): void {
    execution.status = status;
    execution.version++;
    this.#notify();
  }

  #find(jobId: string, executionNumber: number | undefined): Execution | undefined {
    const all = this.executions.filter(execution => execution.jobId === jobId);
    if (executionNumber === undefined) return all.at(-1);
    return all.find(execution => execution.executionNumber === executionNumber);
  }

  /** 4.3 */
  get #pending(): readonly Execution[] {
    const of = (status: Status) =>
      this.executions
        .filter(execution => execution.status === status)
        .sort((one, other) => one.queuedAt - other.queuedAt);
    return [...of("IN_PROGRESS"), ...of("QUEUED")];
  }

  /** Head changed: `notify-next`. */
  #notify(): void {
    const head = this.#pending[0];
    if (head === this.#head) return;
    this.#head = head;
    if (this.isSilent) return;
    const body = { timestamp: this.#seconds, execution: head && this.#told(head, true) };
    const said = { suffix: "notify-next", body };
    if (!this.#filters.has(`${prefix}notify-next`)) return;
    if (this.#link) this.say(said);
    else if (this.keepsSession) this.#waiting.push(said);
  }

  #told(execution: Execution, hasDocument: boolean): Members | string {
    const { dueAt, stepDueAt, document } = execution;
    const due = Math.min(dueAt ?? Number.POSITIVE_INFINITY, stepDueAt ?? Number.POSITIVE_INFINITY);
    return {
      jobId: execution.jobId,
      thingName: "node-1",
      status: execution.status,
      ...(execution.statusDetails ? { statusDetails: execution.statusDetails } : {}),
      queuedAt: execution.queuedSeconds,
      ...(execution.startedAt === undefined ? {} : { startedAt: this.#seconds }),
      lastUpdatedAt: this.#seconds,
      versionNumber: execution.version,
      executionNumber: execution.executionNumber,
      ...(due === Number.POSITIVE_INFINITY
        ? {}
        : { approximateSecondsBeforeTimedOut: Math.ceil((due - this.#clock.ticks()) / 1000) }),
      ...(hasDocument ? { jobDocument: document } : {}),
    };
  }

  get #seconds(): number {
    return Math.floor(this.#clock.now() / 1000);
  }

  #accepted(topic: string, body: Members, clientToken: string | undefined): Said {
    const document = (body["execution"] as Members | undefined)?.["jobDocument"];
    const whole = { ...body, timestamp: this.#seconds, ...(clientToken ? { clientToken } : {}) };
    // A document that is a text stands as it is.
    if (typeof document !== "string") return { suffix: `${topic}/accepted`, body: whole };
    const mark = JSON.stringify(document);
    return {
      suffix: `${topic}/accepted`,
      body: JSON.stringify(whole).replace(mark, () => document),
    };
  }

  /** 4.5 */
  rejected(
    topic: string,
    code: string,
    clientToken: string | undefined,
    execution?: Execution,
  ): Said {
    const executionState = execution && {
      status: execution.status,
      versionNumber: execution.version,
      ...(execution.statusDetails ? { statusDetails: execution.statusDetails } : {}),
    };
    const body = {
      code,
      message: `${code} for ${topic}`,
      timestamp: this.#seconds,
      ...(clientToken ? { clientToken } : {}),
      ...(executionState ? { executionState } : {}),
    };
    return { suffix: `${topic}/rejected`, body };
  }
}

/** A shadow service with shadows that are not there, and take every report. */
export function withoutShadows(service: JobsService): void {
  let version = 0;
  service.onOther = (topic, payload) => {
    if (!topic.includes("/shadow/")) return;
    const { clientToken } = JSON.parse(payload) as { clientToken: string };
    const isGet = topic.endsWith("/get");
    service.publish(`${topic}/${isGet ? "rejected" : "accepted"}`, {
      ...(isGet ? { code: 404, message: "none" } : { state: {}, version: ++version }),
      clientToken,
    });
  };
}
