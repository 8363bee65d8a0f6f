// The transition-table idiom: a frozen table says what may follow what, a pure `step` says what it means.

/** `table[state][event]` is the next state; no entry means the event is not legal there. */
export type Table<State extends string, Event extends string> = Readonly<
  Record<State, Readonly<Partial<Record<Event, State>>>>
>;

/** What a `step` decides: the record to save first, then the effects to perform in order. */
export interface Step<Rec, Effect> {
  readonly record: Rec;
  readonly effects: readonly Effect[];
}

/** Freezes a table and all in it, so that it lives in flash when preloaded on XS. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const name of Object.keys(value)) deepFreeze((value as Record<string, unknown>)[name]);
  }
  return value;
}

/** Without what is undefined or false: on XS each member takes 16 bytes, for as long as the object lives. */
export function lean<T extends object>(value: T): T {
  const known = value as Readonly<Record<string, unknown>>;
  const rest: Record<string, unknown> = {};
  for (const name of Object.keys(known))
    if (known[name] !== undefined && known[name] !== false) rest[name] = known[name];
  return rest as T;
}
