// The faults of faults.ts on real sockets: a TCP proxy on this machine only, which passes TLS on as it is.
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { createClock } from "../../hosts/node/clock.js";
import { createTimer } from "../../hosts/node/timer.js";
import type { Clock, Timer, TimerHandle } from "../../src/host.js";
import type { FlowFaults, LinkFaults } from "./faults.js";
import { Flow } from "./flow.js";
import { Random } from "./random.js";

export interface ProxyOptions {
  /** The server's port on this machine. */
  readonly to: number;
  /** Default 0: the system chooses. */
  readonly port?: number;
  readonly random?: Random;
}

const loopback = "127.0.0.1";
/** Bytes of one direction that wait here before their sender is slowed down. */
const highWaterBytes = 65_536;

export class FaultProxy {
  /** Of every link, from the moment they are set. */
  faults: LinkFaults = {};
  /** Links ever asked for. */
  dialed = 0;
  readonly #to: number;
  readonly #random: Random;
  readonly #server: Server;
  readonly #links = new Set<ProxyLink>();
  readonly #clock = createClock();
  readonly #timer = createTimer();

  private constructor({ to, random = new Random(1) }: ProxyOptions) {
    this.#to = to;
    this.#random = random;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, socket =>
      this.#accept(socket),
    );
  }

  /** @throws the system's error when the port is taken */
  static async listen(options: ProxyOptions): Promise<FaultProxy> {
    const proxy = new FaultProxy(options);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once("error", reject);
      proxy.#server.listen(options.port ?? 0, loopback, resolve);
    });
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Links that are open, or half so. */
  get open(): number {
    return this.#links.size;
  }

  /** Resets every link there is, at both ends; new ones can be opened. */
  cutAll(): void {
    for (const link of [...this.#links]) link.cut();
  }

  async close(): Promise<void> {
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()));
    this.cutAll();
    await closed;
  }

  #accept(device: Socket): void {
    this.dialed++;
    const { dial } = this.faults;
    if (dial === "refused") {
      device.on("error", () => undefined);
      device.resetAndDestroy();
      return;
    }
    const link: ProxyLink = new ProxyLink({
      device,
      // Whoever dials into silence reaches nobody; the system has taken the connection, that is all.
      to: dial === "silent" ? undefined : this.#to,
      clock: this.#clock,
      timer: this.#timer,
      random: this.#random,
      faults: () => this.faults,
      onEnd: () => this.#links.delete(link),
    });
    this.#links.add(link);
  }
}

interface ProxyLinkOptions {
  readonly device: Socket;
  readonly to: number | undefined;
  readonly clock: Clock;
  readonly timer: Timer;
  readonly random: Random;
  faults(): LinkFaults;
  onEnd(): void;
}

class ProxyLink {
  readonly #options: ProxyLinkOptions;
  readonly #sockets: Socket[] = [];
  readonly #flows: Flow[] = [];
  readonly #reset: TimerHandle | undefined;
  #isOpen = true;

  constructor(options: ProxyLinkOptions) {
    this.#options = options;
    const { device, to, timer, faults } = options;
    this.#watch(device);
    if (to === undefined) {
      device.resume();
      device.on("end", () => this.cut());
      return;
    }
    const server = connect({ host: loopback, port: to, allowHalfOpen: true, noDelay: true });
    this.#watch(server);
    this.#join("toServer", device, server);
    this.#join("toDevice", server, device);
    const { resetAfterMs } = faults();
    if (resetAfterMs !== undefined) this.#reset = timer.set(() => this.cut(), resetAfterMs);
  }

  cut(): void {
    if (!this.#isOpen) return;
    for (const socket of this.#sockets) reset(socket);
    this.#end();
  }

  /** Either end that breaks takes the other with it; the link is over when both are closed. */
  #watch(socket: Socket): void {
    this.#sockets.push(socket);
    socket.on("error", () => this.cut());
    socket.on("close", () => {
      if (this.#sockets.every(({ closed, destroyed }) => closed || destroyed)) this.#end();
    });
  }

  #join(direction: "toServer" | "toDevice", from: Socket, to: Socket): void {
    const { clock, timer, random, faults } = this.#options;
    const flow: Flow = new Flow({
      clock,
      timer,
      random,
      latencyMs: 0,
      faults: () => faults()[direction] ?? none,
      deliver: bytes => {
        to.write(bytes);
        pace();
      },
      onReset: () => this.cut(),
    });
    const pace = () => {
      const isFull = flow.waitingBytes + to.writableLength > highWaterBytes;
      if (isFull !== from.isPaused()) isFull ? from.pause() : from.resume();
    };
    from.on("data", bytes => {
      flow.push(bytes);
      pace();
    });
    to.on("drain", pace);
    from.on("end", () => {
      flow.carry(0, () => to.end());
      // The other end never hears of it; this one has gone.
      if (flow.isDark) from.destroy();
    });
    this.#flows.push(flow);
  }

  #end(): void {
    this.#isOpen = false;
    this.#options.timer.clear(this.#reset);
    for (const flow of this.#flows) flow.close();
    this.#options.onEnd();
  }
}

/** A turn later: right after a write Node would say goodbye first. */
function reset(socket: Socket): void {
  setImmediate(() => socket.resetAndDestroy());
}

const none: FlowFaults = Object.freeze({});
