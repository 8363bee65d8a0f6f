// What the product holds of its settings: the values in force, and a word when the cloud changes them.
import { AgentError } from "./errors.js";
import { faultOf, type Schema, type Values } from "./shadow/schema.js";

/** Where the values are kept. */
export interface SettingsSource {
  readonly settings: Values;
  changeSettings(values: Values): void;
}

export class Settings<S extends Schema = Schema> {
  /** Called with just the values that changed: at `start` those that storage holds, then those the cloud wants, after they are saved. */
  onChange: ((changed: Partial<Values<S>>) => void) | undefined;
  readonly schema: S;
  readonly #source: SettingsSource;

  constructor(schema: S, source: SettingsSource) {
    this.schema = schema;
    this.#source = source;
  }

  /** All values in force. */
  get values(): Values<S> {
    return this.#source.settings as Values<S>;
  }

  /**
   * Sets values on the device itself, saves them and reports them. A desired value of the cloud's that differs wins again as
   * soon as the shadow is next read.
   *
   * @throws AgentError "agent/options" for a name or a value the schema does not allow; nothing is changed then. The same before `start`:
   *         what storage holds is not known yet.
   */
  set(values: Partial<Values<S>>): void {
    for (const name of Object.keys(values)) {
      const setting = Object.hasOwn(this.schema, name) ? this.schema[name] : undefined;
      const fault = setting
        ? faultOf(setting, values[name] as string | number | boolean)
        : "is not declared";
      if (fault) throw new AgentError("agent/options", `settings.${name} ${fault}`);
    }
    this.#source.changeSettings(values as Values);
  }
}
