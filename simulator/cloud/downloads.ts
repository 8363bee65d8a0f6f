// Presigned downloads over HTTPS, for sockets and for links in virtual time. Who has the URL may read, nobody else.

import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import { type AddressInfo, isIPv6 } from "node:net";
import type { PemIdentity } from "./authority.js";
import type { Acceptor, Link } from "./broker-types.js";
import {
  answerInstead,
  type DownloadFaults,
  type DownloadFaultsOf,
  distorted,
} from "./download-faults.js";
import type { Clock, PendingWork, Timer } from "./environment.js";
import { CloudError } from "./errors.js";
import { listenError } from "./front.js";
import { LinkStream } from "./link-stream.js";
import type { ObjectAddress, Objects } from "./objects.js";
import { expired, objectOf, type Presigner, type PresignOptions } from "./presign.js";
import { noSuchKey, objectAnswer, type S3Answer, s3Failure } from "./s3-answers.js";
import { type Pace, sendAnswer } from "./s3-responses.js";

export interface DownloadsOptions {
  readonly objects: Objects;
  readonly presigner: Presigner;
  readonly clock: Clock;
  readonly timer: Timer;
  readonly pending: PendingWork;
  readonly server: PemIdentity;
  /** Of the listener, in presigned URLs; default localhost. */
  readonly name?: string;
  /** What presigned URLs begin with; absent: the listener, by its name. */
  readonly endpoint?: string;
}

/** Assumed: how long an idle connection is kept. */
const keepAliveMs = 20_000;

export class Downloads {
  /** Of every download from now on, or asked for each. */
  faults: DownloadFaults | DownloadFaultsOf = {};
  readonly #options: DownloadsOptions;
  readonly #server: Server;
  readonly #streams = new Set<LinkStream>();
  #requests = 0;

  constructor(options: DownloadsOptions) {
    this.#options = options;
    const { certificate: cert, key } = options.server;
    const settings = { cert, key, minVersion: "TLSv1.2", keepAliveTimeout: keepAliveMs } as const;
    this.#server = createServer(settings, (request, response) => {
      const work = this.#handle(request, response).catch(() => response.destroy());
      if (isVirtual(request)) options.pending.track(work);
    });
    this.#server.on("tlsClientError", (_error, socket) => socket.destroy());
  }

  /** @throws CloudError "cloud/port-in-use", "cloud/cannot-listen" */
  async listen(host: string, port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", cause => reject(listenError(host, port, cause)));
      this.#server.listen(port, host, resolve);
    });
  }

  /** Undefined while nothing listens. */
  get port(): number | undefined {
    return (this.#server.address() as AddressInfo | null)?.port;
  }

  get endpoint(): string {
    const { port } = this;
    const { endpoint, name = "localhost" } = this.#options;
    const host = isIPv6(name) ? `[${name}]` : name;
    return endpoint ?? `https://${host}${port === undefined ? "" : `:${port}`}`;
  }

  /** A link that is not TLS: its other end takes the server at its word. */
  accept(link: Link): Acceptor {
    const stream = new LinkStream(link, this.#options.pending);
    this.#streams.add(stream);
    stream.once("close", () => this.#streams.delete(stream));
    this.#server.emit("secureConnection", stream);
    return stream.acceptor;
  }

  /** Good from now on for so many seconds. @throws CloudError "cloud/not-found" */
  presign(address: ObjectAddress, expiresInSeconds: number, options?: PresignOptions): string {
    const { objects, presigner, clock } = this.#options;
    if (objects.find(address) === undefined) {
      const message = `There is no object ${address.bucket}/${address.key} to presign a URL for.`;
      throw new CloudError("cloud/not-found", message);
    }
    return presigner.sign(this.endpoint, address, expiresInSeconds, clock.now(), options);
  }

  async close(): Promise<void> {
    for (const stream of this.#streams) stream.destroy();
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume();
    const { objects, clock } = this.#options;
    const faults = this.#faultsOf(request);
    const wait = (ms: number): Promise<undefined> => this.#wait(ms, isVirtual(request));
    if (faults.delayMs !== undefined) await wait(faults.delayMs);
    const { headers, ...answer } = distorted(this.#answer(request, faults), faults);
    const dated = { ...answer, headers: { date: new Date(clock.now()).toUTCString(), ...headers } };
    const { closeAfterBytes, bytesPerSecond } = faults;
    const pace: Pace = {
      wait,
      ...(closeAfterBytes === undefined ? {} : { closeAfterBytes }),
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    };
    const isPaced = closeAfterBytes !== undefined || bytesPerSecond !== undefined;
    await sendAnswer(response, dated, objects, isPaced ? pace : undefined);
  }

  #faultsOf({ method = "", url = "", headers }: IncomingMessage): DownloadFaults {
    this.#requests++;
    if (typeof this.faults !== "function") return this.faults;
    const { bucket, key } = objectOf(url) ?? { bucket: "", key: "" };
    return this.faults({ method, bucket, key, range: headers.range, number: this.#requests });
  }

  #answer(request: IncomingMessage, faults: DownloadFaults): S3Answer {
    const { objects, presigner, clock } = this.#options;
    const { method = "", url: target = "", headers } = request;
    const instead = answerInstead(faults, `https://${headers.host ?? ""}${target}`);
    if (instead !== undefined) return instead;
    if (method !== "GET" && method !== "HEAD") {
      const message = "The specified method is not allowed against this resource.";
      return s3Failure(405, "MethodNotAllowed", message, { Method: method });
    }
    const now = clock.now();
    if (faults.expired) return expired("1", now - 1000, now);
    const refusal = presigner.refusal({ method, target, host: headers.host ?? "" }, now);
    if (refusal !== undefined) return refusal;
    const address = objectOf(target);
    const version = new URLSearchParams(target.split("?")[1]).get("versionId");
    const info = address && objects.find({ ...address, ...(version === null ? {} : { version }) });
    if (info === undefined) return noSuchKey(address?.key ?? "");
    return objectAnswer(info, faults.ignoresRanges ? {} : headers);
  }

  /** Virtual time goes on meanwhile. */
  #wait(ms: number, isTracked: boolean): Promise<undefined> {
    const { timer, pending } = this.#options;
    const start = (resume: (value: undefined) => void): void =>
      void timer.set(() => resume(undefined), ms);
    return isTracked ? pending.outside(start) : new Promise(start);
  }
}

function isVirtual({ socket }: IncomingMessage): boolean {
  return (socket as object) instanceof LinkStream;
}
