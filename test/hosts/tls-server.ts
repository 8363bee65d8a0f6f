// TLS servers for one test: one that echoes, asks for the client's certificate and ends when told to, and some that are wrong.

import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer, type TlsOptions } from "node:tls";
import type { TlsSubjectData } from "../contract/tls.js";
import { createAuthority, type Identity, toPem } from "./certificates.js";
import {
  handshakeFaults,
  type Script,
  type ScriptedServer,
  startScriptedServer,
} from "./scripted-server.js";

export interface EchoServer {
  readonly data: TlsSubjectData;
  close(): Promise<void>;
}

/** What a client sends to make the server end the stream, or break it off. */
const farewell = "farewell";
const breakOff = "break off";

/** Alerts about a client's certificate, as TLS 1.2 knows them. @see RFC 5246 7.2.2 */
const aboutClient = [40, 42, 43, 44, 45, 46, 48, 49];

export async function startEchoServer(): Promise<EchoServer> {
  const [authority, strangers] = await Promise.all([
    createAuthority("Test root"),
    createAuthority("Strange root"),
  ]);
  const name = "server.example";
  const [own, client, rsaClient, stranger] = await Promise.all([
    authority.issueServer([name]),
    authority.issueClient("device-1"),
    authority.issueClient("device-1", "rsa"),
    strangers.issueClient("device-1"),
  ]);
  const wrong = await Promise.all(handshakeFaults.map(fault => startScripted(own, { fault })));
  const refusing = await Promise.all(aboutClient.map(refusal => startScripted(own, { refusal })));
  const listen = (asks: Pick<TlsOptions, "requestCert" | "rejectUnauthorized">) =>
    listenAndEcho({
      cert: toPem("CERTIFICATE", own.certificate),
      key: toPem("PRIVATE KEY", own.key),
      ca: toPem("CERTIFICATE", authority.root),
      ALPNProtocols: ["echo"],
      ...asks,
    });
  const [server, silent, asking] = await Promise.all([
    listen({ requestCert: true, rejectUnauthorized: true }),
    listen({}),
    listen({ requestCert: true, rejectUnauthorized: false }),
  ]);
  return {
    data: {
      address: "127.0.0.1",
      name,
      port: server.port,
      openPorts: { silent: silent.port, asking: asking.port },
      root: authority.root,
      strangeRoot: strangers.root,
      client,
      rsaClient,
      stranger,
      wrongServers: wrong.map(({ port }, i) => ({ fault: handshakeFaults[i]!, port })),
      refusingServers: refusing.map(({ port }, i) => ({ alert: aboutClient[i]!, port })),
    },
    close: async () => {
      const all = [...wrong, ...refusing, server, silent, asking];
      await Promise.all(all.map(each => each.close()));
    },
  };
}

async function listenAndEcho(
  options: TlsOptions,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const server = createServer(options);
  const sockets = new Set<{ destroy(): void }>();
  server.on("secureConnection", socket => {
    sockets.add(socket);
    // A client that breaks off is part of the tests.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", bytes => {
      if (bytes.toString() === farewell) socket.end("bye");
      else if (bytes.toString() === breakOff) socket.destroy();
      else socket.write(bytes);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise<void>(resolve => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function startScripted(own: Identity, script: Partial<Script>): Promise<ScriptedServer> {
  const key = createPrivateKey({ key: Buffer.from(own.key), format: "der", type: "pkcs8" });
  const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  return startScriptedServer({ key, chain: [own.certificate], stranger, asks: true, ...script });
}
