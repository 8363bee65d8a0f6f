// The faults on real sockets of this machine, and as words on the command line.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { applyWords } from "../../simulator/world/fault-words.js";
import { bothWays, dark, type LinkFaults } from "../../simulator/world/faults.js";
import { FaultProxy } from "../../simulator/world/proxy.js";

/** A server that says everything back, a proxy in front of it. */
async function open(t: ExecutionContext, faults: LinkFaults = {}) {
  const accepted: Socket[] = [];
  const server = createServer(socket => {
    accepted.push(socket);
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxy = await FaultProxy.listen({ to: (server.address() as AddressInfo).port });
  proxy.faults = faults;
  t.teardown(async () => {
    await proxy.close();
    for (const socket of accepted) socket.destroy();
    server.close();
  });
  return { proxy, accepted };
}

interface Device {
  readonly socket: Socket;
  readonly pieces: Buffer[];
  /** How the link ended: "end" in good order, or the error's code. */
  readonly ended: Promise<string>;
  until(isDone: (text: string) => boolean): Promise<string>;
}

function dial(t: ExecutionContext, { port }: { readonly port: number }): Device {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  t.teardown(() => socket.destroy());
  const pieces: Buffer[] = [];
  const text = () => String(Buffer.concat(pieces));
  socket.on("data", piece => pieces.push(piece));
  const ended = new Promise<string>(resolve => {
    socket.once("error", error => resolve((error as NodeJS.ErrnoException).code ?? "error"));
    socket.once("end", () => resolve("end"));
  });
  return {
    socket,
    pieces,
    ended,
    until: async isDone => {
      while (!isDone(text())) {
        await once(socket, "data", { signal: AbortSignal.timeout(20_000) });
      }
      return text();
    },
  };
}

const nextTurn = () => new Promise(setImmediate);

async function until(isDone: () => boolean): Promise<void> {
  while (!isDone()) await nextTurn();
}

test("without a fault all passes, both ways, to the end; nothing stays open", async t => {
  const { proxy } = await open(t);
  const device = dial(t, proxy);
  const text = "0123456789".repeat(100_000);
  device.socket.end(text);
  t.is(await device.until(heard => heard.length === text.length), text);
  t.is(await device.ended, "end");
  await once(device.socket, "close");
  await until(() => proxy.open === 0);
  t.is(proxy.dialed, 1);
});

test("split, gathered and jittered, the bytes are the same", async t => {
  const text = "The quick brown fox jumps over the lazy dog. ".repeat(20);
  for (const faults of [
    bothWays({ segments: "bytes" }),
    bothWays({ segments: "random", jitterMs: 3 }),
    bothWays({ segments: "dozen" }),
    bothWays({ delayMs: 5, bytesPerSecond: 20_000 }),
  ] as const) {
    const { proxy } = await open(t, faults);
    const device = dial(t, proxy);
    for (const word of text.split(/(?<= )/)) device.socket.write(word);
    t.is(await device.until(heard => heard.length === text.length), text);
  }
});

test("a slow line takes its time", async t => {
  const { proxy } = await open(t, { toServer: { bytesPerSecond: 100 } });
  const device = dial(t, proxy);
  const startedAt = performance.now();
  device.socket.write("0123456789".repeat(5));
  await device.until(heard => heard.length === 50);
  t.true(performance.now() - startedAt >= 480);
});

test("links are refused, cut, and reset after so many bytes or so long", async t => {
  const { proxy } = await open(t, { dial: "refused" });
  t.is(await dial(t, proxy).ended, "ECONNRESET");
  proxy.faults = {};
  const cut = dial(t, proxy);
  cut.socket.write("x");
  await cut.until(heard => heard === "x");
  proxy.cutAll();
  t.is(await cut.ended, "ECONNRESET");
  t.is(proxy.open, 0);
  proxy.faults = { toDevice: { segments: "bytes", resetAfterBytes: 5 } };
  const counted = dial(t, proxy);
  counted.socket.write("0123456789");
  t.is(await counted.ended, "ECONNRESET");
  t.true(Buffer.concat(counted.pieces).length <= 5);
  proxy.faults = { resetAfterMs: 20 };
  t.is(await dial(t, proxy).ended, "ECONNRESET");
});

test("a black hole takes all and says nothing, of a link that is there and of one that is asked for", async t => {
  const { proxy, accepted } = await open(t);
  const device = dial(t, proxy);
  device.socket.write("heard ");
  await device.until(heard => heard === "heard ");
  proxy.faults = dark;
  device.socket.write("lost ");
  const late = dial(t, proxy);
  late.socket.write("lost too");
  await until(() => proxy.dialed === 2);
  // What was written before has been there for a whole turn.
  await nextTurn();
  await nextTurn();
  proxy.faults = {};
  const next = dial(t, proxy);
  next.socket.write("heard again");
  await next.until(heard => heard === "heard again");
  device.socket.write("lost as well");
  t.is(accepted.length, 2);
  t.is(String(Buffer.concat(device.pieces)), "heard ");
  t.is(late.pieces.length, 0);
});

test("words: each says one thing, in one direction or both; others are refused with the list", t => {
  const say = (...lines: string[]) =>
    lines.reduce<LinkFaults>((faults, line) => applyWords(faults, line) as LinkFaults, {});
  t.deepEqual(say("rate 1 up", "delay 200 50"), {
    toServer: { bytesPerSecond: 1, delayMs: 200, jitterMs: 50 },
    toDevice: { delayMs: 200, jitterMs: 50 },
  });
  t.deepEqual(say("black-hole down"), { toDevice: { swallows: true } });
  t.deepEqual(say("split", "split random up", "merge down"), {
    toServer: { segments: "random" },
    toDevice: { segments: "dozen" },
  });
  t.deepEqual(say("reset-after 500", "refuse"), {
    dial: "refused",
    ...bothWays({ resetAfterBytes: 500 }),
  });
  t.deepEqual(say("refuse", "silent").dial, "silent");
  t.is(say("dark"), dark);
  t.deepEqual(say("dark", "open"), {});
  t.is(applyWords({}, " cut "), "cut");
  for (const line of [
    "",
    "cut off",
    "rate",
    "rate 0",
    "rate x",
    "rate 1 2",
    "split 3",
    "open up",
  ]) {
    t.throws(() => applyWords({}, line), { message: /is no fault; they are:/ }, line);
  }
});

test("from the command line: it names its port, takes words, and ends when told", async t => {
  const { proxy: target } = await open(t);
  const main = fileURLToPath(new URL("../../simulator/main.js", import.meta.url));
  const child = spawn(process.execPath, [main, "proxy", "--to", String(target.port)]);
  t.teardown(() => child.kill("SIGKILL"));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { value: first } = (await lines.next()) as { value: string };
  const port = Number(/127\.0\.0\.1:(\d+), on to port (\d+)/.exec(first)?.[1]);
  const device = dial(t, { port });
  device.socket.write("x");
  await device.until(heard => heard === "x");
  child.stdin.write("nonsense\n\nsplit\ncut\n");
  t.is((await lines.next()).value, '"nonsense" is no fault; they are:');
  let line = "";
  while (!line.startsWith("split:")) line = (await lines.next()).value as string;
  t.is(line, 'split: 1 links, {"toServer":{"segments":"bytes"},"toDevice":{"segments":"bytes"}}');
  t.is(await device.ended, "ECONNRESET");
  child.kill("SIGINT");
  const [code] = await once(child, "exit");
  t.is(code, 0);
});
