// A world of one device, one shadow and everything that may happen to them, as values: every state can be copied, named and
// gone on from. The device is the real `step`; around it stands what Follower and Turns do, without a clock or a wire.
import { unsupported } from "../../src/codec/json.js";
import { AgentError } from "../../src/errors.js";
import {
  getRequest,
  parseAccepted,
  parseDelta,
  parseDocument,
  parseRejected,
  type Reply,
  updateRequest,
} from "../../src/shadow/messages.js";
import { type ShadowEvent, type ShadowRecord, startingFrom } from "../../src/shadow/record.js";
import {
  defaultsOf,
  type FlatValues,
  faultOf,
  type Leaves,
  type Value,
} from "../../src/shadow/schema.js";
import { step } from "../../src/shadow/shadow.js";
import { fromUtf8, toUtf8 } from "../../src/util/bytes.js";
import {
  type Answer,
  type Cloud,
  get,
  isTree,
  type Json,
  noShadow,
  refusal,
  remove,
  type Tree,
  update,
} from "./reference-cloud.js";

interface Request {
  readonly operation: "get" | "update";
  readonly body: Tree;
  /** It has been delivered before, or the device does not wait for it any more. */
  readonly isStray: boolean;
}

interface Delivery {
  readonly suffix: string;
  readonly body: Tree;
  /** How much others had done to the shadow when this was said. */
  readonly news: number;
}

export interface World {
  readonly record: ShadowRecord;
  /** A wait has been begun and has not come to its end. */
  readonly isTimed: boolean;
  /** Of the request that is in flight. */
  readonly token: string | undefined;
  readonly tokens: number;
  /** Waits in `Turns`. */
  readonly isQueued: boolean;
  /** The product has been told these and has not answered yet. */
  readonly telling: FlatValues | undefined;
  /** What the product really does. */
  readonly inForce: FlatValues;
  /** What the product cannot do at present. */
  readonly failing: readonly string[];
  /** By path, what the product has been told and overruled, since the last connect or retry. */
  readonly overruled: FlatValues;
  /** The broker keeps what the device misses while it is away. */
  readonly isKept: boolean;
  readonly cloud: Cloud;
  readonly toCloud: readonly Request[];
  readonly toDevice: readonly Delivery[];
  /** How much others have done to the shadow, and how much of that the device has heard of. */
  readonly news: number;
  readonly heard: number;
  /** Updates, and documents read, since there was something new. */
  readonly updates: number;
  readonly reads: number;
  /** Set by the product, to win, and never taken by the cloud since. */
  readonly untold: FlatValues;
  /** As `untold`, until there is nothing to win over. */
  readonly owed: FlatValues;
}

/** What breaks a promise. */
export class Broken extends Error {}

export class Model {
  readonly leaves: Leaves;
  readonly paths: readonly string[];

  constructor(leaves: Leaves) {
    this.leaves = leaves;
    this.paths = Object.keys(leaves);
  }

  begin(cloud: Cloud = noShadow): World {
    const values = defaultsOf(this.leaves);
    return {
      record: startingFrom(values),
      isTimed: false,
      token: undefined,
      tokens: 0,
      isQueued: false,
      telling: undefined,
      inForce: values,
      failing: [],
      overruled: {},
      isKept: false,
      cloud,
      toCloud: [],
      toDevice: [],
      news: 0,
      heard: 0,
      updates: 0,
      reads: 0,
      untold: {},
      owed: {},
    };
  }

  // The device: what Follower and Turns do with an event and its effects.

  #event(world: World, event: ShadowEvent): World {
    const { record, effects } = step(this.leaves, world.record, event);
    let next: World = { ...world, record };
    for (const effect of effects) {
      switch (effect.type) {
        case "ask":
          if (next.isQueued) throw new Broken("it asks for two turns");
          next = { ...next, isQueued: true };
          break;
        case "get":
          next = this.#request({ ...next, reads: next.reads + 1 }, "get", getRequest);
          break;
        case "update":
          next = this.#request({ ...next, updates: next.updates + 1 }, "update", token =>
            updateRequest(effect.update, token),
          );
          if (next.updates > 2) throw new Broken("a third update, and nothing was new");
          break;
        case "apply":
          next = { ...next, telling: effect.changed };
          break;
        case "wait":
          next = { ...next, isTimed: true };
          break;
        case "drop":
          next = this.lose(next, "all");
      }
    }
    return next;
  }

  #request(
    world: World,
    operation: Request["operation"],
    write: (token: string) => Uint8Array,
  ): World {
    if (world.token !== undefined) throw new Broken("two requests in flight");
    const token = `t${world.tokens + 1}`;
    const body = JSON.parse(fromUtf8(write(token))) as Tree;
    const request = { operation, body, isStray: false };
    return { ...world, token, tokens: world.tokens + 1, toCloud: [...world.toCloud, request] };
  }

  turn(world: World): World {
    const next = this.#event({ ...world, isQueued: false }, { type: "turn" });
    return next;
  }

  subscribed(world: World): World {
    return this.#event(fresh({ ...world, overruled: {} }), { type: "subscribed" });
  }

  due(world: World): World {
    return this.#event({ ...world, isTimed: false }, { type: "due" });
  }

  /** What is in flight may come through yet, but nobody waits for it. */
  timeout(world: World): World {
    const { toCloud } = astray(world);
    const patient = {
      ...world,
      toCloud,
      token: undefined,
      updates: Math.max(0, world.updates - 1),
    };
    return this.#event(patient, { type: "timeout" });
  }

  /** @param what is lost of the messages on the way; `nothing`: all of them come, if late */
  lose(world: World, what: "all" | "toCloud" | "toDevice" | "nothing"): World {
    const isKept = what === "nothing" || what === "toCloud";
    const next = {
      ...astray(world),
      isTimed: false,
      token: undefined,
      isQueued: false,
      isKept,
    };
    if (what === "all" || what === "toCloud") next.toCloud = [];
    if (!isKept) next.toDevice = [];
    return this.#event(fresh(next), { type: "lost" });
  }

  /** The power goes; what was saved last comes back, and the product is told of it. */
  restart(world: World): World {
    const { values, local } = world.record;
    return fresh({
      ...astray(world),
      record: startingFrom(values, local),
      isTimed: false,
      token: undefined,
      isQueued: false,
      telling: undefined,
      inForce: values,
      overruled: {},
    });
  }

  set(world: World, values: FlatValues): World {
    const untold = { ...world.untold } as Record<string, Value>;
    const owed = { ...world.owed } as Record<string, Value>;
    const overruled = { ...world.overruled } as Record<string, Value>;
    for (const [path, value] of Object.entries(values)) {
      const wanted = world.telling?.[path];
      if (wanted !== undefined && wanted !== value) overruled[path] = wanted;
      if (this.leaves[path]!.wins !== "device" || value === world.record.values[path]) continue;
      untold[path] = value;
      owed[path] = value;
    }
    const inForce = { ...world.inForce, ...values };
    const next = fresh({ ...world, inForce, untold, owed, overruled });
    return this.#excused(this.#event(next, { type: "changed", values }));
  }

  retry(world: World): World {
    return this.#event(fresh({ ...world, overruled: {} }), { type: "retry" });
  }

  /** What the product says to what it is told: it takes all of it but what it cannot do. */
  answer(world: World): World {
    const { telling = {}, failing } = world;
    const inForce = { ...world.inForce } as Record<string, Value>;
    const verdicts = new Map<string, string>();
    for (const path of Object.keys(telling)) {
      // Follower tells what is left of it.
      if (world.record.applying && !(path in world.record.applying)) continue;
      if (failing.includes(path)) verdicts.set(path, "failed: no");
      else inForce[path] = telling[path]!;
    }
    const next = { ...world, telling: undefined, inForce };
    return this.#event(next, {
      type: "applied",
      verdicts: verdicts.size > 0 ? verdicts : undefined,
    });
  }

  /** A message reaches the device. */
  deliver(world: World, index: number, isAgain = false): World {
    const { suffix, body, news } = world.toDevice[index]!;
    const toDevice = isAgain ? world.toDevice : world.toDevice.filter((_, i) => i !== index);
    let next: World = { ...world, toDevice };
    // The word of an update without what is wanted since is no news yet.
    if (news > world.heard && suffix !== "update/accepted") next = { ...fresh(next), heard: news };
    const { record } = next;
    const bytes = toUtf8(JSON.stringify(body));
    switch (suffix) {
      case "update/delta":
        if (record.state === "following") return this.#event(next, parseDelta(bytes, this.leaves));
        return this.#event(next, { ...parseAccepted(bytes).event, type: "foreign" });
      case "get/accepted":
        if (record.request !== "get") return next;
        return this.#answered(next, parseDocument(bytes, this.leaves, record.values));
      case "get/rejected":
        return record.request === "get" ? this.#answered(next, parseRejected(bytes, "get")) : next;
      case "update/accepted":
        return this.#answered(next, parseAccepted(bytes));
      case "update/rejected":
        if (record.request !== "update") return next;
        return this.#answered(next, parseRejected(bytes, "update"));
      default:
        return this.#event(next, { type: "deleted" });
    }
  }

  #answered(world: World, { clientToken, event }: Reply): World {
    if (world.token === undefined || clientToken !== world.token)
      return event.type === "accepted" ? this.#event(world, { ...event, type: "foreign" }) : world;
    const isTransient = event.type === "busy" || event.type === "refused";
    const updates = isTransient ? Math.max(0, world.updates - 1) : world.updates;
    const owed = { ...world.owed } as Record<string, Value>;
    for (const path of Object.keys(owed)) {
      const isUnwanted = event.type === "document" && event.desired.members[path] === undefined;
      if (event.type === "absent" || isUnwanted) delete owed[path];
    }
    return this.#event({ ...world, token: undefined, updates, owed }, event);
  }

  /** A delta comes that cannot be read. */
  garble(world: World, index: number): World {
    const toDevice = world.toDevice.filter((_, i) => i !== index);
    const next = fresh({ ...world, toDevice });
    const error = new AgentError("codec/json", "no");
    return this.#event(next, { type: "garbled", error });
  }

  // The cloud, and those who write to it.

  #told(world: World, answer: Answer, isForeign: boolean): World {
    const news = isForeign ? world.news + 1 : world.news;
    const isHeard = world.record.state !== "idle" || world.isKept;
    const messages = isHeard ? answer.messages.map(message => ({ ...message, news })) : [];
    const toDevice = [...world.toDevice, ...messages];
    const next = { ...world, news, cloud: answer.cloud, toDevice };
    return this.#excused(isForeign ? this.#forgotten(next) : next);
  }

  /** A local change the cloud has taken, which the device has not heard of: with the report of it gone, nobody can tell. */
  #forgotten(world: World): World {
    const { local, values } = world.record;
    const untold = { ...world.untold } as Record<string, Value>;
    for (const path of local)
      if (at(world.cloud.sections?.reported, path) !== values[path]) untold[path] = values[path]!;
    return { ...world, untold };
  }

  /** Nothing to win over: the cloud wants nothing, or the same, or has it as reported. */
  #excused(world: World): World {
    const left = Object.entries(world.owed).filter(([path, value]) => {
      const wanted = at(world.cloud.sections?.desired, path);
      const has = at(world.cloud.sections?.reported, path);
      return wanted !== undefined && wanted !== value && has !== value;
    });
    if (left.length === Object.keys(world.owed).length) return world;
    return { ...world, owed: Object.fromEntries(left) };
  }

  write(world: World, state: Json): World {
    return this.#told(world, update(world.cloud, { state }), true);
  }

  /** @param isForgotten two days pass before it is made again: nothing said before is on its way any more */
  remove(world: World, isForgotten: boolean): World {
    const next = isForgotten ? { ...world, toCloud: [], toDevice: [] } : world;
    return this.#told(next, remove(world.cloud, isForgotten), true);
  }

  /** A request reaches the cloud. */
  serve(world: World, index: number, isAgain = false): World {
    const { operation, body, isStray } = world.toCloud[index]!;
    const toCloud = isAgain
      ? world.toCloud.map((other, i) => (i === index ? { ...other, isStray: true } : other))
      : world.toCloud.filter((_, i) => i !== index);
    const next = { ...world, toCloud };
    if (operation === "get") return this.#told(next, get(world.cloud, body), false);
    const answer = update(world.cloud, body);
    const isTaken = answer.cloud !== world.cloud;
    const desired = isTaken ? (body["state"] as Tree)["desired"] : undefined;
    return this.#told(desired ? this.#justified(next, desired) : next, answer, isTaken && isStray);
  }

  /** Only what the product has set itself, and once, may take the place of what the cloud wants. */
  #justified(world: World, desired: Json): World {
    const untold = { ...world.untold } as Record<string, Value>;
    const owed = { ...world.owed } as Record<string, Value>;
    for (const path of this.paths) {
      const value = at(desired, path);
      if (value === undefined) continue;
      const before = at(world.cloud.sections?.desired, path);
      if (!(path in untold) && before !== value)
        throw new Broken(
          `${path}: the cloud wanted ${before}, and the device has made it ${value}`,
        );
      if (untold[path] === value) delete untold[path];
      delete owed[path];
    }
    return { ...world, untold, owed };
  }

  /** The cloud refuses; `undefined`: it never answers. */
  refuse(world: World, index: number, code: number | undefined): World {
    const { operation, body } = world.toCloud[index]!;
    const toCloud = world.toCloud.filter((_, i) => i !== index);
    const next = { ...world, toCloud };
    if (code === undefined) return next;
    return this.#told(next, refusal(world.cloud, operation, code, body), false);
  }

  // What must hold.

  /** The next thing that happens when nothing goes wrong, or undefined when all is quiet. */
  calm(world: World): World | undefined {
    const { record } = world;
    if (world.telling) return this.answer(world);
    if (world.isQueued) return this.turn(world);
    if (world.toCloud.length > 0) return this.serve(world, 0);
    if (world.toDevice.length > 0) return this.deliver(world, 0);
    if (world.isTimed) return this.due(world);
    if (record.state === "idle") return this.subscribed(world);
    if (world.token !== undefined) return this.timeout(world);
    // What was refused for good is over with the next link.
    if (record.state === "halted" || record.isBarred || record.isTerse)
      return this.lose(world, "nothing");
    return undefined;
  }

  /** @throws Broken when device and cloud do not agree, though all is quiet */
  check(world: World): void {
    const { record, cloud, inForce } = world;
    const { desired = {}, reported = {} } = cloud.sections ?? {};
    const expected = new Map<string, string>();
    if (record.local.length > 0) throw new Broken(`local changes are left: ${record.local}`);
    for (const path of this.paths) {
      const value = record.values[path]!;
      const wanted = at(desired, path);
      if (inForce[path] !== value)
        throw new Broken(`${path}: the product does ${inForce[path]}, the record has ${value}`);
      if (at(reported, path) !== value)
        throw new Broken(`${path}: ${at(reported, path)} is reported, ${value} is in force`);
      if (record.reported[path] !== value) throw new Broken(`${path}: wrongly known as reported`);
      if (path in world.owed && world.owed[path] !== value)
        throw new Broken(`${path}: ${world.owed[path]} was to win, ${value} is in force`);
      if (wanted === undefined || wanted === value) continue;
      const fault = faultOf(this.leaves[path]!, isScalar(wanted) ? wanted : unsupported);
      const overruled = world.overruled[path] === wanted && "failed: the device has set";
      const isCounted = record.verdicts?.has("*");
      const failing = world.failing.includes(path) && "failed: no";
      const told = record.verdicts?.get(path) ?? "nothing";
      if (fault) expected.set(path, fault);
      else if (overruled && (told.startsWith(overruled) || isCounted)) expected.set(path, told);
      else if (failing) expected.set(path, failing);
      else throw new Broken(`${path}: ${wanted} is wanted, ${value} is in force, told is ${told}`);
    }
    this.#strangers(desired, "", expected);
    const verdicts = (reported["_verdicts"] as Tree | undefined) ?? {};
    const said = asText(Object.entries(verdicts));
    if (said !== asText(fitting(expected, verdicts)))
      throw new Broken(`verdicts: ${said}, not ${asText(expected)}`);
    if (asText(record.told ?? []) !== said) throw new Broken("verdicts wrongly known as told");
  }

  #strangers(desired: Tree, prefix: string, into: Map<string, string>): void {
    for (const [name, value] of Object.entries(desired)) {
      const path = prefix + name;
      if (path in this.leaves) continue;
      const isGroup = this.paths.some(other => other.startsWith(`${path}.`));
      if (!isGroup) into.set(path, "unknown");
      else if (isTree(value)) this.#strangers(value, `${path}.`, into);
      else into.set(path, "wrong type: this is not an object");
    }
  }

  /** The world by name: two worlds with one name go on alike. Gaps between versions that are wider than two count as two. */
  keyOf(world: World): string {
    const { record, toCloud, toDevice, cloud, token, news, heard } = world;
    const versions = [
      record.version,
      record.heard % Number.POSITIVE_INFINITY || 0,
      cloud.version,
      record.updating?.version ?? 0,
    ];
    for (const { body } of [...toCloud, ...toDevice])
      if (typeof body["version"] === "number") versions.push(body["version"]);
    const sorted = [...new Set([0, ...versions])].sort((a, b) => a - b);
    const rank = new Map<unknown, number>();
    let last = 0;
    sorted.forEach((version, i) => {
      last += Math.min(2, version - (sorted[i - 1] ?? 0));
      rank.set(version, last);
    });
    const nameOf = ({ clientToken, version, ...rest }: Tree) => [
      rest,
      rank.get(version),
      clientToken === undefined ? 0 : clientToken === token ? 1 : 2,
    ];
    const requests = toCloud.map(({ operation, body, isStray }) =>
      JSON.stringify([operation, nameOf(body), isStray]),
    );
    const deliveries = toDevice.map(({ suffix, body, news: of }) =>
      JSON.stringify([suffix, nameOf(body), of > heard ? of - heard : 0]),
    );
    const { version, heard: since, updating, told, verdicts, tried, ...rest } = record;
    return JSON.stringify([
      rest,
      rank.get(version),
      since === Number.POSITIVE_INFINITY ? -1 : rank.get(since),
      updating && { ...updating, version: rank.get(updating.version) },
      updating?.verdicts && [...updating.verdicts],
      told && [...told].sort(),
      verdicts && [...verdicts],
      tried && [...tried].sort(),
      token === undefined,
      world.isTimed,
      world.isQueued,
      world.telling,
      world.inForce,
      world.failing,
      world.overruled,
      world.isKept,
      cloud.sections,
      rank.get(cloud.version),
      requests.sort(),
      deliveries.sort(),
      news - heard,
      world.updates,
      world.untold,
      world.owed,
    ]);
  }
}

function isScalar(value: Json): value is Value {
  return typeof value !== "object";
}

/** Something is new: counting begins again. */
function fresh(world: World): World {
  return { ...world, updates: 0, reads: 0 };
}

/** Nobody waits for what is on its way to the cloud. */
function astray(world: World): { -readonly [K in keyof World]: World[K] } {
  return { ...world, toCloud: world.toCloud.map(request => ({ ...request, isStray: true })) };
}

export function at(tree: Json | undefined, path: string): Json | undefined {
  let value: Json | undefined = tree;
  for (const name of path.split(".")) value = isTree(value) ? value[name] : undefined;
  return value;
}

function asText(entries: Iterable<readonly [string, Json]>): string {
  return JSON.stringify([...entries].sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** Of many, those that are told and the number of the others. */
function fitting(
  expected: ReadonlyMap<string, string>,
  told: Tree,
): Iterable<readonly [string, Json]> {
  if (expected.size <= 16) return expected;
  const named = [...expected].filter(([path]) => path in told);
  return [...named, ["*", `${expected.size - named.length} more`]];
}
