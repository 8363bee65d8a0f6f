// Devices whose TLS is wrong in one way, on real sockets: the case for it finds them.
import { connect as connectTcp } from "node:net";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import test from "ava";
import mqtt, { type Packet } from "mqtt-packet";
import { linkCases } from "../../../simulator/advisor/catalog.js";
import {
  bytesOf,
  type Identities,
  makeIdentities,
} from "../../../simulator/advisor/certificates.js";
import { Front } from "../../../simulator/advisor/front.js";
import { examineOnSocket } from "../../../simulator/advisor/sockets.js";
import { RealTime } from "../../../simulator/advisor/time.js";
import type { Verdict } from "../../../simulator/advisor/verdict.js";

type Dial = (port: number, identities: Identities) => void;

const identities = makeIdentities(["localhost", "127.0.0.1"]);

/** @param dial powers a device on; called once more for each link that is to be dialed again */
async function examine(name: string, dial: Dial): Promise<Verdict> {
  const made = await identities;
  const time = new RealTime();
  const onChange = () => time.wake();
  const front = await Front.listen({ host: "127.0.0.1", port: 0, identities: made, onChange });
  try {
    const which = linkCases.find(each => each.name === name)!;
    const row = examineOnSocket(which, { front, time, patienceMs: 10_000 });
    // After it has been told whom to examine.
    setImmediate(() => dial(front.port, made));
    return (await row).verdict!;
  } finally {
    await front.close();
  }
}

/** Believes anybody. */
function trusting(port: number, { device }: Identities, more: ConnectionOptions = {}): TLSSocket {
  const socket = connectTls({
    host: "127.0.0.1",
    port,
    servername: "localhost",
    cert: device.certificate,
    key: device.key,
    rejectUnauthorized: false,
    ...more,
  });
  return socket.on("error", () => socket.destroy());
}

const strict = (port: number, made: Identities) =>
  trusting(port, made, { ca: made.trustAnchor, rejectUnauthorized: true });

test("certificates grow as the cases want them", async t => {
  const { servers } = await identities;
  const sizes = [servers.good, servers.large, servers.larger].map(bytesOf);
  t.true(sizes[1]! >= sizes[0]! * 1.18 && sizes[1]! <= sizes[0]! * 1.25, String(sizes));
  t.true(sizes[2]! > sizes[0]! * 3, String(sizes));
});

for (const name of [
  "TLS_Unsecure_Server_Cert",
  "TLS_Incorrect_Subject_Name_Server_Cert",
  "TLS_Expired_Server_Cert",
]) {
  test(`${name}: a device that believes anybody fails, one that looks does not`, async t => {
    const verdict = await examine(name, trusting);
    t.is(verdict.grade, "fail");
    t.regex(verdict.seen, /handshake completed/);
    t.not((await examine(name, strict)).grade, "fail");
  });
}

test("TLS_Unsecure_Server_Cert: a device that completes and then leaves has completed", async t => {
  const dial: Dial = (port, made) =>
    trusting(port, made, { ca: made.trustAnchor, rejectUnauthorized: true, maxVersion: "TLSv1.2" });
  const { grade, seen } = await examine("TLS_Unsecure_Server_Cert", dial);
  t.is(grade, "fail");
  t.is(seen, "handshake completed, then closed");
});

test("TLS_Expired_Server_Cert: an alert is read from the wire", async t => {
  const dial: Dial = port => {
    const socket = connectTcp(port, "127.0.0.1");
    socket.on("error", () => socket.destroy());
    socket.write(Uint8Array.of(21, 3, 3, 0, 2, 2, 45));
    socket.once("data", () => socket.end());
  };
  const { grade, seen } = await examine("TLS_Expired_Server_Cert", dial);
  t.is(grade, "pass", seen);
  t.is(seen, "refused, alert certificate_expired");
});

test("TLS_Connect: a certificate of the device is wanted, and a handshake", async t => {
  const anonymous: Dial = (port, made) => trusting(port, made, { cert: "", key: "" });
  t.regex((await examine("TLS_Connect", anonymous)).seen, /no client certificate of ours/);
  const silent: Dial = port => {
    connectTcp(port, "127.0.0.1").end();
  };
  const { grade, seen } = await examine("TLS_Connect", silent);
  t.is(grade, "fail");
  t.is(seen, "no handshake, closed without an alert");
  t.is((await examine("TLS_Connect", strict)).grade, "pass");
  const nameless: Dial = (port, made) => trusting(port, made, { servername: "" });
  t.regex((await examine("TLS_Connect", nameless)).seen, /without SNI/);
});

test("TLS_Connect: bytes that are no TLS fail, and do no harm", async t => {
  const noise = [
    Uint8Array.of(22, 3, 1, 0, 4, 1, 0, 0, 0),
    Uint8Array.of(22, 3, 1, 0xff, 0xff, 1, 2, 3),
    Buffer.from("GET / HTTP/1.1\r\n\r\n"),
    Uint8Array.of(21, 3, 3, 0, 2, 2, 40),
  ];
  for (const bytes of noise) {
    const dial: Dial = port => {
      const socket = connectTcp(port, "127.0.0.1");
      socket.on("error", () => socket.destroy());
      socket.end(bytes);
    };
    t.is((await examine("TLS_Connect", dial)).grade, "fail");
  }
});

test("TLS_Support_AWS_IoT_Cipher_Suites: what is offered is looked at", async t => {
  const name = "TLS_Support_AWS_IoT_Cipher_Suites";
  const offering = (ciphers: string, more: ConnectionOptions = {}): Dial => {
    return (port, made) => trusting(port, made, { ciphers, ...more });
  };
  const old = { maxVersion: "TLSv1.2" } as const;
  t.is((await examine(name, offering("DHE-RSA-AES128-GCM-SHA256", old))).grade, "fail");
  t.is((await examine(name, offering("AES128-SHA", old))).grade, "warn");
  t.is((await examine(name, offering("ECDHE-ECDSA-AES128-GCM-SHA256"))).grade, "pass");
});

test("TLS_Large_Size_Server_Cert: a device that does not take it fails, one that does not take the larger is warned", async t => {
  const name = "TLS_Large_Size_Server_Cert";
  const none: Dial = port => {
    connectTcp(port, "127.0.0.1").end();
  };
  t.is((await examine(name, none)).grade, "fail");
  const first: Dial = (port, made) => {
    strict(port, made).once("close", () => connectTcp(port, "127.0.0.1").end());
  };
  const { grade, seen } = await examine(name, first);
  t.is(grade, "warn");
  t.is(seen, "20 % larger taken, larger still not");
  const both: Dial = (port, made) => {
    strict(port, made).once("close", () => strict(port, made));
  };
  t.is((await examine(name, both)).grade, "pass");
});

/** Speaks MQTT over TLS as far as the case needs it. */
function subscriber(longest: number): Dial {
  return (port, made) => {
    const socket = strict(port, made);
    const send = (packet: Packet) => socket.write(mqtt.generate(packet));
    const parser = mqtt.parser();
    parser.on("packet", packet => {
      if (packet.cmd === "connack") {
        const subscriptions = [{ topic: "commands/a", qos: 1 as const }];
        send({ cmd: "subscribe", messageId: 1, subscriptions });
      }
      if (packet.cmd === "publish") send({ cmd: "puback", messageId: packet.messageId! });
    });
    let bytes = 0;
    socket.on("data", chunk => {
      bytes += chunk.length;
      if (bytes > longest) socket.destroy();
      else parser.parse(chunk);
    });
    socket.once("secureConnect", () => {
      send({ cmd: "connect", clientId: "a", protocolId: "MQTT", clean: true, keepalive: 60 });
    });
  };
}

test("TLS_Receive_Maximum_Size_Fragments: a device that leaves at full records fails", async t => {
  const name = "TLS_Receive_Maximum_Size_Fragments";
  t.is((await examine(name, subscriber(20_000))).grade, "fail");
  const { grade, seen } = await examine(name, subscriber(1_000_000));
  t.is(grade, "pass", seen);
});
