import { encodeQuestion, parseAnswer } from "../../../hosts/moddable/network/ntp.js";
import { type TimeAnswer, TimeAsker } from "../../../hosts/moddable/network/time-asker.js";
import { check, equal } from "../harness.js";

const mark = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
/** 2027-01-15T08:00:00.500Z. */
const time = 1_800_000_000_500;
const seconds = 1_800_000_000 + 2_208_988_800;

interface Changes {
  readonly first?: number;
  readonly stratum?: number;
  readonly seconds?: number;
  readonly mark?: Uint8Array;
}

function answerOf(changes: Changes = {}): Uint8Array {
  const packet = new Uint8Array(48);
  packet[0] = changes.first ?? (4 << 3) | 4;
  packet[1] = changes.stratum ?? 2;
  packet.set(changes.mark ?? mark, 24);
  const view = new DataView(packet.buffer);
  view.setUint32(40, changes.seconds ?? seconds);
  view.setUint32(44, 0x8000_0000);
  return packet;
}

check("time: a question is version 4, of a client, with its mark", () => {
  const packet = encodeQuestion(mark);
  equal(packet.length, 48);
  equal(packet[0], 0x23);
  equal(packet.subarray(40).join(), mark.join());
});

check("time: an answer tells the time, also beyond February 2036", () => {
  const answer = parseAnswer(answerOf(), mark);
  equal(answer.type === "time" && answer.time, time);
  const later = parseAnswer(answerOf({ seconds: 100 }), mark);
  equal(later.type === "time" && later.time, Date.UTC(2036, 1, 7, 6, 28, 16) + 100_500);
});

check(
  "time: what answers another question is not looked at, what does not know the time is not believed",
  () => {
    const foreign: Uint8Array[] = [
      answerOf().subarray(0, 47),
      answerOf({ first: (4 << 3) | 3 }),
      answerOf({ first: (5 << 3) | 4 }),
      answerOf({ mark: mark.map(byte => byte ^ 1) }),
      new Uint8Array(0),
    ];
    for (const packet of foreign) equal(parseAnswer(packet, mark).type, "foreign");
    const unsure: Changes[] = [
      { first: (3 << 6) | (4 << 3) | 4 },
      { stratum: 0 },
      { stratum: 16 },
      { seconds: 0 },
    ];
    for (const changes of unsure) equal(parseAnswer(answerOf(changes), mark).type, "refused");
    equal(parseAnswer(answerOf({ first: (1 << 6) | (3 << 3) | 4 }), mark).type, "time");
  },
);

/** Servers by address; each gets the question's mark, and says what it sends, or nothing. */
type Servers = Readonly<Record<string, (mark: Uint8Array) => Uint8Array | undefined>>;

class World {
  now = 0;
  readonly asked: string[] = [];
  answers: TimeAnswer[] = [];
  sockets = 0;
  delayMs = 100;
  #timers: { at: number; work: () => void }[] = [];
  #marks = 0;
  readonly asker: TimeAsker;

  constructor(
    names: Readonly<Record<string, string | undefined>>,
    servers: Servers,
    spoof?: () => [string, number],
  ) {
    this.asker = new TimeAsker({
      clock: { ticks: () => this.now, now: () => undefined },
      timer: {
        set: (work, delayMs) => {
          const timer = { at: this.now + delayMs, work };
          this.#timers.push(timer);
          return timer;
        },
        repeat: () => ({}),
        clear: timer => {
          this.#timers = this.#timers.filter(each => each !== timer);
        },
      },
      random: count => new Uint8Array(count).fill(++this.#marks),
      servers: () => Object.keys(names),
      // Twice, as a resolver should not.
      resolve: (name, onResolved) => {
        for (const delayMs of [10, 40]) this.later(delayMs, () => onResolved(names[name]));
      },
      open: onMessage => {
        this.sockets++;
        return {
          send: (bytes, address) => {
            this.asked.push(address);
            const reply = servers[address]?.(bytes.slice(40));
            const [from, port] = spoof?.() ?? [address, 123];
            if (reply) this.later(this.delayMs, () => onMessage(reply, from, port));
          },
          close: () => {
            this.sockets--;
          },
        };
      },
    });
  }

  run(): string {
    this.asker.ask(answer => this.answers.push(answer));
    this.pass(600_000);
    equal(this.sockets, 0, "sockets left open");
    equal(this.answers.length, 1, "answers");
    const answer = this.answers[0]!;
    return answer.type === "told"
      ? `${answer.time} ${answer.server}`
      : `${answer.fault} ${answer.detail}`;
  }

  pass(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const timer = this.#timers.sort((a, b) => a.at - b.at)[0];
      if (!timer || timer.at > end) break;
      this.#timers.shift();
      this.now = timer.at;
      timer.work();
    }
    this.now = end;
  }

  private later(delayMs: number, work: () => void): void {
    this.#timers.push({ at: this.now + delayMs, work });
  }
}

const right = (question: Uint8Array) => answerOf({ mark: question });

check("time: the first server that answers is believed, half of the way counts", () => {
  const world = new World({ "a.test": "192.0.2.1", "b.test": "192.0.2.2" }, { "192.0.2.1": right });
  equal(world.run(), `${time + 50} a.test`);
  equal(world.asked.join(), "192.0.2.1");
});

check("time: silent, unknown and unsure servers are passed over", () => {
  const world = new World(
    { "a.test": "192.0.2.1", "b.test": undefined, "c.test": "192.0.2.3", "d.test": "192.0.2.4" },
    { "192.0.2.3": question => answerOf({ mark: question, stratum: 0 }), "192.0.2.4": right },
  );
  equal(world.run(), `${time + 50} d.test`);
  equal(world.asked.join(), "192.0.2.1,192.0.2.1,192.0.2.3,192.0.2.4");
});

check("time: a time before this firmware, or of another question, is no answer", () => {
  const old = (question: Uint8Array) =>
    answerOf({ mark: question, seconds: seconds - 200_000_000 });
  equal(new World({ "a.test": "192.0.2.1" }, { "192.0.2.1": old }).run(), "time asked: a.test");
  const replayed = () => answerOf({ mark });
  equal(
    new World({ "a.test": "192.0.2.1" }, { "192.0.2.1": replayed }).run(),
    "time asked: a.test",
  );
});

check("time: an answer from another address or port is not looked at", () => {
  for (const from of [
    ["192.0.2.9", 123],
    ["192.0.2.1", 124],
  ] as [string, number][]) {
    const world = new World({ "a.test": "192.0.2.1" }, { "192.0.2.1": right }, () => from);
    equal(world.run(), "time asked: a.test");
  }
});

check("time: no name is resolved, and a portal that answers for every name, are told apart", () => {
  equal(
    new World({ "a.test": undefined, "b.test": undefined }, {}).run(),
    "time no name is resolved",
  );
  const portal = { "a.test": "10.0.0.1", "b.test": "10.0.0.1" };
  equal(new World(portal, {}).run(), "portal 10.0.0.1");
  // The network's own server, by its address, says nothing about names.
  equal(new World({ "10.0.0.1": "10.0.0.1", ...portal }, {}).run(), "portal 10.0.0.1");
  equal(new World({ "10.0.0.1": "10.0.0.1" }, {}).run(), "time asked: 10.0.0.1");
});

check("time: who is stopped calls nobody, whatever still arrives", () => {
  const world = new World({ "a.test": "192.0.2.1" }, { "192.0.2.1": right });
  world.asker.ask(answer => world.answers.push(answer));
  world.pass(50);
  equal(world.asked.length, 1);
  world.asker.stop();
  world.pass(600_000);
  equal(world.answers.length, 0);
  equal(world.sockets, 0);
  equal(world.asked.length, 1);
});
