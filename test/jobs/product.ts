// A product whose handler does what the job document says, on whichever engine.
import type { Agent, Job } from "../../src/index.js";

const shape = { do: "string", text: "string" } as const;

/** @param log what the handler has seen */
export function install(agent: Agent, log: (line: string) => void): void {
  agent.jobs.on("work", {
    check: job => (job.read(shape).do === undefined ? "nothing to do" : undefined),
    run: job => {
      const kept = job.kept ? `kept ${job.kept.join()}` : "";
      log(`run ${job.id} ${job.attempt} ${job.isRestarted} ${kept}`.trim());
      perform(job);
    },
    cancel: job => log(`cancel ${job.id}`),
    onDocument: job => {
      log(`document ${job.read(shape).text}`);
      job.succeed();
    },
    offline: job => log(`offline ${job.id}`),
    online: job => log(`online ${job.id}`),
    onMessage: (job, topic, payload) => {
      log(`message ${topic} ${payload.length}`);
      job.succeed({ got: `${payload.length}` });
    },
  });
  agent.jobs.on("later", async () => {
    log("later");
  });
  const settings = agent.settings({
    seconds: { type: "integer", min: 1, max: 60, default: 5 },
    alarm: { type: "group", members: { high: { type: "number", max: 90, default: 50 } } },
  });
  settings.onChange = changed => {
    log(`settings ${Object.keys(changed).join()}`);
    return changed.alarm?.high === 66 ? { alarm: new Error("no horn") } : undefined;
  };
  agent.jobs.gate(job => (job.id === "gated" ? 60 : undefined));
}

function perform(job: Job): void {
  const { do: what, text = "" } = job.read(shape);
  switch (what) {
    case "succeed":
      return job.succeed({ text });
    case "fail":
      return job.fail(text);
    case "throw":
      throw new Error(text);
    case "report":
      return job.report({ text }, () => job.succeed({ text: `${text}!` }));
    case "refresh":
      return job.refresh();
    case "restart":
      if (job.isRestarted) return job.succeed({ kept: job.kept!.join() });
      job.keep(Uint8Array.of(7, 8));
      return job.restart();
  }
}
