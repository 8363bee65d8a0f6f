// What may happen to a device with two slots and its jobs. What decides is the real `step`; around it stand what Updater and Jobs do
// and what a bootloader does, without a wire.
import { AgentError } from "../../src/errors.js";
import {
  endedFromOutside,
  type Install,
  step,
  triedBefore,
  type UpdateEffect,
  type UpdateEvent,
} from "../../src/ota/update.js";
import { compareVersions } from "../../src/ota/version.js";
import { Broken, type Image, isOver, type Job, type Slot, type World } from "./model-world.js";

/** The power goes. */
class Cut extends Error {}
/** The machine starts again, as the program wants it to. */
class Restart extends Error {}

const dayMs = 86_400_000;
const floorOfNew = "1.5.0";

function otherThan(slot: Slot): Slot {
  return slot === "a" ? "b" : "a";
}

/** What a machine does, to a world of its own. */
export class Machine {
  readonly world: World;
  readonly #images: readonly Image[];

  /** @param images the first runs in the beginning, the others are offered one after the other */
  constructor(world: World, images: readonly Image[]) {
    this.world = structuredClone(world);
    this.#images = images;
  }

  get image(): Image {
    return this.#images[this.world.slots[this.world.running]]!;
  }

  get isOnTrial(): boolean {
    return this.world.states[this.world.running] === "pending";
  }

  /** Of the job that a handler holds, or would. */
  get index(): number {
    const { held, jobs } = this.world;
    return held >= 0 ? held : jobs.findIndex(job => !isOver(job));
  }

  get job(): Job | undefined {
    return this.world.jobs[this.index];
  }

  get offered(): Image | undefined {
    return this.#images[this.index + 1];
  }

  /** @param left durable operations until the power goes. @returns whether it went */
  attempt(work: () => void, left = -1): boolean {
    this.world.left = left;
    let isCut = false;
    try {
      work();
    } catch (error) {
      if (!(error instanceof Cut || error instanceof Restart)) throw error;
      isCut = error instanceof Cut;
      this.#startAgain(isCut);
    }
    isCut ||= left >= 0 && this.world.left < 0;
    this.world.left = -1;
    return isCut;
  }

  /** Until a start that the power lets be. */
  #startAgain(isCut: boolean): void {
    const { world } = this;
    if (isCut) {
      world.left = -1;
      world.isTimeKnown = false;
      world.faults++;
      if (world.states[world.selected] === "pending") this.spoil();
    }
    try {
      this.#boot();
    } catch (error) {
      if (!(error instanceof Cut || error instanceof Restart)) throw error;
      this.#startAgain(error instanceof Cut);
    }
  }

  spoil(): void {
    const { index, world } = this;
    if (index >= 0) world.spoiled[index] = true;
  }

  restart(): never {
    throw new Restart();
  }

  powerCut(): never {
    throw new Cut();
  }

  #durable(): void {
    if (this.world.left === 0) {
      this.world.left = -1;
      throw new Cut();
    }
    if (this.world.left > 0) this.world.left--;
  }

  // -- bootloader and platform --

  #boot(): void {
    const { world } = this;
    const { states, slots } = world;
    const off = { held: -1, isOnline: false, isWell: false, isRestarting: false };
    if (!world.keepsTime) world.isTimeKnown = false;
    Object.assign(world, { record: { state: "idle" }, doing: "", ...off });
    for (;;) {
      const { selected } = world;
      const other = otherThan(selected);
      if (states[selected] === "new") {
        this.#durable();
        states[selected] = "pending";
        world.trials[slots[selected]]!++;
      } else if (states[selected] === "pending") {
        this.#durable();
        states[selected] = "aborted";
        states[other] = "valid";
        world.selected = other;
      }
      world.running = world.selected;
      if (slots[world.running] < 0) throw new Broken("what is not whole runs");
      const { kind } = this.image;
      if (kind === "corrupt") throw new Broken("an image runs that was not signed");
      if (kind !== "crashes") break;
      if (!this.isOnTrial) throw new Broken("an image that crashes is there to stay");
    }
    const hasReverted = ["aborted", "invalid"].includes(states[otherThan(world.running)]);
    this.event({
      type: "opened",
      install: world.saved,
      running: world.running,
      isOnTrial: this.isOnTrial,
      hasReverted,
      version: this.image.version,
      now: this.now,
      resetReason: undefined,
      allowDowngrade: false,
    });
  }

  #complete(isWorn: boolean): void {
    const { world } = this;
    const next = otherThan(world.running);
    if (this.isOnTrial) throw new Broken("switched while on trial");
    if (world.slots[next] < 0) throw new Broken("what is not whole is to run");
    if (isWorn) throw new AgentError("storage/write", "otadata: worn");
    this.#durable();
    world.states = { ...world.states, [world.running]: "valid", [next]: "new" };
    world.selected = next;
  }

  #confirm(): void {
    const { world } = this;
    if (this.image.kind !== "good") throw new Broken(`what ${this.image.kind} is confirmed`);
    this.#durable();
    world.states[world.running] = "valid";
  }

  #revert(): void {
    const { world } = this;
    world.doing = "";
    if (!this.isOnTrial) throw new Broken("reverted without a trial");
    this.#durable();
    world.states[world.running] = "invalid";
    world.selected = otherThan(world.running);
    world.isRestarting = true;
  }

  // -- Updater --

  get now(): number | undefined {
    return this.world.isTimeKnown ? this.world.day * dayMs : undefined;
  }

  event(event: UpdateEvent, isWorn = false): void {
    const { world } = this;
    const before = world.record;
    const { record, effects } = step(before, event);
    const known = event.type === "opened" ? event.install : before.install;
    if (record.install !== known) this.#save(record.install, event.type === "allowed");
    world.record = record;
    for (const effect of effects) this.#perform(effect, isWorn);
  }

  #save(install: Install | undefined, isNeeded: boolean): void {
    const { world } = this;
    if (!install) return;
    if (install.phase === "confirmed" && install.minimumVersion !== world.floor) {
      this.#durable();
      world.floor = install.minimumVersion;
    }
    if (world.isFull) {
      world.isFull = false;
      world.faults++;
      if (isNeeded) throw new AgentError("storage/write", "full");
      return;
    }
    this.#durable();
    world.saved = install;
  }

  #perform(effect: UpdateEffect, isWorn: boolean): void {
    switch (effect.type) {
      case "fetch":
        this.world.doing = "fetch";
        return this.#fetch();
      case "stop":
        this.world.doing = "";
        return;
      case "verify":
      case "announce":
      case "ask":
      case "watch":
        this.world.doing = effect.type;
        return;
      case "switch":
        this.world.doing = "";
        return this.#attempt(() => {
          this.#complete(isWorn);
          this.event({ type: "switched" });
        });
      case "revert":
        return this.#revert();
      case "succeed":
        return this.#finish("SUCCEEDED");
      case "fail":
        return this.#finish("FAILED");
    }
  }

  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      if (error.code === "agent/illegal-event") throw error;
      this.event({ type: "failed", error });
    }
  }

  #fetch(): void {
    const { world } = this;
    const slot = otherThan(world.running);
    // All of it may be there from before.
    const there = this.#images[world.slots[slot]];
    if (there?.identity === this.offered!.identity) return this.fetched();
    this.#durable();
    world.slots[slot] = -1;
  }

  fetched(): void {
    this.world.slots[otherThan(this.world.running)] = this.index + 1;
    this.event({ type: "fetched" });
  }

  verified(): void {
    const { identity, kind } = this.offered!;
    if (kind !== "corrupt") {
      const again = triedBefore(this.world.record.install, identity, this.now);
      return this.event(again ? { type: "failed", error: again } : { type: "verified" });
    }
    this.world.slots[otherThan(this.world.running)] = -1;
    this.event({ type: "failed", error: new AgentError("ota/signature", "not signed") });
  }

  allowed(isWorn = false): void {
    const { world, index, offered } = this;
    this.#attempt(() =>
      this.event(
        {
          type: "allowed",
          install: {
            ...{ phase: "switching", jobId: `${index}`, executionNumber: 1 },
            ...{ slot: world.running, from: this.image.version, to: offered!.to },
            ...{ identity: offered!.identity, digest: offered!.identity, cause: "", revertedAt: 0 },
            minimumVersion: offered!.to === "" ? "" : floorOfNew,
            isAfterRevert: ["aborted", "invalid"].includes(world.states[otherThan(world.running)]),
          },
        },
        isWorn,
      ),
    );
    if (world.held < 0) return;
    this.#durable();
    this.job!.restarts++;
    this.job!.isRestarting = true;
    world.isRestarting = true;
  }

  settled(): void {
    this.#confirm();
    Object.assign(this.world, { doing: "", isWell: false });
    this.event({ type: "settled" });
  }

  // -- Jobs --

  /** The job is judged, and its handler runs. */
  offer(): void {
    const { world, offered } = this;
    const job = this.job!;
    const { install, state } = world.record;
    const isOwn = install?.jobId === `${this.index}`;
    this.#durable();
    if (!job.isRestarting) job.attempts++;
    job.isRestarting = false;
    world.held = this.index;
    if (job.attempts > 3 || job.restarts > 5) {
      this.spoil();
      return this.#finish("FAILED");
    }
    if (!isOwn && offered!.to !== "") {
      const isNewer = (compareVersions(offered!.to, this.image.version) ?? 0) > 0;
      if (!isNewer || (compareVersions(offered!.to, world.floor || "0.0.0") ?? 0) < 0)
        return this.#finish("REJECTED");
    }
    job.status = "IN_PROGRESS";
    const isTrying = state === "trial" || state === "settling";
    if (state !== "idle" && !(isTrying && isOwn)) return this.#finish("FAILED");
    const { identity, to } = offered!;
    // Of AWS's documents the image is known once it is in the slot.
    const digest = to === "" ? undefined : identity;
    const key = { jobId: `${this.index}`, executionNumber: 1 };
    this.event({ type: "offered", ...key, identity, digest, now: this.now });
  }

  #finish(status: string): void {
    const { world } = this;
    const job = world.jobs[world.held];
    world.held = -1;
    if (job === undefined) return;
    this.#durable();
    job.said = status;
  }

  told(): void {
    const job = this.job!;
    job.status = job.said;
  }

  /** An operator's: the device hears of it when it is online. */
  cancel(): void {
    this.world.spoiled.fill(true);
    this.world.faults++;
    this.job!.status = "CANCELED";
  }

  get isCancelled(): boolean {
    return this.world.jobs[this.world.held]?.status === "CANCELED";
  }

  heard(): void {
    const { state } = this.world.record;
    this.world.held = -1;
    if (state === "trial" || state === "settling")
      return this.event({ type: "givenUp", cause: endedFromOutside });
    this.event({ type: "cancelled" });
  }
}
