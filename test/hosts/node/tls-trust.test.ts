// Servers that OpenSSL alone would believe, or not: on Node too the agent's own validator decides.
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:tls";
import test, { type ExecutionContext } from "ava";
import { tls } from "../../../hosts/node/tls.js";
import { AgentError } from "../../../src/errors.js";
import { toPem } from "../../../src/trust/pem.js";
import { authority, certificate, names, type Party, party, usage } from "../../trust/maker.js";

const name = "server.example";
const root = party("root");
const middle = party("middle");
const anchor = certificate({
  issuer: root,
  subject: root,
  extensions: [authority(), usage(0x04)],
});
const extensions = [names(name)];

async function serve(t: ExecutionContext, { key }: Party, chain: readonly Uint8Array[]) {
  const server = createServer({
    key: key.export({ type: "pkcs8", format: "pem" }),
    cert: chain.map(der => toPem(der, "CERTIFICATE")).join(""),
  });
  server.on("secureConnection", socket => socket.on("error", () => socket.destroy()));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** @returns what the host reports; undefined when it opens. */
function open(port: number, now = Date.now(), { staysOpen = false } = {}): Promise<unknown> {
  return new Promise(resolve => {
    const end = (error?: unknown) => {
      socket.close();
      resolve(error);
    };
    const secure = {
      trustAnchors: [anchor],
      clientCertificates: [],
      clientKey: new Uint8Array(0),
      serverName: name,
      now,
    };
    const socket = new tls.io({
      address: "127.0.0.1",
      host: name,
      port,
      secure,
      onWritable: () => (staysOpen ? undefined : end()),
      onError: end,
    });
  });
}

async function openOnOpenSSL(port: number): Promise<void> {
  const ca = toPem(anchor, "CERTIFICATE");
  const socket = connect({ host: "127.0.0.1", port, servername: name, ca });
  await once(socket, "secureConnect");
  socket.destroy();
}

test("trust in TLS on Node: a leaf and an intermediate", async t => {
  const server = party("server");
  const leaf = certificate({ issuer: middle, subject: server, extensions });
  const intermediate = certificate({ issuer: root, subject: middle, extensions: [authority()] });
  t.is(await open(await serve(t, server, [leaf, intermediate])), undefined);
});

test("trust in TLS on Node: a leaf alone", async t => {
  const server = party("server");
  const leaf = certificate({ issuer: root, subject: server, extensions });
  t.is(await open(await serve(t, server, [leaf])), undefined);
});

test("trust in TLS on Node: a key that OpenSSL takes and we do not", async t => {
  const server = party("server", "rsa3");
  const port = await serve(t, server, [certificate({ issuer: root, subject: server, extensions })]);
  await t.notThrowsAsync(openOnOpenSSL(port));
  const error = await open(port);
  t.true(error instanceof AgentError && error.code === "connection/untrusted");
  const { cause } = error as AgentError;
  t.true(cause instanceof AgentError && cause.code === "trust/algorithm", String(cause));
});

test("trust in TLS on Node: dates are judged at the time that is handed in", async t => {
  const server = party("server");
  const port = await serve(t, server, [certificate({ issuer: root, subject: server, extensions })]);
  for (const [now, code] of [
    [Date.UTC(2020, 0, 1), "trust/not-yet-valid"],
    [Date.UTC(2090, 0, 1), "trust/expired"],
  ] as const) {
    const { cause } = (await open(port, now)) as AgentError;
    t.is((cause as AgentError).code, code, String(now));
  }
});

test("trust in TLS on Node: a server that is not believed and one that refuses the client are told apart", async t => {
  const server = party("server");
  const other = party("other");
  const stranger = certificate({ issuer: other, subject: server, extensions });
  const unknown = (await open(await serve(t, server, [stranger]))) as AgentError;
  t.is(unknown.code, "connection/untrusted");
  const leaf = certificate({ issuer: root, subject: server, extensions });
  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    const demanding = createServer({
      key: server.key.export({ type: "pkcs8", format: "pem" }),
      cert: toPem(leaf, "CERTIFICATE"),
      ca: toPem(anchor, "CERTIFICATE"),
      requestCert: true,
      rejectUnauthorized: true,
      maxVersion,
    });
    demanding.listen(0, "127.0.0.1");
    await once(demanding, "listening");
    t.teardown(() => demanding.close());
    const { port } = demanding.address() as AddressInfo;
    const error = (await open(port, Date.now(), { staysOpen: true })) as AgentError;
    t.is(error.code, "connection/refused", `${maxVersion}: ${error.message}`);
  }
});
