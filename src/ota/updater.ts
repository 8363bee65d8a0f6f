// Performs what an update decides: fetches into the slot that does not run, judges what is in it, switches, and on the other side
// confirms or goes back. A job handler for the operation "firmware".
import { AgentError } from "../errors.js";
import type { Host, Update } from "../host.js";
import type { AgentHandler } from "../jobs/desk.js";
import type { Job } from "../jobs/job.js";
import type { Session } from "../mqtt/session.js";
import { anchorsOf } from "../trust/credentials.js";
import { isEqual, toHex } from "../util/bytes.js";
import { readPair, writePair } from "../util/sealed.js";
import type { Wiring } from "../wiring.js";
import { readOffer } from "./document.js";
import { Download, type DownloadOwner } from "./download.js";
import { type CheckedFirmware, selfTest } from "./firmware.js";
import type { Health } from "./health.js";
import { decodeInstall, encodeInstall } from "./install-record.js";
import { Judge, type Judged, type JudgeOwner } from "./judge.js";
import type { Offer } from "./offer.js";
import { Staging } from "./staging.js";
import { Trial, type TrialOwner } from "./trial.js";
import {
  endedFromOutside,
  type Install,
  step,
  triedBefore,
  type UpdateEffect,
  type UpdateEvent,
  type UpdateRecord,
} from "./update.js";

interface UpdaterWiring extends Wiring {
  /** What is measured and not on flash yet would be lost. */
  flushWindows(): void;
}

/** Progress is told with the first block and every so many. */
const blocksPerReport = 64;

export class Updater implements AgentHandler, DownloadOwner, JudgeOwner, TrialOwner {
  readonly #wiring: UpdaterWiring;
  readonly #options: CheckedFirmware;
  readonly #health: Health;
  readonly #judge: Judge;
  #record: UpdateRecord = { state: "idle" };
  #job: Job | undefined;
  #judged: Judged | undefined;
  #staging: Staging | undefined;
  #download: Download | undefined;
  #trial: Trial | undefined;
  /** The jobs service has answered over the link there is. */
  #isAnswered = false;
  /** The broker has acknowledged what was published over it. */
  #isAcknowledged = false;

  constructor(wiring: UpdaterWiring, options: CheckedFirmware, health: Health) {
    this.#wiring = wiring;
    this.#options = options;
    this.#health = health;
    this.#judge = new Judge(this, options);
  }

  // -- the machine starts --

  /** Finds out what runs, and why. */
  open(): void {
    if (!this.update.isOnTrial) this.raise(undefined);
    const { running, isOnTrial, hasReverted } = this.update;
    this.event({
      type: "opened",
      install: this.stored(),
      running,
      isOnTrial,
      hasReverted,
      version: this.#options.version,
      now: this.now,
      resetReason: this.host.system.resetReason,
      allowDowngrade: this.#options.allowDowngrade,
    });
  }

  private get update(): Update {
    return this.host.update!;
  }

  /** A record that cannot be read is none: what runs on trial is tried all the same. */
  private stored(): Install | undefined {
    try {
      const stored = readPair(this.#wiring.store, "update");
      return stored && decodeInstall(stored);
    } catch (cause) {
      this.fault("storage/damaged", "ota: what became of the last update cannot be read", cause);
      return undefined;
    }
  }

  // -- the job --

  /** Before the job is started: what can be known to be wrong from the document alone. */
  check(job: Job): string | undefined {
    const offer = readOffer(job.document);
    if (!this.isOwn(job, offer)) this.#judge.judge(offer);
    return undefined;
  }

  run(job: Job): void {
    // What is installed was judged by the image before, which may have had other rules.
    const offer = readOffer(job.document);
    const isOwn = this.isOwn(job, offer);
    const judged = isOwn ? undefined : this.#judge.judge(offer);
    if (this.#record.state !== "idle" && !(this.isOnTrial && isOwn))
      throw new AgentError("ota/incompatible", "another image is on trial: try again later");
    this.#job = job;
    this.#judged = judged;
    this.event({
      type: "offered",
      jobId: job.id,
      executionNumber: job.executionNumber,
      identity: this.#judge.nameOf(offer),
      digest: judged?.manifest && toHex(judged.manifest.sha256),
      now: this.now,
    });
  }

  cancel(job: Job): void {
    this.#job = undefined;
    if (this.isOnTrial) {
      // An image that came by another way is none of this job's.
      if (!this.isKey(job)) return;
      const trouble = this.#health.trouble();
      return this.giveUp(trouble ? `${endedFromOutside}: ${trouble}` : endedFromOutside);
    }
    this.event({ type: "cancelled" });
  }

  online(): void {
    this.#download?.online();
  }

  offline(): void {
    this.#download?.offline();
  }

  /** The link is gone, whether a job runs or not. */
  lost(): void {
    this.#isAnswered = false;
    this.#isAcknowledged = false;
  }

  onAcknowledged(): void {
    this.#isAcknowledged = true;
  }

  onNext(): void {
    this.#isAnswered = true;
  }

  /** Whether this is the job whose image was tried last, or is on trial: another one may have its name. */
  private isOwn(job: Job, offer: Offer): boolean {
    return this.isKey(job) && this.#record.install?.identity === this.#judge.nameOf(offer);
  }

  private isKey({ id, executionNumber }: Job): boolean {
    const { install } = this.#record;
    return install?.jobId === id && install.executionNumber === executionNumber;
  }

  onDocument(job: Job): void {
    this.attempt(() => {
      const { offer, identity } = this.#judge.judge(readOffer(job.document));
      if (!this.#judged || !isEqual(identity, this.#judged.identity))
        throw new AgentError("ota/document", "the document names another image than before");
      this.#download?.sources(offer.sources);
    });
  }

  onMessage(_job: Job, topic: string, payload: Uint8Array): void {
    this.#download?.onMessage(topic, payload);
  }

  // -- decisions and deeds --

  private event(event: UpdateEvent): void {
    const before = this.#record;
    const { record, effects } = step(before, event);
    const known = event.type === "opened" ? event.install : before.install;
    if (record.install !== known) this.save(record.install, event.type === "allowed");
    this.#record = record;
    for (const effect of effects) this.perform(effect);
  }

  /**
   * @param isNeeded  nothing may go on without it; what else is not saved can be found out again
   * @throws          AgentError "storage/write": nothing has changed then
   */
  private save(install: Install | undefined, isNeeded: boolean): void {
    if (!install) return;
    // Before the record: where the power goes in between, the next start confirms once more.
    if (install.phase === "confirmed") this.raise(install);
    try {
      writePair(this.#wiring.store, "update", encodeInstall(install));
    } catch (cause) {
      const message = "ota: what becomes of the update cannot be saved";
      if (isNeeded) throw new AgentError("storage/write", message, { cause });
      this.fault("storage/write", message, cause);
    }
  }

  private perform(effect: UpdateEffect): void {
    switch (effect.type) {
      case "fetch":
        return this.attempt(() => this.fetch());
      case "stop":
        return this.stop();
      case "verify":
        return this.attempt(() => this.verify());
      case "announce":
        return this.announce();
      case "ask":
        return this.ask();
      case "switch":
        return this.switch();
      case "watch":
        this.#trial = new Trial(this, this.#options, this.#health);
        return;
      case "active":
        return this.#job?.report(selfTest("active", this.#options.version));
      case "keep":
        return this.keep();
      case "revert":
        return this.revert();
      case "succeed":
        return this.succeed();
      case "fail":
        return this.end(job => job.fail(effect.error.message));
    }
  }

  /** What goes wrong here ends the update, not the agent. */
  private attempt(work: () => void): void {
    try {
      work();
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : "fault";
      const error = new AgentError("agent/fault", `ota: ${message}`, { cause });
      this.event({ type: "failed", error: cause instanceof AgentError ? cause : error });
    }
  }

  private end(how: (job: Job) => void): void {
    const job = this.#job;
    this.#job = undefined;
    this.#judged = undefined;
    if (job) how(job);
  }

  // -- into the slot --

  /** Opened when it is looked at, and let go with the update. */
  private slot(): Staging {
    this.#staging ??= new Staging(this, this.host.flash!.open({ path: "nextota" }));
    return this.#staging;
  }

  private fetch(): void {
    const { offer, identity, size } = this.#judged!;
    const staging = this.slot();
    staging.begin(identity, size);
    if (staging.isComplete) return this.onComplete();
    this.#download = new Download(this, staging, anchorsOf(this.#options.trustAnchors));
    this.#download.sources(offer.sources);
    this.#download.online();
  }

  onBlock(done: number, total: number): void {
    this.#job?.progressed();
    if (done % blocksPerReport === 1 || done === total)
      this.#job?.report({ receive: `${done}/${total}` });
  }

  onComplete(): void {
    this.#download = undefined;
    this.event({ type: "fetched" });
  }

  onExpired(): void {
    this.#job?.refresh();
  }

  onFailed(error: AgentError): void {
    this.#download = undefined;
    this.event({ type: "failed", error });
  }

  /** What was read back is what is judged. */
  private verify(): void {
    this.slot().digest(
      digest => this.attempt(() => this.verified(digest)),
      error => this.event({ type: "failed", error }),
    );
  }

  private verified(digest: Uint8Array): void {
    const judged = this.#judged!;
    if (!this.#judge.isImage(judged, digest)) {
      // Another attempt is to begin from nothing.
      this.slot().clear();
      const of = judged.manifest ? "of its manifest" : "that was signed";
      throw new AgentError("ota/signature", `the image is not the one ${of}`);
    }
    const again = triedBefore(this.#record.install, toHex(digest), this.now);
    if (again) throw again;
    judged.digest = digest;
    this.#judge.requireDescribed(judged, this.update.describe() ?? {});
    this.event({ type: "verified" });
  }

  private stop(): void {
    this.#download?.close();
    this.#download = undefined;
    this.#staging?.close();
    this.#staging = undefined;
  }

  // -- into the image --

  /** The cloud knows what comes before the device may be gone for a while. */
  private announce(): void {
    const details = selfTest("ready", this.#options.version);
    this.#job!.report(details, () => {
      if (this.#record.state === "announcing") this.event({ type: "announced" });
    });
  }

  /** The product may want the machine to go on for a while. */
  private ask(): void {
    this.#job!.restart(() => {
      if (this.#record.state === "waiting") this.attempt(() => this.allow());
    });
  }

  /** @throws AgentError "storage/write": nothing is switched that nobody would know of */
  private allow(): void {
    const { id, executionNumber } = this.#job!;
    const { offer, manifest, digest } = this.#judged!;
    // The product may have taken its time.
    if (manifest) this.#judge.requireManifest(manifest);
    this.event({
      type: "allowed",
      install: {
        phase: "switching",
        jobId: id,
        executionNumber,
        slot: this.update.running,
        from: this.#options.version,
        to: manifest?.version ?? "",
        identity: this.#judge.nameOf(offer),
        digest: toHex(digest!),
        minimumVersion: manifest?.minimumVersion ?? "",
        cause: "",
        revertedAt: 0,
        isAfterRevert: this.update.hasReverted,
      },
    });
  }

  private switch(): void {
    this.stop();
    this.attempt(() => {
      this.update.complete();
      this.event({ type: "switched" });
    });
  }

  // -- on trial --

  get isOnTrial(): boolean {
    const { state } = this.#record;
    return state === "trial" || state === "settling";
  }

  get linkTrouble(): string | undefined {
    if (!this.#isAnswered) return "not connected";
    return this.#isAcknowledged ? undefined : "no PUBACK";
  }

  onWell(): void {
    this.event({ type: "well" });
  }

  onUnwell(): void {
    this.event({ type: "unwell" });
  }

  onSettled(): boolean {
    try {
      this.update.confirm();
    } catch (cause) {
      // Still on trial: tried again in a second, until the time is over.
      this.fault("storage/write", "ota: the image cannot be confirmed", cause);
      return false;
    }
    this.#trial?.close();
    this.#trial = undefined;
    this.attempt(() => this.event({ type: "settled" }));
    return true;
  }

  onOverdue(trouble: string): void {
    this.giveUp(trouble);
  }

  private giveUp(cause: string): void {
    this.event({ type: "givenUp", cause });
  }

  private keep(): void {
    // Of an image that came by another way there is no record.
    this.raise(undefined);
    this.#wiring.emit({ type: "firmwareConfirmed", version: this.#options.version });
  }

  private raise(install: Install | undefined): void {
    this.#judge.raise(install?.minimumVersion);
  }

  private revert(): void {
    this.#trial?.close();
    this.#trial = undefined;
    const cause = this.#record.install?.cause ?? "";
    this.#wiring.emit({ type: "firmwareReverted", version: this.#options.version, cause });
    this.#wiring.flushWindows();
    try {
      this.update.revert();
    } catch (error) {
      // Some machines restart by a throw.
      if (!(error instanceof AgentError)) throw error;
      if (error.code === "ota/image") return this.attempt(() => this.stay(cause, error));
      // The next start gives up what is not confirmed.
      this.fault("storage/write", "ota: the image cannot be taken back", error);
      this.host.system.restart();
    }
  }

  /** There is no way back: the only image that runs is kept, so that another one can be taken. @throws AgentError */
  private stay(why: string, { code, message }: AgentError): never {
    this.update.confirm();
    throw new AgentError(code, `${why}, and no way back: ${message}`);
  }

  private succeed(): void {
    const { version } = this.#options;
    const from = this.#record.install?.from ?? "";
    this.end(job => job.succeed({ reason: `accepted v${version}`, updatedBy: `v${from}` }));
  }

  // -- what the parts ask --

  get host(): Host {
    return this.#wiring.host;
  }

  get session(): Session {
    return this.#wiring.session;
  }

  get thingName(): string | undefined {
    return this.#wiring.thingName;
  }

  get now(): number | undefined {
    return this.#wiring.now;
  }

  get timeFloor(): number | undefined {
    return this.#wiring.timeFloor;
  }

  newToken(): string {
    return this.#wiring.newToken();
  }

  enter(work: () => void): void {
    this.#wiring.enter(work);
  }

  fault(code: "storage/damaged" | "storage/write", message: string, cause: unknown): void {
    this.#wiring.emit({ type: "fault", error: new AgentError(code, message, { cause }) });
  }
}
