// The HTTP listener of the REST planes. For this machine only: signatures are accepted unchecked, no policy is asked.

import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { answerRoutes, type ControlRoute } from "./control-routes.js";
import { listenError } from "./front.js";
import { restLimits } from "./limits.js";
import { failure, type RestAnswer, type RestRequest } from "./rest-answers.js";
import { answerRest, type RestServices } from "./rest-routes.js";

export interface RestOptions extends RestServices {
  /** A loopback address. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Paths of the control plane that come before the others. */
  readonly routes?: readonly ControlRoute[];
}

/** How a client on this machine names it; a web page that resolves its own name to it does not. */
const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i;

export class Rest {
  readonly #services: RestServices;
  readonly #routes: readonly ControlRoute[];
  readonly #server: Server;

  private constructor(services: RestServices, routes: readonly ControlRoute[]) {
    this.#services = services;
    this.#routes = routes;
    this.#server = createServer({ requestTimeout: restLimits.requestMs }, (request, response) => {
      this.#handle(request, response).catch(() => response.destroy());
    });
  }

  /** @throws CloudError "cloud/port-in-use", "cloud/cannot-listen" */
  static async listen({ host, port, routes = [], ...services }: RestOptions): Promise<Rest> {
    const rest = new Rest(services, routes);
    await new Promise<void>((resolve, reject) => {
      rest.#server.once("error", cause => reject(listenError(host, port, cause)));
      rest.#server.listen(port, host, resolve);
    });
    return rest;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  /** Rejects when the client left before its request was there. */
  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request, restLimits.bodyBytes);
    write(response, await this.#answer(request, body));
  }

  async #answer(request: IncomingMessage, body: Uint8Array | undefined): Promise<RestAnswer> {
    if (!isFromHere(request)) return failure(403, { message: "Forbidden" });
    if (body === undefined) {
      return failure(413, { message: "The payload exceeds the maximum size allowed" });
    }
    const [path = "", query = ""] = (request.url ?? "").split(/\?(.*)/s, 2);
    const { method = "" } = request;
    // Only Set-Cookie comes as a list, and nobody looks at that.
    const headers = request.headers as RestRequest["headers"];
    try {
      const asked = { method, path, query: new URLSearchParams(query), headers, body };
      return (await answerRoutes(asked, this.#routes)) ?? answerRest(asked, this.#services);
    } catch {
      return failure(500, { message: "Internal service failure" });
    }
  }
}

/** Anything a person runs here may ask; a page in a browser may not, whatever host name it found us by. */
export function isFromHere({ headers }: IncomingMessage): boolean {
  return headers.origin === undefined && loopback.test(headers.host ?? "");
}

/** @returns undefined when it is too long; it is read to its end all the same, so that the answer is heard */
export async function readBody(
  request: IncomingMessage,
  limit: number,
): Promise<Uint8Array | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= limit) chunks.push(chunk);
    else chunks.length = 0;
  }
  return length <= limit ? Buffer.concat(chunks) : undefined;
}

function write(response: ServerResponse, { status, headers, body, isBare }: RestAnswer): void {
  const id = randomUUID();
  const isWhole = isBare === true || "timestamp" in body;
  const text = JSON.stringify(isWhole ? body : { ...body, traceId: id });
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
    "x-amzn-requestid": id,
    ...headers,
  });
  response.end(text);
}
