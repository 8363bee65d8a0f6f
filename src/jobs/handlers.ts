// Handlers that every device has, and what makes one of a function.
import type { Job, JobFunction, JobHandler } from "./job.js";

/** Restarts the machine; the job has succeeded when it is back. */
export const reboot: JobHandler = Object.freeze({
  run(job: Job): void {
    if (job.isRestarted) job.succeed();
    else job.restart();
  },
});

interface Thenable {
  then(onResolved: () => void, onRejected: (reason: unknown) => void): unknown;
}

export class FunctionHandler implements JobHandler {
  readonly #work: JobFunction;

  constructor(work: JobFunction) {
    this.#work = work;
  }

  run(job: Job): void {
    const result = this.#work(job) as Partial<Thenable> | undefined;
    if (typeof result?.then !== "function") return;
    result.then(
      () => job.succeed(),
      reason => job.fail(reasonOf(reason)),
    );
  }
}

/** What was thrown, in a line. */
export function reasonOf(cause: unknown): string {
  if (cause instanceof Error && cause.message) return cause.message;
  return typeof cause === "string" && cause ? cause : "no reason given";
}
