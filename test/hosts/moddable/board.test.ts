// The ESP32's own modules over stand-ins of the SDK: what no desktop runs, runs here before it runs on a board.
import { register } from "node:module";
import test from "ava";
import type { Network } from "../../../hosts/moddable/network/keeper.js";
import type {
  Clock,
  Crypto,
  FlashProvider,
  KeyValue,
  KeyValueProvider,
  Resolver,
  Retained,
  Timer,
  Update,
} from "../../../src/host.js";
import { board, config, freshBoard } from "./board/fakes.js";

register(new URL("board/hooks.js", import.meta.url));

const folder = new URL("../../../hosts/moddable/esp32/", import.meta.url);
const load = <Module>(name: string) =>
  import(new URL(`${name}.js`, folder).href) as Promise<Module>;
freshBoard();
const { openNetwork } = await load<{
  openNetwork(parts: {
    clock: Clock;
    timer: Timer;
    crypto: Crypto;
    keyValue: KeyValueProvider;
  }): Network;
}>("network");
const { openDomain } = await load<{ openDomain(path: string): KeyValue }>("storage");
const { openPartition } = await load<{ openPartition(path: string, mode: "r"): object }>("flash");
interface Machine {
  prepare(): void;
  fillRandom(buffer: ArrayBuffer): void;
  sleep(delayMs: number): void;
  readonly retained: Retained;
  resetReason(): string | undefined;
  freeHeapBytes(): number;
  boardId(): string;
}
const machine = await load<Machine>("machine");
const { openUpdate } = await load<{ openUpdate(flash: FlashProvider): { update?: Update } }>(
  "update",
);

const parts = {
  clock: { ticks: () => board.now, now: () => undefined },
  timer: {
    set: (work: () => void, delayMs: number) => board.later(delayMs, work),
    repeat: () => ({}),
    clear: (timer: object | undefined) => board.clear(timer),
  },
  keyValue: { open: ({ path }: { readonly path: string }) => openDomain(path) },
  crypto: { random: (count: number) => new Uint8Array(count).fill(128) } as unknown as Crypto,
};

/** 2027-01-15T08:00:00Z. */
const seconds = 1_800_000_000;

function answer(question: Uint8Array): Uint8Array {
  const packet = new Uint8Array(48);
  packet.set([(4 << 3) | 4, 1]);
  packet.set(question.subarray(40), 24);
  new DataView(packet.buffer).setUint32(40, seconds + 2_208_988_800);
  return packet;
}

function start(settings: Record<string, unknown>): Network {
  freshBoard();
  Object.assign(config, settings);
  return openNetwork(parts);
}

const home = { ssid: "home", password: "password" };
const lastLine = () => board.lines.at(-1);

test.serial(
  "a build with a Wi-Fi joins it, and has the time from the first server that answers",
  t => {
    const network = start({ ...home, sntp: "pool.ntp.org" });
    // Reasons are listened for before the SDK listens, DHCP is asked before it begins.
    t.deepEqual(board.calls, [
      "watch",
      "radio",
      "ask DHCP for the time server",
      "connect home password",
    ]);
    board.wifi!.event("connected");
    t.is(lastLine(), 'skerry: network: in Wi-Fi "home", asks for an address');
    board.names["time.aws.com"] = "192.0.2.2";
    board.onDatagram = (question, address) =>
      address === "192.0.2.2" ? answer(question) : undefined;
    board.wifi!.event("address", "10.0.0.7");
    board.pass(1000);
    t.is(board.clock, seconds);
    t.deepEqual(network.status, { type: "online", address: "10.0.0.7", server: "time.aws.com" });
    t.is(lastLine(), "skerry: network: address 10.0.0.7, time from time.aws.com");
  },
);

test.serial(
  "the network's own time server is asked first, and all the servers of the product",
  t => {
    const asked: string[] = [];
    start({ ...home, sntp: ["a.test", "b.test"] });
    Object.assign(board.names, { "a.test": "192.0.2.1", "b.test": "192.0.2.2" });
    board.dhcpTimeServer = "10.0.0.1";
    board.onDatagram = (_question, address) => {
      asked.push(address);
      return undefined;
    };
    board.wifi!.event("address", "10.0.0.7");
    board.pass(20_000);
    t.deepEqual([...new Set(asked)], ["10.0.0.1", "192.0.2.1", "192.0.2.2"]);
    t.regex(
      lastLine()!,
      /no time server answers \(asked: 10\.0\.0\.1, a\.test, b\.test\).*again in/,
    );
  },
);

test.serial("a wrong password is told in words, and tried again for ever", t => {
  const network = start(home);
  for (let i = 0; i < 20; i++) {
    board.wifi!.event("disconnected", 15);
    t.is(network.status.type, "waiting");
    t.regex(lastLine()!, /does not take the password \(reason 15\).*again in/);
    for (let ms = 0; ms < 300_000 && network.status.type === "waiting"; ms += 1000)
      board.pass(1000);
  }
  t.is(board.calls.filter(call => call.startsWith("connect")).length, 21);
});

test.serial("what comes of our own leaving is no loss of what is joined next", t => {
  const network = start(home);
  board.wifi!.event("address", "10.0.0.7");
  network.start({ ssid: "other" });
  t.deepEqual(board.calls.slice(-2), ["disconnect", "connect other open"]);
  board.wifi!.event("disconnected", 8);
  t.is(network.status.type, "joining");
  board.wifi!.event("address", "10.0.0.9");
  // An access point that goes says the same.
  board.wifi!.event("disconnected", 8);
  t.is(network.status.type, "waiting");
});

test.serial("a radio that says nothing any more is asked again", t => {
  start(home);
  board.pass(200_000);
  const joins = board.calls.filter(call => call.startsWith("connect")).length;
  t.true(joins >= 4 && joins <= 7, `${joins} joins`);
});

test.serial("a build without a Wi-Fi leaves the radio alone, and keeps nobody waiting", t => {
  const network = start({});
  let went = false;
  network.whenAddressed(
    () => {
      went = true;
    },
    error => t.fail(error.message),
  );
  t.true(went);
  t.deepEqual(board.calls, []);
});

test.serial("a Wi-Fi that cannot be one is told on the console; the firmware starts", t => {
  const network = start({ ssid: "home", password: "short" });
  t.is(network.status.type, "off");
  t.regex(lastLine()!, /skerry: network: .*password has 5 bytes, WPA takes 8 to 63/);
});

test.serial(
  "a Wi-Fi that was told to keep is joined after a restart; what cannot be read is told, and the build's own joined",
  t => {
    const network = start(home);
    network.keep({ ssid: "site", password: "other password" });
    t.is(board.calls.at(-1), "connect site other password");
    const { values } = board;

    freshBoard();
    board.values = values;
    Object.assign(config, home);
    openNetwork(parts);
    t.is(board.calls.at(-1), "connect site other password");

    freshBoard();
    board.values = values;
    board.faults.read = "ESP_ERR_NVS_INVALID_STATE";
    Object.assign(config, home);
    openNetwork(parts);
    t.regex(board.lines[0]!, /skerry: network: .*it is damaged/);
    t.is(board.calls.at(-1), "connect home password");
  },
);

test.serial(
  "a name is asked for when there is a network to ask, and the answer is why there is none",
  async t => {
    const { NativeResolver } = (await import(new URL("../dns.js", folder).href)) as {
      NativeResolver: new (options: object) => Resolver;
    };
    const network = start(home);
    const heard: string[] = [];
    const resolve = (resolver: Resolver) =>
      resolver.resolve({
        host: "cloud.test",
        onResolved: (_host, address) => heard.push(address),
        onError: (_host, error) => heard.push(String(error)),
      });
    board.names["cloud.test"] = "192.0.2.9";
    resolve(new NativeResolver({ network }));
    const closed = new NativeResolver({ network });
    resolve(closed);
    closed.close();
    board.pass(5000);
    t.deepEqual(heard, []);
    board.wifi!.event("disconnected", 201);
    board.pass(0);
    t.regex(heard.join(), /^NetworkError: no Wi-Fi "home" in reach \(reason 201\)[^,]*, is it/);
    network.start(home);
    resolve(new NativeResolver({ network }));
    board.wifi!.event("address", "10.0.0.7");
    board.pass(100);
    t.is(heard.at(-1), "192.0.2.9");
    t.is(heard.length, 2);

    // Two wait, and the platform refuses both: each is answered, and the product hears of the network.
    network.start(home);
    resolve(new NativeResolver({ network }));
    resolve(new NativeResolver({ network }));
    board.faults.resolve = "out of memory";
    board.wifi!.event("address", "10.0.0.8");
    t.is(network.status.type, "timing");
    t.regex(lastLine()!, /address 10\.0\.0\.8, asks for the time/);
    board.pass(0);
    t.deepEqual(heard.slice(2), ["Error: out of memory", "Error: out of memory"]);
  },
);

test.serial("values are kept with their format, and empty ones too", t => {
  freshBoard();
  const domain = openDomain("skerry");
  domain.write("a", Uint8Array.of(1, 2));
  domain.write("empty", new Uint8Array(0));
  t.deepEqual(new Uint8Array(domain.read("a")!), Uint8Array.of(1, 2));
  t.is(domain.read("empty")!.byteLength, 0);
  t.is(domain.read("none"), undefined);
  board.values.set("skerry/old", Uint8Array.of(9));
  t.throws(() => domain.read("old"), { message: "skerry/old: unknown format" });
});

test.serial("a full NVS refuses in words, and the value before stays", t => {
  freshBoard();
  const domain = openDomain("skerry");
  domain.write("a", Uint8Array.of(1));
  board.faults.write = "UNKNOWN ERROR 0x1105(4357)";
  t.throws(() => domain.write("a", Uint8Array.of(2)), { message: /^NVS: it is full/ });
  t.deepEqual(new Uint8Array(domain.read("a")!), Uint8Array.of(1));
});

test.serial("an NVS that can only be read is read", t => {
  freshBoard();
  openDomain("skerry").write("a", Uint8Array.of(1));
  board.faults.open = "ESP_ERR_NOT_ALLOWED";
  const domain = openDomain("skerry");
  t.deepEqual(new Uint8Array(domain.read("a")!), Uint8Array.of(1));
  t.throws(() => domain.write("a", Uint8Array.of(2)), { message: /^NVS: .*read-only/ });
});

const table: (readonly [string, number, number, number, number])[] = [
  ["nvs", 1, 2, 0x9000, 0x6000],
  ["ota_0", 0, 0x10, 0x10000, 0x1d0000],
  ["ota_1", 0, 0x11, 0x1e0000, 0x1d0000],
  ["otadata", 1, 0, 0x3b0000, 0x2000],
  ["outbox", 1, 6, 0x3c0000, 0x40000],
];

test.serial(
  "a start says what is amiss with table and storage, and nothing where nothing is",
  t => {
    freshBoard();
    board.partitions = table;
    machine.prepare();
    t.deepEqual(board.lines, []);
    t.deepEqual(board.calls, ["before main"]);

    board.partitions = table.slice(0, 4);
    board.storageError = 0x110d;
    board.isFrozen = true;
    machine.prepare();
    t.regex(board.lines[0]!, /^skerry: NVS: it has no free page.*nothing can be changed$/);
    t.regex(board.lines[1]!, /^skerry: partition table: "outbox" is missing/);
  },
);

test.serial(
  "a partition that is missing is named; the slot that does not run is the SDK's to find",
  t => {
    freshBoard();
    board.partitions = table.slice(0, 4);
    t.throws(() => openPartition("outbox", "r"), {
      message: /no data partition "outbox": there are nvs/,
    });
    t.notThrows(() => openPartition("nextota", "r"));
  },
);

test.serial("random bytes that are not to be had are not made up", t => {
  freshBoard();
  machine.fillRandom(new ArrayBuffer(200));
  t.throws(() => machine.fillRandom(new ArrayBuffer(57)), { message: /before Wi-Fi is on/ });
  board.entropy = "radio";
  t.notThrows(() => machine.fillRandom(new ArrayBuffer(256)));
});

const noFlash = {} as FlashProvider;
/** Of `esp_ota_img_states_t`. */
const [pending, valid, aborted] = [1, 2, 4];

test.serial("slots are ESP-IDF's: their names, a trial, what the other image says of itself", t => {
  freshBoard();
  board.slots = [["ota_1", pending]];
  t.deepEqual(Object.keys(openUpdate(noFlash)), ["flash"], "one slot is no update");
  board.slots = [
    ["ota_1", pending],
    ["ota_0", valid],
  ];
  const update = openUpdate(noFlash).update!;
  t.is(update.running, "ota_1");
  t.true(update.isOnTrial);
  t.false(update.hasReverted);
  t.is(update.describe(), undefined);
  board.nextVersion = "1.4.0";
  t.deepEqual(update.describe(), { version: "1.4.0" });
  t.throws(() => update.complete(), { code: "agent/illegal-event" });
  update.confirm();
  update.revert();
  board.slots = [
    ["ota_0", valid],
    ["ota_1", aborted],
  ];
  t.false(update.isOnTrial);
  t.true(update.hasReverted);
  t.throws(() => update.revert(), { code: "agent/illegal-event" });
  // Confirmed already: nothing to do.
  update.confirm();
  update.complete();
  t.deepEqual(board.calls, ["confirm", "revert", "complete"]);
});

test.serial("an image that cannot run is told from flash that refuses", t => {
  freshBoard();
  board.slots = [
    ["ota_0", valid],
    ["ota_1", -1],
  ];
  const update = openUpdate(noFlash).update!;
  board.updateStatus = -1;
  t.throws(() => update.complete(), { code: "ota/image" });
  board.updateStatus = 0x105;
  t.throws(() => update.complete(), { code: "storage/write", message: /complete: error 261/ });
});

test.serial("sleep, retained memory, reset reason, heap and number of the board", t => {
  freshBoard();
  machine.sleep(1500);
  machine.sleep(-1);
  t.deepEqual(board.calls, ["sleep 1500", "sleep 0"]);
  machine.retained.write(Uint8Array.of(1, 2, 3));
  machine.retained.write(Uint8Array.of(9));
  t.deepEqual(machine.retained.read()!.subarray(0, 4), Uint8Array.of(9, 2, 3, 0));
  machine.retained.write(new Uint8Array(100).fill(5));
  t.is(machine.retained.read()!.length, 64);
  t.is(machine.resetReason(), "powerOn");
  board.resetReason = 8;
  t.is(machine.resetReason(), "deepSleep");
  t.is(machine.freeHeapBytes(), 123_456);
  t.is(machine.boardId(), "246f280001ff");
  board.macStatus = 0x102;
  t.throws(() => machine.boardId(), { message: /base address: error 258/ });
});
