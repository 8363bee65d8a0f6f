// Every fault of the network in memory, looked at from both ends of one link.
import test from "ava";
import { VirtualClock } from "../../../simulator/world/clock.js";
import { bothWays, dark, type LinkFaults } from "../../../simulator/world/faults.js";
import { Network, type ServerLink } from "../../../simulator/world/network.js";
import { Power } from "../../../simulator/world/power.js";
import { Random } from "../../../simulator/world/random.js";

const secure = {
  trustAnchors: [],
  clientCertificates: [Uint8Array.of(1)],
  clientKey: Uint8Array.of(1),
  now: 0,
};

/** One dial; what both ends see, each piece with its time. */
function dial(faults: LinkFaults = {}, seed = 1) {
  const clock = new VirtualClock();
  const server = { pieces: [] as [at: number, text: string][], closedAt: 0 };
  const device = { pieces: [] as [at: number, text: string][], openedAt: 0, brokenAt: 0, room: 0 };
  let link: ServerLink | undefined;
  const network = new Network(
    clock,
    accepted => {
      link = accepted;
      return {
        receive: bytes => server.pieces.push([clock.ticks(), String(Buffer.from(bytes))]),
        closed: () => {
          server.closedAt = clock.ticks();
        },
      };
    },
    new Random(seed),
  );
  network.faults = faults;
  const { socket: Socket } = network.classes(new Power());
  const socket = new Socket({
    address: "127.0.0.1",
    host: "cloud.test",
    port: 8883,
    secure,
    onWritable: room => {
      device.openedAt ||= clock.ticks();
      device.room = room;
    },
    onReadable: () => {
      device.pieces.push([clock.ticks(), String(Buffer.from(socket.read()!))]);
    },
    onError: () => {
      device.brokenAt = clock.ticks();
    },
  });
  const send = (text: string) => socket.write(Buffer.from(text));
  const reply = (text: string) => link!.write(Buffer.from(text));
  return { clock, network, socket, server, device, send, reply, close: () => link!.close() };
}

const textOf = (pieces: readonly [number, string][]) => pieces.map(([, text]) => text).join("");

test("without a fault: two round trips to open, one way for each piece", async t => {
  const { clock, send, reply, server, device } = dial();
  await clock.run(1000);
  t.is(device.openedAt, 100);
  send("question");
  await clock.run(50);
  reply("answer");
  await clock.run(1000);
  t.deepEqual(server.pieces, [[1025, "question"]]);
  t.deepEqual(device.pieces, [[1075, "answer"]]);
});

test("delay and jitter are of one direction, seeded, and keep the order", async t => {
  const run = async (seed: number) => {
    const { clock, send, server } = dial({ toServer: { delayMs: 200, jitterMs: 100 } }, seed);
    await clock.run(1000);
    for (const text of "abcdefgh") send(text);
    await clock.run(1000);
    t.is(textOf(server.pieces), "abcdefgh");
    const waits = server.pieces.map(([at]) => at - 1000);
    t.true(waits.every(wait => wait >= 225 && wait <= 325));
    return waits;
  };
  t.deepEqual(await run(7), await run(7));
  t.notDeepEqual(await run(7), await run(8));
});

test("a slow line takes its time for every byte, and for a handshake too", async t => {
  const { clock, network, send, server, device } = dial();
  await clock.run(1000);
  network.faults = bothWays({ bytesPerSecond: 1 });
  send("abc");
  await clock.run(10_000);
  t.deepEqual(server.pieces, [
    [2025, "a"],
    [3025, "b"],
    [4025, "c"],
  ]);
  t.is(device.room, 4096);
  const next = dial(bothWays({ bytesPerSecond: 1000 }));
  await next.clock.run(10_000);
  t.is(next.device.openedAt, 3350);
});

test("segments: each byte, random sizes, the dozen; nothing is lost or out of order", async t => {
  const text = "The quick brown fox jumps over the lazy dog. ".repeat(4);
  for (const [segments, least, most] of [
    ["bytes", text.length, text.length],
    ["random", 12, text.length],
    ["dozen", 3, 4],
  ] as const) {
    const { clock, send, server } = dial({ toServer: { segments } });
    await clock.run(1000);
    for (const word of text.split(/(?<= )/)) send(word);
    await clock.run(5000);
    t.is(textOf(server.pieces), text, segments);
    const { length } = server.pieces;
    t.true(length >= least && length <= most, `${segments}: ${length} pieces`);
  }
});

test("a link breaks after so many bytes, or so long after it was opened; both ends hear", async t => {
  const counted = dial({ toServer: { resetAfterBytes: 255 } });
  await counted.clock.run(1000);
  counted.send("abc");
  counted.send("de");
  counted.send("f");
  await counted.clock.run(1000);
  t.is(textOf(counted.server.pieces), "abcde");
  t.is(counted.device.brokenAt, 1025);
  t.is(counted.server.closedAt, 1050);
  const inHandshake = dial({ toDevice: { resetAfterBytes: 1000 } });
  await inHandshake.clock.run(1000);
  t.is(inHandshake.device.openedAt, 0);
  t.is(inHandshake.device.brokenAt, 100);
  const timed = dial({ resetAfterMs: 5000 });
  await timed.clock.run(10_000);
  t.is(timed.device.brokenAt, 5000);
});

test("a black hole swallows from a moment on, in one direction or both; that stream never comes back", async t => {
  const { clock, network, send, reply, server, device, socket } = dial();
  await clock.run(1000);
  network.faults = { toServer: { swallows: true } };
  send("lost");
  reply("heard");
  await clock.run(1000);
  t.deepEqual(server.pieces, []);
  t.is(textOf(device.pieces), "heard");
  network.faults = {};
  send("after");
  reply("heard too");
  await clock.run(1000);
  t.deepEqual(server.pieces, []);
  t.is(textOf(device.pieces), "heardheard too");
  socket.close();
  await clock.run(1000);
  t.is(server.closedAt, 0, "nor does the server hear of the end");
});

test("a dial is refused, or never heard of again", async t => {
  const refused = dial({ dial: "refused" });
  await refused.clock.run(60_000);
  t.is(refused.device.brokenAt, 100);
  const silent = dial(dark);
  await silent.clock.run(60_000);
  t.deepEqual([silent.device.openedAt, silent.device.brokenAt], [0, 0]);
  t.is(silent.network.open, 1);
  silent.socket.close();
  t.is(silent.network.open, 0);
});

test("what the device wrote before it closed arrives; what was under way when the link broke does not", async t => {
  const closed = dial();
  await closed.clock.run(1000);
  closed.send("last words");
  closed.socket.close();
  await closed.clock.run(1000);
  t.is(textOf(closed.server.pieces), "last words");
  t.is(closed.server.closedAt, 1025);
  const cut = dial();
  await cut.clock.run(1000);
  cut.send("lost");
  cut.network.cutAll();
  await cut.clock.run(1000);
  t.deepEqual(cut.server.pieces, []);
  t.is(cut.device.brokenAt, 1000);
});

test("names: found in order, absent, failed, silent", async t => {
  const clock = new VirtualClock();
  const network = new Network(clock, () => ({ receive: () => {}, closed: () => {} }));
  const { resolver: Resolver } = network.classes(new Power());
  const ask = async () => {
    const heard: unknown[] = [];
    const resolver = new Resolver({});
    resolver.resolve({
      host: "cloud.test",
      onResolved: (_, address, others) => heard.push(address, ...(others ?? [])),
      onError: (_, error) => heard.push((error as Error).message.split(":")[0]),
    });
    await clock.run(60_000);
    resolver.close();
    return heard;
  };
  t.deepEqual(await ask(), ["127.0.0.1"]);
  network.names = { addresses: ["10.0.0.1", "10.0.0.2"] };
  t.deepEqual(await ask(), ["10.0.0.1", "10.0.0.2"]);
  network.names = { fate: "absent" };
  t.deepEqual(await ask(), ["NXDOMAIN"]);
  network.names = { fate: "failed" };
  t.deepEqual(await ask(), ["SERVFAIL"]);
  network.names = { fate: "silent" };
  t.deepEqual(await ask(), []);
});
