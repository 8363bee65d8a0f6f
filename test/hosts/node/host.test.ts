import { chmodSync, existsSync, mkdtempSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import anyTest, { type TestFn } from "ava";
import { createHost, host as defaultHost } from "../../../hosts/node/host.js";
import { createKeyValue } from "../../../hosts/node/key-value.js";
import { toSystemId } from "../../../hosts/node/system.js";
import { AgentError } from "../../../src/errors.js";
import { cryptoContract } from "../../contract/crypto.js";
import { dnsContract } from "../../contract/dns.js";
import { keyValueContract } from "../../contract/key-value.js";
import { clockContract, timerContract } from "../../contract/time.js";
import { tlsContract } from "../../contract/tls.js";
import { party, pkcs8Of } from "../../trust/maker.js";
import { type EchoServer, startEchoServer } from "../tls-server.js";
import { verifySignature } from "../verify-signature.js";
import { PowerCut, powerCutFiles } from "./power-cut-files.js";

const test = anyTest as TestFn;
const newDirectory = () => mkdtempSync(join(tmpdir(), "skerry-node-"));
const open = () => createHost({ directory: newDirectory(), id: "node-1" });

let server: EchoServer;
test.before(async () => {
  server = await startEchoServer();
});
test.after.always(() => server?.close());

keyValueContract(test, "node key-value", open);
timerContract(test, "node timer", open);
clockContract(test, "node clock", open);
dnsContract(test, "node dns", open);
cryptoContract(test, "node crypto", () => ({ ...open(), verify: verifySignature }));
tlsContract(test, "node tls", () => ({ ...server.data, host: open() }));

test("a power cut at any call of a write leaves the old value or the new", t => {
  const old = Uint8Array.of(1, 1, 1, 1);
  const fresh = Uint8Array.of(2, 2, 2, 2, 2, 2);
  const seen = new Set<string>();
  for (const undoRename of [false, true]) {
    for (let cutAt = 0, cut = true; cut; cutAt++) {
      const directory = newDirectory();
      createKeyValue(directory).open({ path: "d" }).write("key", old);
      const files = powerCutFiles(cutAt, undoRename);
      let returned = false;
      try {
        createKeyValue(directory, files).open({ path: "d" }).write("key", fresh);
        returned = true;
      } catch (error) {
        t.true((error as AgentError).cause instanceof PowerCut);
      }
      cut = files.isCut();
      const store = createKeyValue(directory).open({ path: "d" });
      const found = [...new Uint8Array(store.read("key")!)].join();
      t.true(
        found === old.join() || (found === fresh.join() && files.isWritten()),
        `cut at ${cutAt}: ${found}`,
      );
      if (returned) t.is(found, fresh.join(), `cut at ${cutAt} after write returned`);
      t.deepEqual(readdirSync(join(directory, "d.domain")), ["key.value"]);
      seen.add(found);
    }
  }
  t.is(seen.size, 2);
});

test("a medium that refuses leaves the old value and says why", t => {
  const directory = newDirectory();
  createKeyValue(directory).open({ path: "d" }).write("key", Uint8Array.of(1));
  const store = createKeyValue(directory, powerCutFiles(4, false)).open({ path: "d" });
  const error = t.throws(() => store.write("key", Uint8Array.of(2)), { instanceOf: AgentError });
  t.is(error?.code, "storage/write");
  t.regex(error?.message ?? "", /key\.value: power cut/);
});

test("files and directories are for their owner only", t => {
  const directory = newDirectory();
  createKeyValue(join(directory, "deep")).open({ path: "d" }).write("key", Uint8Array.of(1));
  t.is(statSync(join(directory, "deep", "d.domain")).mode & 0o777, 0o700);
  t.is(statSync(join(directory, "deep", "d.domain", "key.value")).mode & 0o777, 0o600);
});

test("a directory that cannot be opened is named", t => {
  const file = join(newDirectory(), "file");
  writeFileSync(file, "");
  chmodSync(file, 0o600);
  const error = t.throws(() => createKeyValue(file).open({ path: "d" }), {
    instanceOf: AgentError,
  });
  t.is(error?.code, "storage/write");
  t.true(error?.message.includes(join(file, "d.domain")));
});

test("a key-value store that was closed refuses", t => {
  const store = open().keyValue.open({ path: "d" });
  store.close();
  t.throws(() => store.read("a"), { instanceOf: AgentError });
});

test("only keys on P-256 sign: those of other kinds are for TLS", t => {
  const { crypto } = open();
  for (const key of ["rsa", "p384"] as const) {
    t.throws(() => crypto.sign(pkcs8Of(party("device", key)), Uint8Array.of(1)), {
      code: "trust/algorithm",
    });
  }
});

test("a certificate that does not parse is refused by the constructor", t => {
  const { tls } = open();
  const secure = {
    trustAnchors: [Uint8Array.of(1)],
    clientCertificates: [],
    clientKey: new Uint8Array(0),
    now: Date.now(),
  };
  const options = { address: "127.0.0.1", host: "a.example", port: 1, secure };
  const error = t.throws(() => new tls.io(options), { instanceOf: AgentError });
  t.is(error?.code, "agent/options");
});

test("a host name becomes an id, and a wrong id is refused", t => {
  t.is(toSystemId("müller.local"), "m-ller-local");
  t.is(toSystemId(""), "node");
  t.is(toSystemId("x".repeat(99)).length, 64);
  t.throws(() => createHost({ directory: ".", id: "a b" }), { instanceOf: AgentError });
});

test("importing the default host touches nothing", t => {
  t.regex(defaultHost.system.id, /^[A-Za-z0-9_-]{1,64}$/);
  t.true((defaultHost.system.freeHeapBytes() ?? 0) > 0);
  t.false(existsSync(".skerry"));
});

test("timers that are late fire in the order they were due", async t => {
  const { timer } = open();
  // A machine that pauses while they are set makes another order right: then again.
  for (let settingMs = 2; settingMs >= 2; ) {
    const order: number[] = [];
    const from = performance.now();
    for (const delayMs of [9, 3, 7, 1, 5]) timer.set(() => order.push(delayMs), delayMs);
    const last = new Promise<void>(resolve => {
      timer.set(resolve, 20);
    });
    settingMs = performance.now() - from;
    while (performance.now() < from + 30);
    await last;
    if (settingMs < 2) t.is(order.join(), "1,3,5,7,9");
  }
});

test("a restart does what the host was told", t => {
  let restarts = 0;
  createHost({ directory: ".", id: "a", restart: () => void restarts++ }).system.restart();
  t.is(restarts, 1);
});
