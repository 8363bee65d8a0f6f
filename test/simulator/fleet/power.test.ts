// A host whose power is switched off: nothing that was opened with it is heard of again.
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { createHost } from "../../../hosts/node/host.js";
import { poweredHost } from "../../../simulator/fleet/power.js";
import { VirtualClock } from "../../../simulator/world/clock.js";

function hostIn(t: ExecutionContext) {
  const directory = mkdtempSync(join(tmpdir(), "skerry-power-"));
  t.teardown(() => rmSync(directory, { recursive: true }));
  return createHost({ directory, id: "board-1" });
}

test("timers that were set are not due any more, and none is set", async t => {
  const clock = new VirtualClock();
  const power = poweredHost({ ...hostIn(t), timer: clock });
  const { timer } = power.host;
  const due: string[] = [];
  const note = (what: string) => () => void due.push(what);
  timer.set(note("once"), 5);
  timer.repeat(note("again"), 10);
  timer.clear(timer.set(note("cleared"), 5));
  await clock.run(20);
  t.deepEqual(due.splice(0), ["once", "again", "again"]);
  timer.set(note("late"), 1);
  power.off();
  timer.set(note("after"), 0);
  timer.clear(timer.repeat(note("after"), 1));
  timer.repeat(note("after"), 1);
  await clock.run(100);
  t.deepEqual(due, []);
});

test("links, stores and flash are closed, and none is opened", async t => {
  const power = poweredHost(hostIn(t));
  const { host } = power;
  const server = createServer().listen(0, "127.0.0.1");
  t.teardown(() => server.close());
  await once(server, "listening");
  const { port } = server.address() as { readonly port: number };
  const client = { clientCertificates: [], clientKey: new Uint8Array(0) };
  const secure = { ...client, trustAnchors: [], now: 0 };
  const dial = () =>
    new host.tls.io({
      ...{ address: "127.0.0.1", host: "localhost", port, secure },
      onError: () => t.fail("a program that is off is told of its link"),
    });
  const accepted = once(server, "connection");
  dial();
  const [link] = await accepted;
  const ended = once(link, "close");
  const store = host.keyValue.open({ path: "a" });
  store.write("key", new Uint8Array(1));
  const flash = host.flash!.open({ path: "outbox", mode: "r+" });
  power.off();
  power.off();
  await power.isOff;
  t.false(power.isOn);
  await ended;
  t.throws(() => store.read("key"));
  t.throws(() => flash.read(1, 0));
  for (const open of [
    dial,
    () => host.keyValue.open({ path: "a" }),
    () => host.flash!.open({ path: "outbox", mode: "r" }),
    () => new host.dns.io({} as never),
  ]) {
    t.throws(open, { message: "the power is off" });
  }
});
