// `npm start` as a person has it: the local cloud, one device, and the first thing to try.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { keepRestEndpoint, restListen, shadowCommand } from "../../simulator/rest-endpoint.js";

const main = fileURLToPath(new URL("../../simulator/main.js", import.meta.url));

async function newState(t: ExecutionContext): Promise<string> {
  const state = await mkdtemp(join(tmpdir(), "skerry-start-"));
  t.teardown(() => rm(state, { recursive: true, force: true }));
  return state;
}

function start(t: ExecutionContext, ...options: string[]) {
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

test("the command that is printed changes the running device, on the next start too", async t => {
  const state = await newState(t);
  const first = start(t, "--state", state, "--port", "0", "--rest-port", "0");
  const command = /curl -X POST (\S+\/things\/node-SN-0001\/shadow) -d '(.+)'/;
  const [, url = "", body = ""] = await first.until(command);
  const posted = request(url, { method: "POST", agent: false }).end(body);
  const [response] = await once(posted, "response");
  t.is(response.statusCode, 200);
  response.resume();
  await first.until(/settings changed by the cloud: sampleSeconds=5/);
  await first.until(/reported .*sampleSeconds=5/);
  await first.stop();
  const { origin } = new URL(url);
  t.deepEqual(JSON.parse(await readFile(join(state, "rest.json"), "utf8")), { endpoint: origin });
});

test("the port of the last start is taken again, the default without one", async t => {
  const state = await newState(t);
  t.deepEqual(restListen(state, undefined), { host: "127.0.0.1", port: 8880, orAny: true });
  keepRestEndpoint(state, 4711);
  t.like(restListen(state, undefined), { port: 4711, orAny: true });
  t.true(shadowCommand(state, "node-1").includes(" http://127.0.0.1:4711/things/node-1/shadow "));
  t.deepEqual(restListen(state, 5), { host: "127.0.0.1", port: 5 });
});

for (const text of ["", "{", "null", "[]", '{"endpoint":"http://127.0.0.1"}', '{"endpoint":7}']) {
  test(`${text || "nothing"} in rest.json counts as no port`, async t => {
    const state = await newState(t);
    await writeFile(join(state, "rest.json"), text);
    t.is(restListen(state, undefined).port, 8880);
  });
}
