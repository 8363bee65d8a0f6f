// The power of a virtual device: a host whose timers, links and files end when it is switched off.
import type {
  Host,
  ResolverConstructor,
  Timer,
  TimerHandle,
  TLSSocketConstructor,
} from "../../src/host.js";

export interface PoweredHost {
  readonly host: Host;
  readonly isOn: boolean;
  /** Settles when it is switched off. */
  readonly isOff: Promise<void>;
  /** Nothing of the program that runs is heard of again. May be called twice. */
  off(): void;
}

/** What the program has opened, to be closed with the power. */
class Opened {
  readonly #ends = new Map<object, () => void>();
  isOn = true;

  keep(made: object, end: () => void): void {
    this.#ends.set(made, end);
  }

  forget(made: object): void {
    this.#ends.delete(made);
  }

  /** @throws Error once the power is off */
  check(): void {
    if (!this.isOn) throw new Error("the power is off");
  }

  off(): void {
    this.isOn = false;
    for (const end of this.#ends.values()) end();
    this.#ends.clear();
  }
}

export function poweredHost(host: Host): PoweredHost {
  const opened = new Opened();
  let onOff = () => {};
  const isOff = new Promise<void>(resolve => {
    onOff = resolve;
  });
  return {
    isOff,
    host: {
      ...host,
      timer: timerOf(host.timer, opened),
      tls: { io: socketsOf(host.tls.io, opened) },
      dns: { io: resolversOf(host.dns.io, opened) },
      keyValue: { open: options => closing(() => host.keyValue.open(options), opened) },
      ...(host.flash && {
        flash: { open: options => closing(() => host.flash!.open(options), opened) },
      }),
    },
    get isOn() {
      return opened.isOn;
    },
    off: () => {
      opened.off();
      onOff();
    },
  };
}

function timerOf(timer: Timer, opened: Opened): Timer {
  const keep = (handle: TimerHandle): TimerHandle => {
    opened.keep(handle, () => timer.clear(handle));
    return handle;
  };
  return {
    set: (callback, delayMs) => {
      // Asked for by a program that has been switched off: never due.
      if (!opened.isOn) return {};
      const handle = timer.set(() => {
        opened.forget(handle);
        callback();
      }, delayMs);
      return keep(handle);
    },
    repeat: (callback, intervalMs) => (opened.isOn ? keep(timer.repeat(callback, intervalMs)) : {}),
    clear: handle => {
      if (handle) opened.forget(handle);
      timer.clear(handle);
    },
  };
}

function socketsOf(Socket: TLSSocketConstructor, opened: Opened): TLSSocketConstructor {
  return class extends Socket {
    constructor(options: ConstructorParameters<TLSSocketConstructor>[0]) {
      opened.check();
      super(options);
      opened.keep(this, () => super.close());
    }

    override close(): void {
      opened.forget(this);
      super.close();
    }
  };
}

function resolversOf(Resolver: ResolverConstructor, opened: Opened): ResolverConstructor {
  return class extends Resolver {
    constructor(options: ConstructorParameters<ResolverConstructor>[0]) {
      opened.check();
      super(options);
      opened.keep(this, () => super.close());
    }

    override close(): void {
      opened.forget(this);
      super.close();
    }
  };
}

function closing<Made extends { close(): void }>(make: () => Made, opened: Opened): Made {
  opened.check();
  const made = make();
  const close = made.close.bind(made);
  made.close = () => {
    opened.forget(made);
    close();
  };
  opened.keep(made, close);
  return made;
}
