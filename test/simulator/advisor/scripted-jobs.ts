// How a scripted device does jobs: well, or with one habit that is wrong.

export type JobHabit =
  | "good"
  /** SUCCEEDED without IN_PROGRESS before: allowed. */
  | "direct"
  /** The queue is never read, only what is told of it. */
  | "hints"
  /** Subscribes to nothing of jobs and asks for none. */
  | "none"
  /** Reads its jobs and says nothing. */
  | "silent"
  | "fails"
  /** IN_PROGRESS for ever. */
  | "never ends"
  | "does anything"
  | "fails at what it does not know"
  /** Leaves what it does not know at the head of the queue. */
  | "passes over"
  /** Goes on waiting for what was cancelled. */
  | "deaf";

interface Execution {
  readonly jobId: string;
  readonly versionNumber: number;
  readonly jobDocument: { readonly operation?: string };
}

export interface JobWires {
  publish(topic: string, value: object): void;
  after(delayMs: number, work: () => void): void;
}

const prefix = "$aws/things/scripted/jobs/";
const workMs = 1000;

export class ScriptedJobs {
  readonly filters: readonly string[];
  readonly #habit: JobHabit;
  readonly #wires: JobWires;
  #running: string | undefined;
  /** The last status that was published. */
  #told = "";

  constructor(habit: JobHabit, wires: JobWires) {
    this.#habit = habit;
    this.#wires = wires;
    this.filters = habit === "none" ? [] : [`${prefix}notify-next`];
  }

  online(): void {
    this.#running = undefined;
    if (this.#habit !== "hints" && this.#habit !== "none") this.#read();
  }

  #read(): void {
    this.#wires.publish(`${prefix}$next/get`, {});
  }

  #update(jobId: string, status: string): void {
    this.#told = status;
    this.#wires.publish(`${prefix}${jobId}/update`, { status });
  }

  received(topic: string, text: string): void {
    if (!topic.startsWith(prefix)) return;
    const suffix = topic.slice(prefix.length);
    if (suffix === "notify-next" || suffix === "$next/get/accepted") {
      const { execution } = JSON.parse(text) as { execution?: Execution };
      if (execution) this.#take(execution);
    } else if (/\/update\/(accepted|rejected)$/.test(suffix)) {
      const isRefused = suffix.endsWith("rejected");
      if (isRefused ? this.#habit !== "deaf" : this.#told !== "IN_PROGRESS") this.#over();
    }
  }

  #over(): void {
    this.#running = undefined;
    if (this.#habit !== "hints") this.#read();
  }

  #take({ jobId, jobDocument }: Execution): void {
    const habit = this.#habit;
    if (habit === "silent" || jobId === this.#running) return;
    if (habit === "deaf" && this.#running !== undefined) return;
    this.#running = jobId;
    const isKnown = jobDocument.operation === "blink" || habit === "does anything";
    if (!isKnown) {
      if (habit === "passes over") return;
      const isPlain = habit === "fails at what it does not know";
      return this.#update(jobId, isPlain ? "FAILED" : "REJECTED");
    }
    if (habit === "direct") return this.#update(jobId, "SUCCEEDED");
    this.#update(jobId, "IN_PROGRESS");
    if (habit === "never ends") return;
    const status = habit === "fails" ? "FAILED" : "SUCCEEDED";
    this.#wires.after(workMs, () => this.#running === jobId && this.#update(jobId, status));
  }
}
