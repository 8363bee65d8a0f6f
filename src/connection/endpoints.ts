// Where to dial: the endpoint of the firmware, or one it was moved to. A new one counts once a session has been held there;
// until then the one before is kept, and gone back to.
import { type Read, readJson, writeJson } from "../codec/json.js";
import { AgentError } from "../errors.js";
import type { KeyValue } from "../host.js";
import { limits } from "../limits.js";
import { toUtf8 } from "../util/bytes.js";
import { deepFreeze } from "../util/machine.js";
import { readPair, writePair } from "../util/sealed.js";

export interface Endpoint {
  readonly host: string;
  readonly port: number;
  /** Offered by ALPN. */
  readonly protocols: readonly string[];
}

const key = "endpoint";
const endpointShape = deepFreeze({ host: "string", port: "integer", protocols: "string" } as const);
const recordShape = deepFreeze({
  /** The firmware's endpoint that was moved away from: firmware with another one has the last word. */
  from: "string",
  current: endpointShape,
  next: endpointShape,
} as const);

export class Endpoints {
  readonly #own: Endpoint;
  #store: KeyValue | undefined;
  #current: Endpoint | undefined;
  #next: Endpoint | undefined;
  #dialed: Endpoint | undefined;
  #failures = 0;

  /** @param own the endpoint that the firmware names */
  constructor(own: Endpoint) {
    this.#own = own;
  }

  /**
   * Takes what `store` holds.
   *
   * @throws AgentError "storage/damaged", "codec/json" for what cannot be read; the firmware's endpoint holds then
   */
  open(store: KeyValue): void {
    this.#store = store;
    const stored = readPair(store, key);
    if (stored === undefined) return;
    const record = readJson(stored, recordShape, key);
    if (record.from !== nameOf(this.#own)) return;
    this.#current = toEndpoint(record.current);
    this.#next = toEndpoint(record.next);
  }

  /** The endpoint to dial next. */
  get toDial(): Endpoint {
    return this.#next ?? this.settled;
  }

  /** @returns the endpoint to dial now; what is held or fails from here on does so there */
  dial(): Endpoint {
    this.#dialed = this.toDial;
    return this.#dialed;
  }

  get dialed(): Endpoint {
    return this.#dialed ?? this.toDial;
  }

  /** Whether the link was dialed before the device was told to move. */
  get isElsewhere(): boolean {
    return this.#next !== undefined && this.#dialed !== this.#next;
  }

  private get settled(): Endpoint {
    return this.#current ?? this.#own;
  }

  /** Dials `next` from now on; kept in storage. @throws what the store throws: nothing has changed then */
  move(next: Endpoint): void {
    this.save(this.#current, next);
    this.#next = next;
    this.#failures = 0;
  }

  /** A session has been held. @returns whether that ends a move. @throws what the store throws: the move goes on then */
  held(): boolean {
    const next = this.#next;
    if (next === undefined || this.isElsewhere) return false;
    const current = nameOf(next) === nameOf(this.#own) ? undefined : next;
    this.save(current, undefined);
    this.#current = current;
    this.#next = undefined;
    return true;
  }

  /** @returns an error when the new endpoint has been tried often enough and is given up; it may not be saved as such */
  failed(): AgentError | undefined {
    if (this.#next === undefined || this.isElsewhere) return undefined;
    if (++this.#failures < limits.endpointAttempts) return undefined;
    const name = nameOf(this.#next);
    this.#next = undefined;
    const error = new AgentError(
      "connection/endpoint",
      `endpoint ${name}: no session in ${limits.endpointAttempts} tries, back to ${nameOf(this.settled)}`,
    );
    try {
      this.save(this.#current, undefined);
    } catch (_refused) {
      // Tried again after a restart, as often.
    }
    return error;
  }

  private save(current: Endpoint | undefined, next: Endpoint | undefined): void {
    const from = nameOf(this.#own);
    const record = { from, current: toRecord(current), next: toRecord(next) };
    if (this.#store) writePair(this.#store, key, toUtf8(writeJson(record)));
  }
}

function nameOf({ host, port }: Endpoint): string {
  return `${host}:${port}`;
}

function toRecord(endpoint: Endpoint | undefined) {
  return endpoint && { ...endpoint, protocols: endpoint.protocols.join(" ") };
}

function toEndpoint(record: Read<typeof endpointShape> | undefined): Endpoint | undefined {
  if (record?.host === undefined || record.port === undefined) return undefined;
  const { host, port, protocols = "" } = record;
  return { host, port, protocols: protocols === "" ? [] : protocols.split(" ") };
}
