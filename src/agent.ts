// What a product holds: one agent, its settings and its telemetry.
import type { LinkStatus } from "./connection/link.js";
import { Core } from "./core.js";
import { AgentError } from "./errors.js";
import type { JobQueue } from "./jobs/jobs.js";
import { type AgentOptions, checkEndpoint, checkOptions, type EndpointOptions } from "./options.js";
import type { Health } from "./ota/health.js";
import { Follower, leavesOf, Settings } from "./parts/shadow.js";
import { DutyCycle } from "./parts/sleep.js";
import type { SettingsListener } from "./shadow/follower.js";
import type { Schema } from "./shadow/schema.js";
import type { DutyCyclePolicy } from "./telemetry/duty-cycle.js";
import type { SendOptions } from "./telemetry/sender.js";
import type { Readings } from "./telemetry/telemetry.js";

export class Agent {
  readonly telemetry: Telemetry;
  readonly #core: Core;

  /** @throws AgentError "agent/options" or "trust/pem" */
  constructor(options: AgentOptions) {
    this.#core = new Core(checkOptions(options));
    this.telemetry = new Telemetry(this.#core);
  }

  /** Name of this device in the registry; undefined until it has been provisioned. */
  get thingName(): string | undefined {
    return this.#core.thingName;
  }

  /** What the provisioning template's DeviceConfiguration said when this device was registered; empty before. */
  get deviceConfiguration(): ReadonlyMap<string, string> {
    return this.#core.deviceConfiguration;
  }

  /**
   * Asks for another key and certificate over the link there is, tries them, and retires those in force once a publish was
   * acknowledged with the new ones. Status "rotated" or "rotationFailed" tells; those in force stay until then.
   *
   * @throws AgentError "agent/options" before `start`, or without a template to ask with
   */
  rotate(): void {
    this.#core.rotate("identity");
  }

  /**
   * Earns another identity with the claim, for a device whose certificate was revoked: nothing else ever does this.
   *
   * @throws AgentError "agent/options" before `start`, or without a claim
   */
  provisionAgain(): void {
    this.#core.rotate("claim");
  }

  /** The link as it is now. */
  get link(): LinkStatus {
    return this.#core.linkStatus;
  }

  /** What `onStatus` threw last, for a debugger: the agent goes on without it. */
  get observerFault(): unknown {
    return this.#core.observerFault;
  }

  /**
   * Declares the settings that a shadow of the device holds: the classic one, or a named one. Each once, before `start`.
   *
   * @throws AgentError "agent/options" for a name or default that cannot be
   */
  settings<const S extends Schema>(schema: S): Settings<S>;
  settings<const S extends Schema>(shadow: string, schema: S): Settings<S>;
  settings<const S extends Schema>(first: string | S, second?: S): Settings<S> {
    if (this.#core.isOpen)
      throw new AgentError("agent/options", "settings are declared before start");
    const [shadow, schema] = typeof first === "string" ? [first, second!] : [undefined, first];
    const follower = new Follower(shadow, leavesOf(schema));
    this.#core.follow(follower);
    const settings = new Settings<S>(schema, follower, this.#core);
    follower.listener = settings as SettingsListener;
    return settings;
  }

  /**
   * The jobs of this device; a device that never asks for them runs none. Their handlers and gates are given before `start`.
   *
   * @throws AgentError "agent/options" when first asked for after `start`
   */
  get jobs(): JobQueue {
    return this.#core.useJobs();
  }

  /** What must hold before a new image of the firmware is confirmed; without one, that it is connected. */
  get health(): Health {
    return this.#core.useHealth();
  }

  /**
   * For a device that sleeps between its samples, in the place of `start`: once for each start of the program, after the
   * settings are declared and before the first reading is sent. The cycle's `sleep` ends the wake-up.
   *
   * @throws AgentError "agent/options" for a policy that cannot be, a host that cannot sleep and an agent without an outbox
   */
  cycle(policy: DutyCyclePolicy): DutyCycle {
    return new DutyCycle(this.#core, policy);
  }

  /** Reads what storage holds and connects. A second call does nothing while running. */
  start(): void {
    this.#core.start();
  }

  /** Ends the link in good order; status "stopped" follows. `start` goes on. */
  stop(): void {
    this.#core.stop();
  }

  /**
   * For a product that knows: after an outage the next dial comes within ten seconds, in the place of up to two minutes. What the cloud
   * refused waits as before, and of a network that comes and goes one time in a minute counts.
   */
  networkIsBack(): void {
    this.#core.networkIsBack();
  }

  /**
   * Connects to another endpoint from now on, also after a restart. The one before is gone back to when no session can be
   * held at the new one; status "moved" or a fault tells. Firmware that names another endpoint than today's ends the move.
   *
   * @throws AgentError "agent/options" for what is no endpoint or before `start`, or what storage throws: nothing has changed then
   */
  moveTo(endpoint: EndpointOptions): void {
    this.#core.moveTo(checkEndpoint(endpoint));
  }
}

/** The product's way to send readings. */
export class Telemetry {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * Sends readings as one JSON message, with the time of this call; those of a channel with a window go into its next message,
   * and a channel that was declared says itself how it is sent: `options` are for the others. With an outbox they are on flash when this returns, and stay
   * there until the cloud has acknowledged them; without, in memory, within bounds, until the link takes them.
   *
   * @throws AgentError "telemetry/limit", "codec/json" or "outbox/record" for what cannot be sent
   */
  send(channel: string, readings: Readings, options: SendOptions = {}): void {
    this.#core.send(channel, readings, options);
  }

  /** Ends the windows of all channels now, before a sleep: what they hold is in memory only. */
  flush(): void {
    this.#core.flushWindows();
  }
}
