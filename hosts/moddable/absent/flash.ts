// In the place of hosts/moddable/parts/flash.ts: a host without raw flash, whose users are not linked either.
import type { Replaces } from "skerry/hosts/moddable/absent/missing";
import type * as part from "skerry/hosts/moddable/parts/flash";
import type * as standIn from "./flash.js";

export type Check = Replaces<typeof part, typeof standIn>;

export const openFlash: typeof part.openFlash = () => ({});
