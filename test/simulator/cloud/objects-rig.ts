// A cloud with objects, and HTTP to it over a link or over sockets, for the tests of this folder.

import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { Duplex } from "node:stream";
import type { ExecutionContext } from "ava";
import type { Cloud, CloudOptions } from "../../../simulator/cloud/cloud.js";
import { openCloud, type TestCloud } from "./harness.js";

export interface Answer {
  readonly status: number | undefined;
  readonly headers: Record<string, string | undefined>;
  readonly body: Buffer;
}

export interface Question {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
}

/** Bytes that differ from their neighbours, and from those of another seed. */
export function image(length: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at * 31 + (at >> 8) * 7 + seed * 101) & 255);
}

export async function open(
  t: ExecutionContext,
  options: Partial<CloudOptions> = {},
): Promise<TestCloud> {
  const world = await openCloud(options);
  t.teardown(() => world.cloud.close());
  return world;
}

/** What a device on a link in memory wrote and read, as it is on the wire. */
export interface DownloadLink {
  /** All that came, headers included. */
  text(): string;
  bytes(): Buffer;
  readonly isClosed: boolean;
  send(text: string): Promise<void>;
  close(): Promise<void>;
}

/** The other end of `cloud.acceptDownload`, on which time stands still until the cloud is idle. */
export function downloadLink(cloud: Cloud): DownloadLink {
  const received: Uint8Array[] = [];
  const state = { isClosed: false };
  const acceptor = cloud.acceptDownload({
    write: bytes => void received.push(bytes),
    close: () => {
      state.isClosed = true;
    },
  });
  const bytes = (): Buffer => Buffer.concat(received);
  return {
    bytes,
    text: () => bytes().toString("latin1"),
    get isClosed() {
      return state.isClosed;
    },
    send: async text => {
      acceptor.receive(Buffer.from(text, "latin1"));
      await cloud.idle();
    },
    close: async () => {
      acceptor.closed();
      await cloud.idle();
    },
  };
}

/** Asks for a presigned URL over a link of its own. */
export async function download(
  cloud: Cloud,
  url: string,
  question: Question = {},
): Promise<Answer> {
  const { hostname, port } = new URL(url);
  const socket = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      acceptor.receive(chunk);
      done();
    },
    final: done => done(),
  });
  const acceptor = cloud.acceptDownload({
    write: bytes => void socket.push(Buffer.from(bytes)),
    close: () => void socket.push(null),
  });
  const { method, headers } = question;
  const target = url.slice(new URL(url).origin.length);
  const outgoing = httpRequest({
    ...{ createConnection: () => socket, host: hostname, port: port || 443, path: target },
    ...{ method: method ?? "GET", headers: { host: new URL(url).host, ...headers } },
  });
  return answerTo(outgoing.end(question.body));
}

/** Asks over a socket of its own, or over those of an agent. */
export function ask(
  url: string,
  { body, ...question }: Question & { readonly ca?: string; readonly agent?: object } = {},
): Promise<Answer> {
  const send = url.startsWith("https:") ? httpsRequest : httpRequest;
  return answerTo(send(url, { agent: false, ...question } as object).end(body));
}

async function answerTo(outgoing: ReturnType<typeof httpRequest>): Promise<Answer> {
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece as Buffer);
  const headers = response.headers as Answer["headers"];
  return { status: response.statusCode, headers, body: Buffer.concat(pieces) };
}
