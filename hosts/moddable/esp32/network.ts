// Wi-Fi and the time of day on the SDK's radio, sockets and resolver. @see ../network/README.md
import UDP from "embedded:io/socket/udp";
import WiFi from "embedded:network/interface/wifi";
import config from "mc/config";
import FFI from "mc/ffi";
import { NativeResolver } from "skerry/hosts/moddable/dns";
import { guard, report } from "skerry/hosts/moddable/guard";
import type { Credentials } from "skerry/hosts/moddable/network/fault";
import {
  describeNetwork,
  type Network,
  NetworkKeeper,
  type Wifi,
  type WifiEvents,
} from "skerry/hosts/moddable/network/keeper";
import { keep, readKept } from "skerry/hosts/moddable/network/kept";
import { type Datagrams, TimeAsker } from "skerry/hosts/moddable/network/time-asker";
import type { Clock, Crypto, KeyValueProvider, Timer } from "skerry/src/host";
import { chanceFrom } from "skerry/src/util/backoff";
import { fromUtf8 } from "skerry/src/util/bytes";
import Time from "time";

interface Native {
  skerry_wifi_watch(): number;
  skerry_wifi_reason(): number;
  skerry_time_request(): void;
  skerry_time_server(text: ArrayBufferLike): number;
}

interface NetworkConfig {
  readonly ssid?: string;
  readonly password?: string;
  /** As the SDK names it; "pool.ntp.org" where the product says nothing. */
  readonly sntp?: string | readonly string[];
}

/** Of owners other than the pool's. */
const moreServers = Object.freeze(["time.aws.com", "time.cloudflare.com"]);
/** The longest text of an address. */
const addressBytes = 46;
/** `WIFI_REASON_ASSOC_LEAVE`: what our own leaving is called. */
const left = 8;

interface Parts {
  readonly clock: Clock;
  readonly timer: Timer;
  readonly crypto: Crypto;
  readonly keyValue: KeyValueProvider;
}

/** Joined at once where a Wi-Fi is kept or the build names one; otherwise when the product says `start`, or never. */
export function openNetwork({ clock, timer, crypto, keyValue }: Parts): Network {
  const resolver = new NativeResolver();
  const asker = new TimeAsker({
    clock,
    timer,
    random: count => crypto.random(count),
    servers: timeServers,
    resolve: (host, onResolved) =>
      resolver.resolve({
        host,
        onResolved: (_host, address) => onResolved(address),
        onError: () => onResolved(undefined),
      }),
    open: openDatagrams,
  });
  const network = new NetworkKeeper({
    clock,
    timer,
    chance: () => chanceFrom({ crypto }),
    openWifi: events => new Radio(events),
    asker,
    setTime: time => Time.set(Math.round(time / 1000)),
    readKept: () => orNothing(() => readKept(keyValue)),
    keep: credentials => keep(keyValue, credentials),
  });
  network.onStatus = status => trace(`skerry: network: ${describeNetwork(status)}\n`);
  const { ssid, password } = config as NetworkConfig;
  const own = ssid ? (password ? { ssid, password } : { ssid }) : undefined;
  guard(
    () => network.begin(own),
    error => report("network", error),
  );
  return network;
}

/** What cannot be read is told, and the build's own Wi-Fi is joined. */
function orNothing<Result>(work: () => Result): Result | undefined {
  let result: Result | undefined;
  guard(
    () => {
      result = work();
    },
    error => report("network", error),
  );
  return result;
}

/** The radio, with the reasons that the SDK's class does not tell. */
class Radio implements Wifi {
  readonly #wifi: WiFi;
  readonly #events: WifiEvents;
  #isLeaving = false;

  constructor(events: WifiEvents) {
    this.#events = events;
    // Before the SDK listens: the reason is there when the SDK tells that something has changed.
    const status = library().skerry_wifi_watch();
    if (status !== 0) throw new Error(`Wi-Fi: error ${status}`);
    this.#wifi = new WiFi({
      onChanged: () =>
        guard(
          () => this.changed(),
          error => report("network", error),
        ),
    });
    library().skerry_time_request();
  }

  join({ ssid, password }: Credentials): void {
    this.#wifi.connect(password === undefined ? { SSID: ssid } : { SSID: ssid, password });
  }

  leave(): void {
    this.#isLeaving = this.#wifi.connection > 200;
    this.#wifi.disconnect();
  }

  private changed(): void {
    const { connection } = this.#wifi;
    if (connection >= 500) this.#events.onAddress(this.#wifi.address ?? "");
    else if (connection >= 400) this.#events.onAssociated();
    else if (connection <= 200) this.lost(library().skerry_wifi_reason());
    if (connection >= 400) this.#isLeaving = false;
  }

  /** What was left may say so after the next has been asked for. */
  private lost(reason: number): void {
    const isOurs = reason === left && this.#isLeaving;
    this.#isLeaving = false;
    if (!isOurs) this.#events.onLost(reason);
  }
}

function openDatagrams(
  onMessage: (bytes: Uint8Array, address: string, port: number) => void,
): Datagrams {
  let isOpen = true;
  const read = (count: number) => {
    for (let i = 0; i < count && isOpen; i++) {
      const packet = socket.read();
      if (packet) onMessage(new Uint8Array(packet), packet.address, packet.port);
    }
  };
  const socket = new UDP({
    onReadable: count =>
      guard(
        () => read(count),
        error => report("network", error),
      ),
  });
  return {
    send: (bytes, address, port) => socket.write(bytes, address, port),
    close: () => {
      isOpen = false;
      socket.close();
    },
  };
}

/** What the network itself names, by DHCP; what the product names; and two more. */
function timeServers(): readonly string[] {
  const { sntp = [] } = config as NetworkConfig;
  const text = new Uint8Array(addressBytes);
  const length = library().skerry_time_server(text.buffer);
  const own = length > 0 ? [fromUtf8(text, 0, length)] : [];
  return [...own, ...(typeof sntp === "string" ? [sntp] : sntp), ...moreServers];
}

function library(): Native {
  return new FFI() as Native;
}
