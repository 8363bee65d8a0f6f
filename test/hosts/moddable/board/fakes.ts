// The parts of the SDK that the ESP32's modules call, with the behaviour of the SDK's own sources; what they see is `board`.

interface Timeout {
  readonly at: number;
  readonly work: () => void;
}

type Partition = readonly [label: string, type: number, subtype: number, at: number, size: number];

class Board {
  now = 0;
  timeouts: Timeout[] = [];
  lines: string[] = [];
  /** What the functions of our native files answer. */
  storageError = 0;
  isFrozen = false;
  entropy: number | "radio" = 256;
  reason = 0;
  dhcpTimeServer = "";
  /** Of the slot that runs and the other: label, and state as `esp_ota_img_states_t` or -1. */
  slots: (readonly [string, number])[] = [];
  nextVersion = "";
  /** What completing, confirming and reverting return. */
  updateStatus = 0;
  resetReason = 1;
  macStatus = 0;
  retained = new Uint8Array(64);
  partitions: Partition[] = [];
  calls: string[] = [];
  names: Record<string, string | undefined> = {};
  /** Answers a question for the time. */
  onDatagram: ((question: Uint8Array, address: string) => Uint8Array | undefined) | undefined;
  wifi: WiFi | undefined;
  clock: number | undefined;
  values = new Map<string, Uint8Array>();
  /** What storage throws when it is to open for changes, to write, or to read, and the resolver when it is asked. */
  faults: { open?: string; write?: string; read?: string; resolve?: string } = {};

  later(delayMs: number, work: () => void): Timeout {
    const timeout = { at: this.now + delayMs, work };
    this.timeouts.push(timeout);
    return timeout;
  }

  clear(timeout: object | undefined): void {
    this.timeouts = this.timeouts.filter(each => each !== timeout);
  }

  pass(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const first = this.timeouts.sort((a, b) => a.at - b.at)[0];
      if (!first || first.at > end) break;
      this.clear(first);
      this.now = first.at;
      first.work();
    }
    this.now = end;
  }
}

export let board = new Board();
export const config: Record<string, unknown> = {};

export function freshBoard(): Board {
  board = new Board();
  for (const name of Object.keys(config)) delete config[name];
  (globalThis as { trace?: unknown }).trace = (text: string) => board.lines.push(text.trimEnd());
  return board;
}

function write(text: string, buffer: ArrayBuffer): number {
  new Uint8Array(buffer).set(new TextEncoder().encode(text));
  return text.length;
}

/** Our native files; what they do themselves is tried in native.test.ts. */
export class FFI {
  skerry_before_main(): number {
    board.calls.push("before main");
    return 0;
  }
  skerry_storage_error(): number {
    return board.storageError;
  }
  skerry_storage_is_frozen(): number {
    return board.isFrozen ? 1 : 0;
  }
  skerry_random(buffer: ArrayBuffer, length: number): number {
    if (board.entropy !== "radio") {
      if (length > board.entropy) return -1;
      board.entropy -= length;
    }
    new Uint8Array(buffer).fill(7, 0, length);
    return 0;
  }
  skerry_partition(number: number, buffer: ArrayBuffer): number {
    const partition = board.partitions[number];
    if (!partition) return 0;
    const [label, type, subtype, at, size] = partition;
    const entry = new Uint8Array(buffer).fill(0);
    entry.set(new TextEncoder().encode(label));
    entry.set([type, subtype], 16);
    new DataView(buffer).setUint32(20, at, true);
    new DataView(buffer).setUint32(24, size, true);
    return 1;
  }
  skerry_slot_label(slot: number, buffer: ArrayBuffer): number {
    return write(board.slots[slot]?.[0] ?? "", buffer);
  }
  skerry_slot_state(slot: number): number {
    return board.slots[slot]?.[1] ?? -1;
  }
  skerry_next_version(buffer: ArrayBuffer): number {
    return write(board.nextVersion, buffer);
  }
  skerry_update_complete(): number {
    return this.#update("complete");
  }
  skerry_update_confirm(): number {
    return this.#update("confirm");
  }
  skerry_update_revert(): number {
    return this.#update("revert");
  }
  #update(call: string): number {
    board.calls.push(call);
    return board.updateStatus;
  }
  skerry_sleep(delayMs: number): void {
    board.calls.push(`sleep ${delayMs}`);
  }
  skerry_retained_read(buffer: ArrayBuffer, length: number): void {
    new Uint8Array(buffer).set(board.retained.subarray(0, length));
  }
  skerry_retained_write(buffer: ArrayBuffer, length: number): void {
    board.retained.set(new Uint8Array(buffer, 0, length));
  }
  esp_restart(): void {
    board.calls.push("restart");
  }
  esp_get_free_heap_size(): number {
    return 123_456;
  }
  esp_reset_reason(): number {
    return board.resetReason;
  }
  esp_efuse_mac_get_default(buffer: ArrayBuffer): number {
    // As on chips with IEEE 802.15.4, with the extension; `set` refuses what would be written behind the end.
    new Uint8Array(buffer).set([0x24, 0x6f, 0x28, 0, 1, 0xff, 0xff, 0xfe]);
    return board.macStatus;
  }
  skerry_wifi_watch(): number {
    board.calls.push("watch");
    return 0;
  }
  skerry_wifi_reason(): number {
    const { reason } = board;
    board.reason = 0;
    return reason;
  }
  skerry_time_request(): void {
    board.calls.push("ask DHCP for the time server");
  }
  skerry_time_server(buffer: ArrayBuffer): number {
    return write(board.dhcpTimeServer, buffer);
  }
}

export const Timer = {
  set: (work: () => void, delayMs = 0) => board.later(delayMs, work),
  repeat: () => ({}),
  clear: (timer: object | undefined) => board.clear(timer),
};

export const Time = {
  get ticks() {
    return board.now;
  },
  delta: (start: number, end: number) => end - start,
  set(seconds: number) {
    board.clock = seconds;
  },
};

export const Net = {
  resolve(host: string, callback: (host: string, address?: string) => void) {
    if (board.faults.resolve) throw new Error(board.faults.resolve);
    board.later(20, () => callback(host, board.names[host]));
  },
};

/** Flags as in the SDK's own: what does not change them is not told. */
export class WiFi {
  readonly #onChanged: (property: string) => void;
  connecting = false;
  connected = false;
  hasAddress = false;
  address: string | undefined;

  constructor({ onChanged }: { onChanged(property: string): void }) {
    this.#onChanged = onChanged;
    board.calls.push("radio");
    board.wifi = this;
  }

  get connection(): number {
    if (this.connected) return this.hasAddress ? 500 : 400;
    return this.connecting ? 300 : 200;
  }

  connect({ SSID, password }: { SSID: string; password?: string }): void {
    if (this.connecting) throw new Error("already connecting");
    board.calls.push(`connect ${SSID} ${password ?? "open"}`);
    this.connecting = true;
  }

  disconnect(): void {
    board.calls.push("disconnect");
    this.connecting = false;
    this.connected = false;
    this.hasAddress = false;
  }

  /** What ESP-IDF tells, some time later. */
  event(type: "connected" | "disconnected" | "address", about: number | string = 0): void {
    const before = this.connection;
    if (typeof about === "number") board.reason = about;
    else this.address = about;
    this.connecting = false;
    this.connected = type !== "disconnected";
    this.hasAddress = type === "address";
    if (this.connection === before) return;
    this.#onChanged("connection");
    if (type === "address") this.#onChanged("address");
  }
}

export class UDP {
  readonly #onReadable: (count: number) => void;
  #packets: (ArrayBuffer & { address: string; port: number })[] = [];
  #isOpen = true;

  constructor({ onReadable }: { onReadable(count: number): void }) {
    this.#onReadable = onReadable;
  }

  read() {
    if (!this.#isOpen) throw new Error("closed");
    return this.#packets.shift();
  }

  write(bytes: Uint8Array, address: string, port: number): void {
    const answer = board.onDatagram?.(bytes.slice(), address);
    if (!answer) return;
    const packet = Object.assign(answer.slice().buffer as ArrayBuffer, { address, port });
    board.later(30, () => {
      if (!this.#isOpen) return;
      this.#packets.push(packet);
      this.#onReadable(1);
    });
  }

  close(): void {
    this.#isOpen = false;
  }
}

export const flash = {
  open: ({ path }: { path: string }) => ({ path, status: () => ({}) }),
};

export const storage = {
  open({ path, mode = "r+" }: { path: string; mode?: string }) {
    const { faults, values } = board;
    if (faults.open && mode === "r+") throw new Error(faults.open);
    return {
      read(key: string) {
        if (faults.read) throw new Error(faults.read);
        return values.get(`${path}/${key}`)?.slice().buffer;
      },
      write(key: string, value: Uint8Array) {
        if (faults.write) throw new Error(faults.write);
        if (mode === "r") throw new Error("read-only");
        values.set(`${path}/${key}`, value.slice());
      },
      delete: (key: string) => values.delete(`${path}/${key}`),
      close: () => undefined,
    };
  },
};
