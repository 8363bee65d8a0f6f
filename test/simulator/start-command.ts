// The command line as a person starts it: what it says, and how it ends.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { ExecutionContext } from "ava";

export const main = fileURLToPath(new URL("../../simulator/main.js", import.meta.url));

/** On no port that another test could want. */
export const anyPort: readonly string[] = [
  "--port",
  "--rest-port",
  "--objects-port",
  "--downloads-port",
].flatMap(name => [name, "0"]);

export function start(t: ExecutionContext, ...options: string[]) {
  const child = spawn(process.execPath, [main, ...options], { stdio: ["ignore", "pipe", "pipe"] });
  t.teardown(() => child.kill("SIGKILL"));
  let out = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", text => {
      out += text;
      child.emit("said");
    });
  }
  // Kept from the beginning: it may end at any time, and nobody waits for what is not coming any more.
  const closed = once(child, "close");
  const until = async (pattern: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const found = pattern.exec(out);
      if (found !== null) return found;
      const said = once(child, "said", { signal: AbortSignal.timeout(30_000) });
      const ended = closed.then(([code]) => Promise.reject(new Error(`ended: ${code}`)));
      await Promise.race([said, ended]).catch(cause => {
        throw new Error(`${pattern} was not said: ${out}`, { cause });
      });
    }
  };
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    t.deepEqual(await closed, [0, null]);
  };
  return { until, stop };
}
