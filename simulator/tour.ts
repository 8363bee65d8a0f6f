// The whole story as a script, in a folder of its own: every step must be seen on the device's side and on the cloud's.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AgentStatus } from "../src/index.js";
import { Cloud, type CloudEvent } from "./cloud/cloud.js";
import { type Engine, startDevice, type VirtualDevice } from "./fleet/device.js";
import { isComplete, type OutageEvent, type OutageFigures, outage } from "./fleet/outage.js";
import { isConfirmed, isRefused, isReverted, UpdateStory } from "./fleet/update-story.js";
import type { Line } from "./narrator.js";
import { describeOutage, lineOfCloud, lineOfOutage, lineOfStatus } from "./narrator.js";
import {
  describeConfirmed,
  describeRefused,
  describeReverted,
  lineOfUpdate,
} from "./update-narrator.js";

export interface TourStep {
  readonly step: string;
  /** What was seen, or what was waited for in vain. */
  readonly result: string;
  readonly ok: boolean;
  readonly ms: number;
}

const serialNumber = "SN-TOUR";
const thing = `node-${serialNumber}`;
/** A step that takes longer than this has failed. */
const stepMs = 20_000;

export type Say = (who: "cloud" | "device", line: Line) => void;

/** @returns one row for each step; the folder is removed at the end */
export async function tour(engine: Engine, say: Say): Promise<readonly TourStep[]> {
  const directory = await mkdtemp(join(tmpdir(), "skerry-tour-"));
  const stage = new Stage(directory, engine, say);
  try {
    await stage.play();
    return stage.steps;
  } finally {
    await stage.close();
    await rm(directory, { recursive: true, force: true });
  }
}

class Stage {
  readonly steps: TourStep[] = [];
  readonly #directory: string;
  readonly #engine: Engine;
  readonly #say: Say;
  readonly #statuses: AgentStatus[] = [];
  readonly #events: CloudEvent[] = [];
  #wake: () => void = () => undefined;
  #cloud: Cloud | undefined;
  #device: VirtualDevice | undefined;
  #crash: Error | undefined;

  constructor(directory: string, engine: Engine, say: Say) {
    this.#directory = directory;
    this.#engine = engine;
    this.#say = say;
  }

  async play(): Promise<void> {
    this.#cloud = await Cloud.open({
      directory: join(this.#directory, "cloud"),
      listen: { host: "127.0.0.1", port: 0 },
      allow: [serialNumber],
      onEvent: event => this.#hear("cloud", this.#events, event, lineOfCloud(event)),
    });
    const cloud = this.#cloud;
    await this.#step(
      "boot: own key",
      () => this.#powerOn(),
      () => this.#has("keyMade"),
      "made on the device",
    );
    await this.#step(
      "claim",
      () => undefined,
      () =>
        this.#has("online") &&
        this.#cloudHas(event => event.type === "clientConnected" && event.certificate === "claim"),
      "connected over mutual TLS",
    );
    await this.#step(
      "own certificate",
      () => undefined,
      () =>
        this.#has("provisioned") &&
        this.#cloudHas(event => event.type === "certificateIssued" && event.by === "csr") &&
        this.#cloudHas(event => event.type === "clientConnected" && event.certificate === "device"),
      `${thing} is online, claim dropped`,
    );
    await this.#step(
      "telemetry",
      () => undefined,
      () =>
        this.#has("telemetry") &&
        this.#cloudHas(event => event.type === "message" && event.topic === `dt/${thing}/climate`),
      "received by the cloud, acknowledged",
    );
    await this.#step(
      "shadow desired -> reported",
      () => cloud.updateDesired(thing, { led: "blue", sampleSeconds: 1 }),
      () =>
        this.#has("settings") && this.#reports("led", "blue") && this.#reports("sampleSeconds", 1),
      "led=blue sampleSeconds=1",
    );
    await this.#step(
      "cable pulled",
      () => {
        this.#forget();
        cloud.refuse(true);
        cloud.disconnect(thing);
        cloud.updateDesired(thing, { led: "red" });
      },
      () => this.#has("offline") && cloud.clients().length === 0,
      "noticed on both sides; led=red wanted meanwhile",
    );
    await this.#step(
      "reconnect",
      () => {
        cloud.refuse(false);
      },
      () =>
        this.#has("online") &&
        this.#reports("led", "red") &&
        this.#cloudHas(event => event.type === "message") &&
        this.#cloudHas(event => event.type === "clientConnected" && event.certificate === "device"),
      "same identity, led=red, telemetry flows",
    );
    await this.#outage("an hour offline, restarted", false, isComplete);
    await this.#outage(
      "the same on too little flash",
      true,
      figures => isComplete(figures) && figures.gaps.length > 0,
    );
    await this.#updates();
    await this.#step(
      "clean stop",
      () => {
        this.#forget();
        return this.#powerOff();
      },
      () =>
        this.#has("stopped") &&
        this.#cloudHas(
          event =>
            event.type === "clientDisconnected" && event.reason === "CLIENT_INITIATED_DISCONNECT",
        ),
      "DISCONNECT was seen",
    );
    await this.#step(
      "second start",
      async () => {
        this.#forget();
        await this.#powerOn();
      },
      () =>
        this.#has("online") &&
        !this.#has("keyMade") &&
        cloud.clients().includes(thing) &&
        cloud.things().length === 1,
      "same key, same certificate, same thing",
    );
  }

  async close(): Promise<void> {
    await this.#powerOff();
    await this.#cloud?.close();
  }

  async #powerOn(): Promise<void> {
    const cloud = this.#cloud!;
    const { certificate, key, trustAnchor } = cloud.claim();
    this.#device = await startDevice({
      engine: this.#engine,
      directory: join(this.#directory, "device"),
      config: {
        endpoint: "localhost",
        port: cloud.port!,
        trustAnchors: [trustAnchor],
        claim: { certificate, key },
        template: "sensor-node",
        serialNumber,
      },
      onStatus: status => this.#hear("device", this.#statuses, status, lineOfStatus(status)),
      onCrash: error => {
        this.#crash = error;
        this.#wake();
      },
    });
  }

  async #powerOff(): Promise<void> {
    const device = this.#device;
    this.#device = undefined;
    await device?.stop();
  }

  #hear<T>(who: "cloud" | "device", heard: T[], event: T, line: Line | undefined): void {
    heard.push(event);
    if (line) this.#say(who, line);
    this.#wake();
  }

  #forget(): void {
    this.#statuses.length = 0;
    this.#events.length = 0;
  }

  #has(type: AgentStatus["type"]): boolean {
    return this.#statuses.some(status => status.type === type);
  }

  #cloudHas(isIt: (event: CloudEvent) => boolean): boolean {
    return this.#events.some(isIt);
  }

  #reports(name: string, value: string | number): boolean {
    const state = this.#cloud!.shadow(thing)?.["state"] as
      | { reported?: Record<string, unknown> }
      | undefined;
    return state?.reported?.[name] === value;
  }

  /** Acts, then waits until the step was seen. After a step that failed the others are not tried. */
  async #step(
    step: string,
    act: () => unknown,
    isSeen: () => boolean,
    result: string,
  ): Promise<void> {
    if (this.steps.some(({ ok }) => !ok)) return;
    const startedAt = performance.now();
    await act();
    const ok = await this.#until(isSeen, startedAt + stepMs);
    const ms = Math.round(performance.now() - startedAt);
    const failure = this.#crash
      ? `the device crashed: ${this.#crash.message}`
      : `not seen within ${stepMs} ms`;
    this.steps.push({ step, result: ok ? result : failure, ok, ms });
  }

  /** An hour of virtual time, in a world of its own: the device of the other steps goes on meanwhile. */
  async #outage(
    step: string,
    isTight: boolean,
    isAsItShouldBe: (figures: OutageFigures) => boolean,
  ): Promise<void> {
    await this.#inVirtualTime(step, async () => {
      const onEvent = (event: OutageEvent) => {
        const isCloud = event.type === "gapsTold" || event.type === "drained";
        this.#say(isCloud ? "cloud" : "device", lineOfOutage(event));
      };
      const figures = await outage({ engine: this.#engine, isTight, onEvent });
      const result = [describeOutage(figures), ...figures.faults].join("; ");
      return { ok: isAsItShouldBe(figures), result };
    });
  }

  /** Good, forged and crashing firmware, one after the other on one device; in virtual time as well. */
  async #updates(): Promise<void> {
    const [first, second] = ["1.1.0", "1.2.0"] as const;
    let story: UpdateStory | undefined;
    await this.#inVirtualTime("update, good", async () => {
      story = await UpdateStory.open({
        engine: this.#engine,
        onEvent: event =>
          this.#say(event.type === "ended" ? "cloud" : "device", lineOfUpdate(event)),
      });
      const good = await story.good(first);
      return { ok: isConfirmed(good, first), result: describeConfirmed(good) };
    });
    await this.#inVirtualTime("update, forged", async () => {
      const stranger = await story!.wronglySigned(second);
      const changed = await story!.changed(second);
      const ok = isRefused(stranger, first) && isRefused(changed, first);
      return { ok, result: describeRefused(stranger, changed) };
    });
    await this.#inVirtualTime("update, crashing", async () => {
      const crashing = await story!.crashing(second);
      return { ok: isReverted(crashing, second, first), result: describeReverted(crashing) };
    });
    await story?.close();
  }

  /** A step that is over when it has been played. */
  async #inVirtualTime(
    step: string,
    play: () => Promise<Pick<TourStep, "ok" | "result">>,
  ): Promise<void> {
    if (this.steps.some(({ ok }) => !ok)) return;
    const startedAt = performance.now();
    const played = await play().catch((error: Error) => ({ ok: false, result: error.message }));
    const ms = Math.round(performance.now() - startedAt);
    this.steps.push({ step, ...played, ms });
  }

  async #until(isSeen: () => boolean, endAt: number): Promise<boolean> {
    while (!isSeen()) {
      const leftMs = endAt - performance.now();
      if (leftMs <= 0 || this.#crash) return false;
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return true;
  }
}

/** The table at the end. */
export function tableOf(steps: readonly TourStep[]): string {
  const rows = [
    ["step", "result", "ms"],
    ...steps.map(({ step, ok, result, ms }) => [step, `${ok ? "✔" : "✖"} ${result}`, String(ms)]),
  ];
  const widths = [0, 1].map(column => Math.max(...rows.map(row => row[column]!.length)));
  return rows
    .map(
      ([step, result, ms]) =>
        `${step!.padEnd(widths[0]!)}  ${result!.padEnd(widths[1]!)}  ${ms!.padStart(6)}`,
    )
    .join("\n");
}
