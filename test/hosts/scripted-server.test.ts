// The scripted server itself, asked by OpenSSL: nothing is wrong with it but what its script says.
import { connect } from "node:tls";
import test from "ava";
import { certificate, names, party } from "../trust/maker.js";
import { type Fault, handshakeFaults, startScriptedServer } from "./scripted-server.js";

const root = party("root");

/** @returns what came back, or why nothing did. */
function ask(port: number): Promise<string> {
  return new Promise(resolve => {
    const options = {
      host: "127.0.0.1",
      port,
      rejectUnauthorized: false,
      maxVersion: "TLSv1.2",
    } as const;
    const socket = connect(options, () => socket.write("hello"));
    socket.on("data", bytes => {
      socket.end();
      resolve(bytes.toString());
    });
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(String(error.code)));
  });
}

for (const kind of ["p256", "rsa"] as const) {
  const subject = party("server", kind);
  const chain = [certificate({ issuer: root, subject, extensions: [names("localhost")] })];
  const start = (fault?: Fault) =>
    startScriptedServer({
      key: subject.key,
      chain,
      asks: true,
      stranger: party("stranger", kind).key,
      ...(fault === undefined ? {} : { fault }),
    });

  test(`scripted server, ${kind}: what is right is echoed, to one client after the other`, async t => {
    const server = await start();
    t.teardown(() => server.close());
    t.is(await ask(server.port), "hello");
    t.is(await ask(server.port), "hello");
  });

  for (const fault of handshakeFaults) {
    test(`scripted server, ${kind}: OpenSSL refuses ${fault}, with an alert`, async t => {
      const server = await start(fault);
      t.teardown(() => server.close());
      const why = await ask(server.port);
      t.log(why);
      t.regex(why, /^ERR_SSL_/);
      while (server.endings.length === 0) await new Promise(resolve => setImmediate(resolve));
      t.regex(server.endings[0]!, /^alert [1-9]/);
    });
  }
}
