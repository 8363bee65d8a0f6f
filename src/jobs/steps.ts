// The steps of a managed template, one after the other: each is a job to the handler of its action's name.
import { type Read, readJson, type Shape } from "../codec/json.js";
import { AgentError } from "../errors.js";
import { limits } from "../limits.js";
import { concat } from "../util/bytes.js";
import { type Action, operationOf } from "./documents.js";
import { reasonOf } from "./handlers.js";
import type { Job, JobHandler, StatusDetails } from "./job.js";

const nothing = new Uint8Array(0);

export class Steps implements JobHandler {
  readonly #actions: readonly Action[];
  readonly #find: (operation: string) => JobHandler | undefined;
  #step: Step | undefined;

  constructor(actions: readonly Action[], find: (operation: string) => JobHandler | undefined) {
    this.#actions = actions;
    this.#find = find;
  }

  /** For `named`: what is known of the steps when there is no document any more. */
  get names(): string {
    return this.#actions.map(operationOf).join("\n");
  }

  static named(names: string, find: (operation: string) => JobHandler | undefined): Steps {
    const action = { type: "", ignoresFailure: false, text: nothing };
    return new Steps(
      names.split("\n").map(name => ({ ...action, name })),
      find,
    );
  }

  check(job: Job): string | undefined {
    for (const [index, action] of this.#actions.entries()) {
      const handler = this.#find(operationOf(action));
      if (!handler) return `not honoured on this device: ${action.name}`;
      const fault = handler.check?.(new Step(this, job, index, action));
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  /** What is kept says which step it was. */
  run(job: Job): void {
    this.perform(job, job.kept?.[0] ?? 0);
  }

  private perform(job: Job, index: number): void {
    const action = this.#actions[index];
    if (!action) return job.succeed();
    const handler = this.#find(operationOf(action));
    if (!handler) return job.fail(`not honoured on this device: ${action.name}`);
    const step = new Step(this, job, index, action);
    this.#step = step;
    try {
      handler.run(step);
    } catch (cause) {
      step.fail(reasonOf(cause));
    }
  }

  /** The step has come to its end; another one's is none. */
  ended(step: Step, reason: string | undefined, details: StatusDetails | undefined): void {
    if (step !== this.#step) return;
    this.#step = undefined;
    const { job, index, action } = step;
    if (reason !== undefined && !action.ignoresFailure)
      return job.fail(`${action.name}: ${reason}`, details);
    if (index + 1 >= this.#actions.length) return job.succeed(details);
    try {
      job.keep(Uint8Array.of(index + 1, 0));
    } catch (cause) {
      return job.fail(reasonOf(cause));
    }
    job.progressed();
    this.perform(job, index + 1);
  }

  /** What is kept says which step it was, after a restart as well. */
  cancel(job: Job): void {
    const index = job.kept?.[0] ?? 0;
    const action = this.#actions[index];
    if (action) this.#step ??= new Step(this, job, index, action);
    this.with((handler, step) => handler.cancel?.(step));
    this.#step = undefined;
  }

  online(_: Job): void {
    this.with((handler, step) => handler.online?.(step));
  }

  offline(_: Job): void {
    this.with((handler, step) => handler.offline?.(step));
  }

  onMessage(_: Job, topic: string, payload: Uint8Array): void {
    this.with((handler, step) => handler.onMessage?.(step, topic, payload));
  }

  /** The action in force was read when the job began: its text does not change. */
  onDocument(_: Job): void {
    this.with((handler, step) => handler.onDocument?.(step));
  }

  private with(work: (handler: JobHandler, step: Step) => void): void {
    const step = this.#step;
    const handler = step && this.#find(operationOf(step.action));
    if (step && handler) work(handler, step);
  }
}

class Step implements Job {
  readonly #steps: Steps;
  readonly job: Job;
  readonly index: number;
  readonly action: Action;
  #isLeaving = false;

  constructor(steps: Steps, job: Job, index: number, action: Action) {
    this.#steps = steps;
    this.job = job;
    this.index = index;
    this.action = action;
  }

  get id(): string {
    return this.job.id;
  }

  get operation(): string {
    return operationOf(this.action);
  }

  get executionNumber(): number {
    return this.job.executionNumber;
  }

  get attempt(): number {
    return this.job.attempt;
  }

  /** Of this step: the second byte of what is kept says that it has asked for a restart. */
  get isRestarted(): boolean {
    const { kept, isRestarted } = this.job;
    return isRestarted && kept?.[0] === this.index && kept[1] === 1;
  }

  get document(): Uint8Array {
    return this.action.text;
  }

  read<S extends Shape>(shape: S): Read<S> {
    return readJson(this.document, shape, "job document");
  }

  get statusDetails(): ReadonlyMap<string, string> {
    return this.job.statusDetails;
  }

  get secondsLeft(): number | undefined {
    return this.job.secondsLeft;
  }

  get kept(): Uint8Array | undefined {
    const { kept } = this.job;
    return kept?.[0] === this.index && kept.length > 2 ? kept.subarray(2) : undefined;
  }

  keep(state: Uint8Array): void {
    if (state.length > limits.jobKeptBytes - 2)
      throw new AgentError(
        "agent/options",
        `job: ${state.length} bytes are to be kept, at most ${limits.jobKeptBytes - 2} in a step`,
      );
    const { kept } = this.job;
    const restarts = kept?.[0] === this.index ? kept[1]! : 0;
    this.job.keep(concat([Uint8Array.of(this.index, restarts), state]));
  }

  progressed(): void {
    this.job.progressed();
  }

  report(details: StatusDetails, onReported?: () => void): void {
    this.job.report(details, onReported);
  }

  succeed(details?: StatusDetails): void {
    if (!this.#isLeaving) this.#steps.ended(this, undefined, details);
  }

  fail(reason: string, details?: StatusDetails): void {
    this.#steps.ended(this, reason, details);
  }

  reject(reason: string, details?: StatusDetails): void {
    this.#steps.ended(this, reason, details);
  }

  restart(prepare?: () => void): void {
    this.#isLeaving = true;
    try {
      this.job.keep(concat([Uint8Array.of(this.index, 1), this.kept ?? nothing]));
      this.job.restart(prepare && (() => this.prepare(prepare)));
    } catch (cause) {
      this.fail(reasonOf(cause));
    }
  }

  /** A throw ends the job, whatever its action says of failures: nobody goes on with it any more. */
  private prepare(prepare: () => void): void {
    try {
      prepare();
    } catch (cause) {
      throw new Error(`${this.action.name}: ${reasonOf(cause)}`);
    }
  }

  refresh(): void {
    this.job.refresh();
  }
}
