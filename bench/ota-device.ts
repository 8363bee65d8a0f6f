// A device that does nothing but download: a session on its link, the slot and the download. Runs on every engine.
import type { AgentError } from "../src/errors.js";
import type { Host } from "../src/host.js";
import { MQTTClient } from "../src/mqtt/client.js";
import { Session } from "../src/mqtt/session.js";
import { Download, type DownloadOwner } from "../src/ota/download.js";
import { Staging } from "../src/ota/staging.js";

/** One boot: a session on its link, and the download. */
export class Device implements DownloadOwner {
  readonly host: Host;
  readonly session: Session;
  readonly thingName = "node-1";
  readonly staging: Staging;
  readonly download: Download;
  readonly progress: number[] = [];
  timeFloor: number | undefined;
  now: number | undefined;
  outcome: "complete" | AgentError | undefined;
  expired = 0;
  onExpiredDo: () => void = () => undefined;
  onOver: () => void = () => undefined;
  #tokens = 0;
  #client: MQTTClient | undefined;

  /** @param identity,size  what is staged */
  constructor(host: Host, identity: Uint8Array, size: number) {
    this.host = host;
    this.now = host.clock.now();
    this.session = new Session(
      [],
      {
        onMessage: (topic, payload) => {
          this.download.onMessage(topic, payload);
          return undefined;
        },
        onOversize: () => undefined,
        onSubscribed: () => undefined,
        onRefused: () => undefined,
        onRoom: () => undefined,
        onUnacknowledged: () => undefined,
        enter: work => work(),
      },
      host,
    );
    this.staging = new Staging(this, host.flash!.open({ path: "nextota" }));
    this.staging.begin(identity, size);
    this.download = new Download(this, this.staging, [Uint8Array.of(1)]);
  }

  connect(): void {
    const { host } = this;
    const secure = {
      trustAnchors: [],
      clientCertificates: [Uint8Array.of(1)],
      clientKey: Uint8Array.of(1),
      now: 0,
    };
    this.#client = new MQTTClient({
      host: "cloud.test",
      port: 8883,
      id: "node-1",
      clean: true,
      keepAlive: 60_000,
      socket: { ...host.tls, secure },
      dns: host.dns,
      clock: host.clock,
      timer: host.timer,
      onControl: message => {
        if (message.operation !== 2) this.session.onControl(message);
        else {
          this.session.attach(this.#client!, { sessionPresent: false, resends: true });
          this.download.online();
        }
      },
      onReadable: (count, info) => this.session.onReadable(count, info),
      onWritable: count => this.session.onWritable(count),
      onError: () => this.disconnect(),
    });
  }

  disconnect(): void {
    this.#client?.close();
    this.#client = undefined;
    this.session.detach();
    this.download.offline();
  }

  newToken(): string {
    return `token-${this.#tokens++}`;
  }

  enter(work: () => void): void {
    work();
  }

  onBlock(done: number): void {
    this.progress.push(done);
  }

  onComplete(): void {
    if (this.outcome !== undefined) throw new Error(`over twice: ${this.outcome}, complete`);
    this.outcome = "complete";
    this.onOver();
  }

  onExpired(): void {
    this.expired++;
    this.onExpiredDo();
  }

  onFailed(error: AgentError): void {
    if (this.outcome !== undefined) throw new Error(`over twice: ${this.outcome}, ${error}`);
    this.outcome = error;
    this.onOver();
  }
}
