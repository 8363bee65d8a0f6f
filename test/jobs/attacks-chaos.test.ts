// A service that says anything, well-formed or not, at the same time as handlers and gates that do anything: nothing is asked for
// without a pause, and the next job runs when they come to their senses.
import test from "ava";
import { Random } from "../../simulator/world/random.js";
import type { Agent, Job } from "../../src/index.js";
import type { JobRequest, Said } from "./service.js";
import { Machine } from "./world.js";

const work = { operation: "work" };
const states = ["QUEUED", "IN_PROGRESS", "SUCCEEDED", "CANCELED", "REMOVED", "PAUSED"];
const codes = [
  "ResourceNotFound",
  "TerminalStateReached",
  "InvalidStateTransition",
  "VersionMismatch",
  "InvalidRequest",
  "InvalidJson",
  "RequestThrottled",
  "Weird",
];

class Chaos {
  readonly random: Random;
  readonly machine: Machine;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.machine = new Machine({ seed, program: agent => this.#program(agent) });
  }

  pick<T>(list: readonly T[]): T {
    return list[this.random.below(list.length)]!;
  }

  /** One in so many times. */
  #throws(of: number): void {
    if (this.random.below(of) === 0) throw new Error("chaos");
  }

  #program(agent: Agent): void {
    agent.jobs.on("work", {
      run: job => this.pick(this.#runs)(job),
      onDocument: job => (this.random.below(3) === 0 ? job.refresh() : job.succeed()),
      onNext: () => this.#throws(5),
      cancel: () => this.#throws(3),
    });
    agent.jobs.gate(() => (this.random.below(4) === 0 ? 30 : undefined));
  }

  readonly #runs: readonly ((job: Job) => unknown)[] = [
    job => job.succeed(),
    job => job.fail("no"),
    job => job.refresh(),
    job => job.report({ a: "b" }, () => job.succeed()),
    job => job.restart(() => this.#throws(2)),
    () => this.#throws(1),
    job => this.machine.clock.set(() => job.succeed(), this.random.below(60_000)),
  ];

  #state() {
    return { status: this.pick(states), versionNumber: this.random.below(9) };
  }

  #execution(request: JobRequest) {
    const { jobId, body } = request;
    const document = this.pick([work, { operation: "other" }, null, "x", undefined]);
    return {
      ...this.#state(),
      jobId: this.pick(["a", "b", "none", jobId]),
      executionNumber: this.pick([1, 1, 2, body.executionNumber ?? 1]),
      queuedAt: this.pick([1, 2, "3", undefined]),
      jobDocument: document,
    };
  }

  /** @returns undefined: what is true */
  answer(request: JobRequest): readonly Said[] | undefined {
    const { random } = this;
    if (random.below(3) > 0) return undefined;
    const { clientToken } = request.body;
    const suffix = `${request.jobId}/${request.operation}`;
    const execution = this.#execution(request);
    const executionState = this.pick([undefined, this.#state()]);
    const code = this.pick(codes);
    const said = this.pick<Said>([
      { suffix: `${suffix}/rejected`, body: { clientToken, code, executionState } },
      { suffix: `${suffix}/accepted`, body: { clientToken, execution, executionState } },
      { suffix: `${suffix}/accepted`, body: { clientToken } },
      { suffix: `${suffix}/accepted`, body: "no JSON" },
      { suffix: `${suffix}/accepted`, body: { clientToken: "another" } },
      { suffix: "notify-next", body: { execution } },
    ]);
    if (random.below(4) === 0) this.machine.service.cutLink();
    return random.below(10) === 0 ? [said, said] : [said];
  }
}

for (const first of [1, 11, 21])
  test(`the next job runs, whatever service and handlers have done: seeds from ${first}`, async t => {
    for (let seed = first; seed < first + 10; seed++) {
      const chaos = new Chaos(seed);
      const { world, service } = chaos.machine;
      service.answer = request => chaos.answer(request);
      service.delayMs = 50;
      service.create("a", work);
      service.create("b", work);
      await world.run(3_600_000);
      t.true(service.requests.length < 2000, `${seed}: ${service.requests.length} requests`);
      service.answer = () => undefined;
      service.cutLink();
      service.create("last", work);
      await world.run(7_200_000);
      t.regex(service.status("last"), /^(SUCCEEDED|FAILED)$/, `${seed}: ${service.status("last")}`);
      const faults = world.faults.filter(fault => fault.startsWith("agent/"));
      const others = faults.filter(fault => !/(onNext|cancel) threw$/.test(fault));
      t.deepEqual(others, [], `${seed}`);
    }
  });
